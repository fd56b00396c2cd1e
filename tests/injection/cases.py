"""Model files, and files beside them, with a program in every place where text can stand.

Each template is a model that reads, runs and is certified as it stands. A place is written ``«name:what stands
there»``; a case is the template with one place (of that name, all of them) filled with a payload.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: The module that no file may bring to be imported; a word of it in compiled text is a find as well.
BELL = "cipark_bell"
CALL = f"__import__('{BELL}').ring()"
CALL_DOUBLE = f'__import__("{BELL}").ring()'
IMPORT = f"import {BELL}"
_PLACE = re.compile(r"«([^:»]+):([^»]*)»")


@dataclass(frozen=True)
class Case:
    """A folder: the model and what stands beside it, by file name."""

    name: str
    model: str
    files: Mapping[str, str]
    scenario: str | None = None
    study: bool = field(default=False)

    @property
    def kind(self) -> str:
        """The first part of the name: which template it comes from."""
        return self.name.partition("/")[0]


MDL = """{«encoding:UTF-8»}
{ a comment «comment:of the file» }
********************************************************
	.«group:Growth»
********************************************************~
		«group text:Sector»
	|
:MACRO: «macro:TWICE»(«argument:input»)
«macro:TWICE» = «argument:input» * 2 ~ «macro unit:Dmnl» ~ «macro documentation:doubles» |
:END OF MACRO:
«range:Region»: «element:East», West ~ «range unit:Dmnl» ~ «range documentation:where» |
Zone: («numeric prefix:Z»1-Z3) ~~|
«stock:Cup» = INTEG(-loss + «constant:room» * 0, 100) ~ «unit:degree» [«low:0»,«high:200»] ~ «documentation:How warm»
	~ «flag::SUPPLEMENTARY» |
loss = («stock:Cup» - «constant:room») / «number:10» {«inner comment:why»} ~ degree/Year ~ |
«constant:room» = 20 ~ degree ~ |
table( «table range:[(0,0)-(10,10),(1,1)],»(0,«table point:1»),(10,2)) ~ ~ |
«lookup:effect»((0,1),(10,2)) ~ ~ |
used = table(Time) + «lookup:effect»(Time) ~ ~ |
inline = WITH LOOKUP(Time, («inline range:[(0,0)-(10,10)],»(0,1),(10,«inline point:2»))) ~ ~ |
rate[«range:Region»] = 1, «array number:2» ~ ~ |
level[«range:Region»] = rate[«range:Region»] * TWICE HERE ~ ~ |
one[«element:East»] = 1 ~ ~ |
one[West] = «subscripted:rate[«element:East»]» ~ ~ |
TWICE HERE = «macro:TWICE»(«argument given:3») ~ ~ |
greatest = «function:MAX»(1, «function argument:2») ~ ~ |
chosen = IF THEN ELSE(Time > 1 «operator::AND:» Time < 3, 1, 0) ~ ~ |
INITIAL TIME = «initial time:0» ~ «time unit:Year» ~ |
FINAL TIME = 41 ~ Year ~ |
SAVEPER = TIME STEP ~ Year ~ |
TIME STEP = 1 ~ Year ~ «last documentation:» |
\\\\\\---/// Sketch information - do not modify anything except names
V300  Do not put anything below this section - it will be ignored
*«view:View 1»
$«colours:192-192-192,0,Times New Roman»|12||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0
10,1,«sketch name:Cup»,100,100,40,20,3,3,0,0,0,0,0,0
///---\\\\\\
:L<%^E!@
1:«dataset:Current.vdf»
9:«plot:Current»
22:«synonym:Dollar,$»
15:0,0,0,«method:0»,0,0
«settings:19:100,0»
"""

EXTERNAL = """{UTF-8}
«range:Region»: GET DIRECT SUBSCRIPT('«subscript file:names.csv»', '«subscript tab:,»',
	'«first cell:A1»', '«last cell:A2»', '«prefix:»') ~~|
base[«range:Region»] = GET DIRECT CONSTANTS('«file:numbers.csv»', '«tab:,»', '«cell:B2*»') ~ ~ |
table(GET DIRECT LOOKUPS('«lookup file:numbers.csv»', '«lookup tab:,»', '«lookup row:A»', '«lookup cell:B2»')) ~ ~ |
seen :INTERPOLATE: := GET DIRECT DATA('«data file:numbers.csv»', '«data tab:,»', '«time row:A»', '«data cell:B2»') ~ ~ |
used = table(Time) + seen ~ ~ |
INITIAL TIME = 0 ~ Year ~ |
FINAL TIME = 41 ~ Year ~ |
SAVEPER = TIME STEP ~ Year ~ |
TIME STEP = 1 ~ Year ~ |
"""
BESIDE = {
    "numbers.csv": "t,v\n0,1\n1,2\n2,3\n",
    "names.csv": "East\nWest\n",
    "counts.csv": "time,Cup\n0,100\n1,92\n2,84\n",
    "seen.csv": "date,Cup\n1,92\n2,84\n",
    f"{BELL}.py": "raise SystemExit('rung')\n",
}


XMILE = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="«version:1.0»" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0" xmlns:isee="http://iseesystems.com/XMILE">
<header><vendor>«vendor:tests»</vendor><name>«model name:cup»</name>
<product version="«product version:1»">«product:tests»</product></header>
<sim_specs method="«method:Euler»" time_units="«time unit:Year»" isee:save_interval="«save interval:1»">
<start>«start:0»</start><stop>41</stop><dt>«step:1»</dt></sim_specs>
<model_units><unit name="«unit name:Dollar»"><eqn>«unit equation:$»</eqn><alias>«alias:USD»</alias></unit></model_units>
<dimensions><dim name="«dimension:Region»"><elem name="«element:East»"/><elem name="West"/></dim></dimensions>
<model name="«submodel:»"><variables>
<group name="«group:Growth»"><var>«member:cup»</var></group>
<stock name="«stock:cup»"><doc>«documentation:How warm»</doc><eqn>100</eqn><outflow>«outflow:loss»</outflow>
<units>«unit:degree»</units><range min="«low:0»" max="200"/></stock>
<flow name="loss"><eqn>("«stock:cup»" - "«constant:room»") / «number:10»</eqn></flow>
<aux name="«constant:room»"><eqn>20</eqn></aux>
<gf name="«table:table»" type="«table kind:continuous»"><xscale min="«scale:0»" max="10"/>
<ypts sep="«separator:,»">1,«point:2»</ypts></gf>
<aux name="used"><eqn>"«table:table»"(TIME) {«comment:why»}</eqn></aux>
<aux name="curve"><eqn>TIME</eqn><gf><xpts>0,«x point:10»</xpts><ypts>1,2</ypts></gf></aux>
<aux name="rate"><dimensions><dim name="«dimension:Region»"/></dimensions>
<element subscript="«element:East»"><eqn>1</eqn></element>
<element subscript="West"><eqn>«element equation:2»</eqn></element></aux>
<aux name="greatest"><eqn>«function:MAX»(1, «argument:2»)</eqn></aux>
<aux name="chosen"><eqn>IF TIME > 1 «operator:AND» TIME &lt; 3 THEN 1 ELSE 0</eqn></aux>
</variables>
<views><view name="«view:View»"><aux name="«drawn:room»" x="1" y="2"/></view></views>
</model>
</xmile>
"""


DISPLAY = """[table]
columns = ["«column:Cup»"]
[figure]
variables = ["«variable:Cup»"]
title = "«title:Cup»"
[observed]
file = "«file:seen.csv»"
columns = { "Cup" = "«data column:Cup»" }
label = "«label:seen»"
"""
CHECKS = """[builtin]
finite = true
[runs."«run:warm»"]
set = { room = 30 }
[[check]]
id = "«id:below»"
title = "«title:below»"
source = "«source:judgement»"
expect = "«expectation:Cup < 200»"
at = "all"
"""
LOOPS = """[[loop]]
name = "«loop:B1»"
through = ["«through:Cup»"]
"""
SCENARIO = """name = "«scenario:warm»"
[set]
"«set:room»" = 30
"«lookup:effect»" = { x = [0, 1], y = [0, 1] }
rate = { times = [0, 2], values = [1, 2], interpolation = "«interpolation:interpolate»" }
"""
SEEN = """[set]
"«name:seen»" = { times = [0, 2], values = [1, 2] }
"""
PROBLEM = """title = "«title:cups»"
[model]
file = "model.mdl"
[[observation]]
name = "«observation:cup»"
table = "«table:counts.csv»"
variable = "«variable:Cup»"
time = "«time:time»"
value = "«value:Cup»"
family = "«family:normal»"
kind = "«kind:level»"
sd = 2
[[parameter]]
name = "«parameter:room»"
bounds = [1, 40]
prior = { family = "«prior:normal»", mean = 20, sd = 5 }
[[prediction]]
name = "«prediction:end»"
variable = "«predicted:Cup»"
at = 2
[method]
starts = 1
"""
SENSITIVITY = """[[target]]
name = "«target:Cup»"
variable = "«variable:Cup»"
[[factor]]
name = "«factor:room»"
low = 10
high = 30
"""
POLICIES = """title = "«title:cups»"
money = "«money:EUR»"
times = [1, 41]
[model]
file = "«file:model.mdl»"
[[outcome]]
id = "cup"
title = "«outcome:Cup»"
variable = "«variable:Cup»"
[[policy]]
id = "«id:warm»"
title = "«policy:Warm»"
set = { "«set:room»" = 30 }
source = "«source:hope»"
expect = [{ outcome = "cup", at = 41, is = "more" }]
[[policy]]
id = "warmer"
title = "Warmer"
set = { "room" = "«policy value:1.1 * room»" }
[[outcome]]
id = "most"
variable = "Cup"
metric = "«metric:maximum»"
[[rival]]
id = "«rival:as written»"
title = "The model as it is"
[[uncertainty]]
id = "room"
name = "«uncertainty:room»"
range = [10, 30]
[[outcome]]
id = "«equation id:heat»"
equation = "«equation:2 * Cup * Price»"
units = "«outcome unit:EUR»"
side = "«side:host»"
[[uncertainty]]
id = "price"
name = "Price"
range = [1, 2]
units = "«number unit:EUR»"
source = "«number source:a list»"
[decisions]
date = 2
[[decision]]
id = "«decision id:cool»"
title = "«decision:Cool»"
note = "«note:a fan»"
when = "«when:Cup < 50»"
set = { "room" = "«value:room / 2»" }
cost = "«cost:Price»"
spend = "«spend:2 * Price»"
budget = "«budget:3 * Price»"
source = "«cost source:a shop»"
"""


_TEXT = {
    "plain": CALL,
    "triple": f'"""\n{IMPORT}\n"""',
    "triple_in_line": f'""";{CALL};"""',
    "triple_single": f"''';{CALL_DOUBLE};'''",
    "backslash": f"\\\n{IMPORT}\n\\x22\\x22\\x22;{CALL}",
    "format": "%(v0001)s {0.__class__} " + CALL,
    "new_line": f"\n{IMPORT}\n",
}
#: Inside a name that the language quotes: its quotes are written ``\"``.
_QUOTED = {
    "call": CALL,
    "single": f"', {CALL_DOUBLE.replace(chr(34), chr(92) + chr(34))}, '",
    "double": f'\\", {CALL}, \\"',
    "triple": f'\\"\\"\\";{CALL};\\"\\"\\"',
    "parenthesis": f"'): pass\n{IMPORT}\n('",
    "bracket": f"'] + [{CALL}] + ['",
    "backslash": f"\\\\', {CALL}) #",
}
#: Where a text in single quotes stands.
_STRING = {
    "double": f'" + {CALL_DOUBLE} + "',
    "escape": f"\\x27, {CALL_DOUBLE}, \\x27",
    "raw": f'\\", {CALL_DOUBLE})\n{IMPORT}\n#',
    "path": f"../{BELL}.py",
}
_EXPRESSION = {"call": CALL, "double": CALL_DOUBLE, "lambda": f"(lambda: {CALL})()"}


def _forms(place: str) -> Mapping[str, str]:
    """Payloads for a place of a Vensim template: in quotes for names, bare elsewhere."""
    names = ("macro", "range", "element", "stock", "constant", "lookup", "function")
    if place in (*names, "argument", "numeric prefix"):
        return {key: f'"{payload}"' for key, payload in _QUOTED.items()}
    if "range" in place and place.split()[-1] == "range":
        return {
            "call": f"[(0,0)-(10,{CALL})],",
            "list": f"[{CALL}],",
            "double": f"[(0,0)-(10,10),{CALL_DOUBLE}],",
            "chained": f"[(0,0)-(10,10)).__class__({CALL}],",
            "quoted": f'[(0,0)-(10,"{CALL}")],',
            "continued": f"\\ [(0,0)-(10,{CALL})],",
        }
    if place in _WORDS:
        return {"text": _TEXT["plain"], "quoted": f'"{CALL}"'} if place in _EQUATION else _TEXT
    return _EXPRESSION


_EQUATION = ("operator", "subscripted")
_WORDS = (
    *("encoding", "comment", "group", "group text", "macro unit", "macro documentation", "range unit", "unit"),
    *("range documentation", "documentation", "flag", "inner comment", "operator", "subscripted"),
    *("time unit", "last documentation", "view", "colours", "sketch name", "dataset", "plot", "synonym", "settings"),
    *("method", "low", "high"),
)


def places(template: str) -> list[str]:
    """The names of the places of a template, in order."""
    return list(dict.fromkeys(name for name, _ in _PLACE.findall(_inner_first(template))))


def _inner_first(template: str) -> str:
    """Places inside places are opened, so that the outer one is seen with its plain text."""
    return re.sub(r"«([^:»]+):([^«»]*)«[^:»]+:([^»]*)»([^»]*)»", r"«\1:\2\3\4»", template) + template


def filled(template: str, place: str = "", payload: str = "") -> str:
    """The template with one place filled and all others as they are written in it."""

    def one(found: re.Match[str]) -> str:
        return payload if found.group(1) == place else found.group(2)

    previous = None
    innermost = re.compile(r"«([^:«»]+):([^«»]*)»")
    while previous != template:
        previous, template = template, innermost.sub(one, template)
    return template


def _escaped(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\n", "&#10;")):
        text = text.replace(char, entity)
    return text


def _toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def cases() -> Iterator[Case]:
    """Every case; the ones called ``…/plain`` hold no payload and must work."""
    plain = filled(MDL)
    warm = filled(SCENARIO)
    study = {"problem.toml": filled(PROBLEM), "policies.toml": filled(POLICIES), "model.mdl": plain, **BESIDE}
    yield Case("mdl/plain", "model.mdl", {"model.mdl": plain, **BESIDE})
    for place in places(MDL):
        for form, payload in _forms(place).items():
            files = {"model.mdl": filled(MDL, place, payload), **BESIDE}
            yield Case(f"mdl/{place}/{form}", "model.mdl", files)
    yield from _data_variables(plain)
    yield Case("external/plain", "model.mdl", {"model.mdl": filled(EXTERNAL), **BESIDE})
    for place in places(EXTERNAL):
        forms = _STRING if place != "range" else {key: f'"{payload}"' for key, payload in _QUOTED.items()}
        for form, payload in forms.items():
            yield Case(
                f"external/{place}/{form}", "model.mdl", {"model.mdl": filled(EXTERNAL, place, payload), **BESIDE}
            )
    yield Case(
        "external/names in the file/quoted",
        "model.mdl",
        {"model.mdl": filled(EXTERNAL), **BESIDE, "names.csv": f"\"'] + [{CALL}] + ['\"\nWest\n"},
    )
    yield Case("xmile/plain", "model.xmile", {"model.xmile": filled(XMILE), **BESIDE})
    for place in places(XMILE):
        forms = _QUOTED if place in _XMILE_NAMES else _TEXT if place in _XMILE_TEXTS else _XMILE_FORMS
        for form, payload in forms.items():
            text = filled(XMILE, place, _escaped(payload))
            yield Case(f"xmile/{place}/{form}", "model.xmile", {"model.xmile": text, **BESIDE})
    beside = (("display", DISPLAY), ("checks", CHECKS), ("loops", LOOPS))
    for kind, template in beside:
        for name, text in _toml_files(template):
            files = {"model.mdl": plain, f"model.{kind}.toml": text, **BESIDE}
            yield Case(f"{kind}/{name}", "model.mdl", files, warm)
    for module in (f"{BELL}.inner", "antigravity.x", "this.x", f"..{BELL}", BELL, "__main__"):
        files = {
            "model.mdl": plain,
            "model.display.toml": filled(DISPLAY).replace("file =", f'package = "{module}"\nfile ='),
            **BESIDE,
        }
        yield Case(f"display/package/{module}", "model.mdl", files, warm)
    for name, text in _toml_files(SCENARIO):
        yield Case(f"scenario/{name}", "model.mdl", {"model.mdl": plain, **BESIDE}, text)
    for kind, template in (("problem", PROBLEM), ("policies", POLICIES), ("sensitivity", SENSITIVITY)):
        for name, text in _toml_files(template):
            yield Case(f"{kind}/{name}", "model.mdl", {**study, f"{kind}.toml": text}, warm, study=True)


_XMILE_NAMES = ("dimension", "element", "stock", "constant", "table")
_XMILE_TEXTS = ("documentation", "unit", "group", "view", "vendor", "alias", "unit name")
_XMILE_FORMS = {"call": CALL, "triple": f'"""\n{IMPORT}\n"""', "single": f"', {CALL_DOUBLE}, '"}


def _data_variables(plain: str) -> Iterator[Case]:
    """A data variable whose name or keyword is a program, with the data that bring it to run."""

    def case(name: str, label: str, seen: str, keyword: str = ":INTERPOLATE:") -> Case:
        model = plain.replace("INITIAL TIME =", f"{label} {keyword} ~ ~ |\nINITIAL TIME =", 1)
        return Case(f"data/{name}", "model.mdl", {"model.mdl": model, **BESIDE}, filled(SEEN, "name", _toml(seen)))

    yield case("plain", "seen", "seen")
    for form, payload in _QUOTED.items():
        yield case(f"name/{form}", f'"d{payload}"', "d" + payload.replace('\\"', '"'))
    for form, payload in {"call": f":{CALL}:", "word": f":{BELL}:", "quoted": f":'{CALL_DOUBLE}':"}.items():
        yield case(f"keyword/{form}", "seen", "seen", payload)


def _toml_files(template: str) -> Iterator[tuple[str, str]]:
    yield "plain", filled(template)
    for place in places(template):
        for form in ("plain", "triple", "backslash"):
            yield f"{place}/{form}", filled(template, place, _toml(_TEXT[form]))
