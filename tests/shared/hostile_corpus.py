"""Hostile and broken files, made by rule: for each a name, the reader that it is for, and what it holds.

What each must say stands in ``tests/cipark_sd/hostile/expected.tsv``; ``python tests/shared/hostile_corpus.py`` writes
that file anew, to be read before it is kept.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from places import TESTS

EXPECTED = TESTS / "cipark_sd" / "hostile" / "expected.tsv"
CONTROL = "\nINITIAL TIME = 0 ~~| FINAL TIME = 2 ~~| TIME STEP = 1 ~~| SAVEPER = 1 ~~|\n"
MDL = (
    """{UTF-8}
item: a, b ~~|
level[item] = INTEG(rate - level[item] / life, 10) ~ m [0,?] ~ What is there. |
rate = WITH LOOKUP(Time, ([(0,0)-(10,10)],(0,1),(5,2),(10,3))) ~ m/Year ~ |
life = 5 ~ Year [1,10] ~ |
total = SUM(level[item!]) ~ m ~ |
"""
    + CONTROL
)
XMILE = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
<header><vendor>v</vendor><product version="1">p</product></header>
<sim_specs method="Euler" time_units="Year"><start>0</start><stop>2</stop><dt>1</dt></sim_specs>
<dimensions><dim name="item"><elem name="a"/><elem name="b"/></dim></dimensions>
<model><variables>
<stock name="level"><dimensions><dim name="item"/></dimensions><eqn>10</eqn><inflow>rate</inflow><units>m</units>
</stock>
<flow name="rate"><dimensions><dim name="item"/></dimensions><eqn>level / life</eqn></flow>
<aux name="life"><eqn>5</eqn><doc>How long.</doc></aux>
<aux name="effect"><eqn>TIME</eqn><gf><xscale min="0" max="2"/><ypts>1,2,3</ypts></gf></aux>
</variables></model></xmile>
"""
SCENARIO = 'name = "dry"\n[set]\nlife = 4\n"level[a]" = 3\n[time]\nto = 5\n'
CHECKS = """[builtin]
finite = true
[runs.short]
set = { life = 2 }
[[check]]
id = "falls"
title = "It falls"
run = "short"
check = "level[a] >= 0"
always = "level[a] >= 0"
"""
CHANGES = "life = 4\nrate = (0,1),(10,3)\n"
TABLE = "date,total\n0,20\n1,19.5\n2,18\n"
DESIGN = "life\n4\n5\n"
GOOD = {
    "mdl": MDL,
    "xmile": XMILE,
    "scenario": SCENARIO,
    "checks": CHECKS,
    "cin": CHANGES,
    "observed": TABLE,
    "design": DESIGN,
}


@dataclass(frozen=True)
class Case:
    """One input; ``content`` is a text of its own for expressions and units."""

    name: str
    reader: str
    content: bytes


def cases() -> Iterator[Case]:
    """All of them, in the same order and with the same bytes wherever they are made."""
    for make in (
        _cut,
        _flipped,
        _encoded,
        _named,
        _numbers,
        _equations,
        _times,
        _arrays,
        _xmile,
        _toml,
        _texts,
        _endless,
    ):
        for name, reader, content in make():
            raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
            yield Case(f"{make.__name__[1:]}: {name}", reader, raw)


Made = Iterator[tuple[str, str, str | bytes]]


def _cut() -> Made:
    for reader, text in GOOD.items():
        raw = text.encode()
        for part in range(12 if reader in ("mdl", "xmile") else 5):
            at = len(raw) * part // (12 if reader in ("mdl", "xmile") else 5)
            yield f"{reader} after {at} bytes", reader, raw[:at]


def _flipped() -> Made:
    for reader, text in GOOD.items():
        for turn in range(10 if reader in ("mdl", "xmile") else 4):
            raw = bytearray(text.encode())
            for step in range(3):
                place = (turn * 7919 + step * 104_729 + 31) % len(raw)
                raw[place] = (0, 255, 34, 60, 40, 41, 124, 126, 61, 91)[(turn + step) % 10]
            yield f"{reader}, turn {turn}", reader, bytes(raw)


def _encoded() -> Made:
    wide = {"mdl": MDL.replace("What", "Größe"), "xmile": XMILE.replace("How", "Größe"), "scenario": SCENARIO}
    for reader, text in wide.items():
        for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "utf-7"):
            yield f"{reader} in {encoding}", reader, text.encode(encoding)
    for reader in GOOD:
        yield f"{reader} of zeros", reader, b"\0" * 64
        yield f"{reader} that is an image", reader, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 4
        yield f"{reader} with a lone surrogate", reader, "x\udcff = 1"


_ODD = (
    "import",
    "None",
    "__class__",
    "a b  c",
    "x.y",
    "../../up",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "$HOME",
    "%s",
    "{0}",
    "\u202eevil",
    "\u200b",
    "Ⅷ",
    "ß",
    "ﬁ",
    "\N{PILE OF POO}",
    "<script>",
    "&amp;",
    "'; DROP",
    "a'b",
    "-1",
    "1e5",
    "",
    " ",
    "=",
    "n" * 3000,
    "TIME",
    "time step",
    "FINAL TIME",
)


def _named() -> Made:
    for position, name in enumerate(_ODD):
        shown = f"{position} {name[:12]!a}"
        yield f"mdl {shown}", "mdl", f'"{name}" = 1 ~~| y = "{name}" + 1 ~~|' + CONTROL
        escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        yield f"xmile {shown}", "xmile", XMILE.replace('name="life"', f'name="{escaped}"')
    for position, name in enumerate(_ODD[:12]):
        yield f"scenario {position}", "scenario", f"[set]\n{name!r} = 1\n"


_NUMBERS = (
    "1e999",
    "-1e999",
    "1e-400",
    "nan",
    "inf",
    "0x10",
    "1,5",
    "1e",
    "--1",
    "1.2.3",
    "9" * 400,
    "١٢",
    "1_000",
    "",
)


def _numbers() -> Made:
    for number in _NUMBERS:
        shown = f"{number[:8]!a}"
        yield f"mdl {shown}", "mdl", f"x = {number} ~~| y = x + Time ~~|" + CONTROL
        yield f"xmile {shown}", "xmile", XMILE.replace("<eqn>5</eqn>", f"<eqn>{number}</eqn>")
        yield f"scenario {shown}", "scenario", f"[set]\nlife = {number}\n"
        yield f"observed {shown}", "observed", f"date,total\n0,{number}\n"
        yield f"design {shown}", "design", f"life\n{number}\n"
        yield f"cin {shown}", "cin", f"life = {number}\n"


_EQUATIONS = (
    "(",
    ")",
    "1 +",
    "* 2",
    "1 2",
    "a b",
    "1 + + 2",
    "IF THEN ELSE(1, 2)",
    "IF THEN ELSE(1, 2, 3, 4)",
    "MAX(1)",
    "MIN()",
    "SUM(x)",
    "x(3)",
    "y",
    "INTEG(1)",
    "INTEG(y)",
    "INTEG(1, y)",
    "DELAY1(1)",
    "DELAY N(1, 2, 3, 1e12)",
    "SMOOTH3(1, 0)",
    "SMOOTH N(Time, -1, 0, 3)",
    "DELAY FIXED(1, -5, 0)",
    "unknown",
    "UNKNOWN(1)",
    "PULSE(1)",
    "LN()",
    "SQRT(-1)",
    "1 / 0",
    "0 ^ -1",
    "GET XLS DATA('a', 'b', 'c', 'd')",
    "GET DIRECT DATA('../x.csv', ',', 'A', 'B2')",
    "GET DIRECT CONSTANTS('/etc/passwd', ',', 'A1')",
    "GET DIRECT CONSTANTS('gone.csv', ',', 'A1')",
    "'text'",
    '"text"',
    "WITH LOOKUP(Time)",
    "WITH LOOKUP(Time, ())",
    "WITH LOOKUP(Time, ((0,0),(0,1)))",
    "WITH LOOKUP(Time, ((1,0),(0,1)))",
    "([(0,0)-(10,10)],(0,1))",
    "([(0,0)-(10,__import__('os').system('x'))],(0,1),(1,2))",
    "eval('1')",
    "lambda: 1",
    "x[a]",
    "x[a!]",
    "ELMCOUNT(item)",
    "VECTOR SELECT(1)",
    "ALLOCATE BY PRIORITY(1)",
    "RANDOM NORMAL(1)",
    "RANDOM UNIFORM(1, 0, 0)",
    "TABBED ARRAY(1 2)",
    ":NOT: 1",
    "1 :AND:",
    ":NA:",
    "x = 1",
    "x := 1",
    "x == 1",
    "x <> ",
    "A FUNCTION OF(x)",
    "INITIAL()",
    "ACTIVE INITIAL(1)",
    "SAMPLE IF TRUE(1)",
    "TREND(1)",
    "(" * 80 + "1" + ")" * 80,
    "1" + " + 1" * 300,
    "{",
    "}",
    "{ never closed",
    "\\",
    "~",
    "|",
    "#",
    "@",
    "1;2;3",
    "²",
    "2²",
    "³¿",
)


def _equations() -> Made:
    for position, equation in enumerate(_EQUATIONS):
        yield f"mdl {position} {equation[:24]!a}", "mdl", f"x = 1 ~~| y = {equation} ~~|" + CONTROL
    for position, equation in enumerate((*_EQUATIONS[:24], *_EQUATIONS[-3:])):
        escaped = equation.replace("&", "&amp;").replace("<", "&lt;")
        yield f"xmile {position} {equation[:24]!a}", "xmile", XMILE.replace("<eqn>5</eqn>", f"<eqn>{escaped}</eqn>")


def _times() -> Made:
    small = "x = Time ~~| INITIAL TIME = {} ~~| FINAL TIME = {} ~~| TIME STEP = {} ~~| SAVEPER = {} ~~|"
    for values in (
        (0, 2, 0, 1),
        (0, 2, -1, 1),
        (2, 0, 1, 1),
        (0, "1e12", 1, 1),
        (0, 1, "1e-300", 1),
        (0, 1, "1e-9", 1),
        (2000, 2001, "1e-14", 1),
        ("9007199254740992", "9007199254740999", "0.1", "0.1"),
        (0, 10, 1, 0),
        (0, 10, 1, -1),
        (0, 10, 1, "1e-5"),
        ("x", 10, 1, 1),
        (0, "FINAL TIME", 1, 1),
        (0, "1e999", 1, 1),
        (0, 10, "1/0", 1),
        ("", 1, 1, 1),
        ("FOO(2)", 1, 1, 1),
        (0, "RAMP(1)", 1, 1),
    ):
        yield f"mdl {values}", "mdl", small.format(*values)
        if "TIME" not in str(values):
            start, stop, step, _ = values
            specs = f"<start>{start}</start><stop>{stop}</stop><dt>{step}</dt>"
            yield f"xmile {values}", "xmile", re.sub("<start>.*</dt>", specs, XMILE)
    for missing in ("INITIAL TIME", "FINAL TIME", "TIME STEP", "SAVEPER"):
        yield f"mdl without {missing}", "mdl", MDL.replace(missing, "OTHER")


def _arrays() -> Made:
    for position, text in enumerate(
        (
            "A: ~~| y[A] = 1 ~~|",
            "A: (A1-A0) ~~| y[A] = 1 ~~|",
            "A: (A1-A3000000) ~~| y[A] = 1 ~~|",
            "A: A ~~| y[A] = 1 ~~|",
            "A: p, p ~~| y[A] = 1 ~~|",
            "A: p, q ~~| y[B] = 1 ~~|",
            "A: p, q ~~| y[A] = x[A] ~~| x = 1 ~~|",
            "A: p, q ~~| y[p] = 1 ~~|",
            "A: p, q ~~| y[A] = 1, 2, 3 ~~|",
            "A: p, q ~~| y[A] = 1; 2 ~~|",
            "A: B ~~| B: A ~~| y[A] = 1 ~~|",
            "A: p, q ~~| B: r -> A ~~| y[B] = 1 ~~|",
            "A: p, q ~~| y[A, A] = 1 ~~|",
            "A: p, q ~~| y[A] = SUM(x[A!]) ~~| x[A] = y[A] ~~|",
            "A: (A1-B3) ~~| y[A] = 1 ~~|",
            "A: p, q ~~| A: r, s ~~| y[A] = 1 ~~|",
            "y[ = 1 ~~|",
            "y] = 1 ~~|",
            "y[] = 1 ~~|",
            "A: p, q ~~| y[A] :EXCEPT: [p] = 1 ~~|",
            "A: p ~~| y[A] :EXCEPT: [z] = 1 ~~|",
            ":MACRO: M(x)\nz = x ~~|\n:END OF MACRO:\ny = M(1) ~~|",
            ":MACRO: M(x)\nM = M(x) ~~|\n:END OF MACRO:\ny = M(1) ~~|",
            ":MACRO: M(x)\nM = x ~~|\n:END OF MACRO:\ny = M(1, 2) ~~|",
            ":MACRO: ../../up(x)\nM = x ~~|\n:END OF MACRO:\ny = 1 ~~|",
            ":MACRO: M(x\nM = x ~~|\ny = 1 ~~|",
            ":MACRO:",
            ":END OF MACRO:\ny = 1 ~~|",
            "y = 1 ~~| y = 2 ~~|",
            "y = z ~~| z = y ~~|",
            "y ~~|",
            "= 1 ~~|",
            "y = 1 ~ m [9,1] ~ |",
            "y = 1 ~ m [a,b] ~ |",
            "y = 1 ~ m/(Year ~ |",
            "y = 1 ~~|~~|~~|",
            "A: p, q ~~| x[A] = 1 ~~| y = SUM(x[p!]) ~~|",
        )
    ):
        yield f"mdl {position} {text[:30]!a}", "mdl", text + CONTROL


def _xmile() -> Made:
    changes: tuple[tuple[str, str], ...] = (
        ("<stop>2</stop>", ""),
        ("<dt>1</dt>", ""),
        ("<start>0</start>", ""),
        ("<dt>1</dt>", "<dt>a</dt>"),
        ("<dt>1</dt>", '<dt reciprocal="true">0</dt>'),
        ("<sim_specs", "<nothing"),
        (' name="life"', ""),
        (' name="level"', ""),
        (' name="item"', ""),
        ('name="a"', 'name=""'),
        ("<elem", "<other"),
        ("<eqn>5</eqn>", ""),
        ("<eqn>5</eqn>", "<eqn/>"),
        ("<eqn>5</eqn>", "<eqn>5</eqn><eqn>6</eqn>"),
        ("<ypts>1,2,3</ypts>", ""),
        ("<ypts>1,2,3</ypts>", "<ypts>a,b</ypts>"),
        ("<ypts>1,2,3</ypts>", "<ypts></ypts>"),
        ('max="2"', 'max="x"'),
        ('max="2"', 'max="nan"'),
        ('min="0" ', ""),
        ("<inflow>rate</inflow>", "<inflow>gone</inflow>"),
        ("<inflow>rate</inflow>", "<inflow>life</inflow>"),
        ("<inflow>rate</inflow>", "<inflow>level</inflow>"),
        (' xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"', ""),
        ("XMILE/v1.0", "OTHER/v9"),
        ("</xmile>", ""),
        ("<model>", "<model><model>"),
        ("<variables>", "<variables><!-- c --><?pi x?>"),
        ("<dimensions>", "<dimensions><!-- c -->"),
        ('<dim name="item"><elem name="a"/><elem name="b"/></dim>', '<dim name="item" size="100000000"/>'),
        ('<dim name="item"><elem name="a"/><elem name="b"/></dim>', '<dim name="item" size="abc"/>'),
        ('<dim name="item"><elem name="a"/><elem name="b"/></dim>', '<dim name="item" size="-3"/>'),
        ('<dim name="item"><elem name="a"/><elem name="b"/></dim>', '<dim name="item"/>'),
        ('method="Euler"', 'method="magic"'),
        ("<aux name", "<module name"),
        ("</variables>", "<group name='g'/></variables>"),
        ('<?xml version="1.0" encoding="utf-8"?>', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
        ('<?xml version="1.0" encoding="utf-8"?>', '<!DOCTYPE x SYSTEM "http://localhost:9/x.dtd">'),
        ("How long.", "&e;"),
        ("How long.", "&#0;"),
        ("How long.", "<![CDATA[ x ]]>"),
        ("How long.", "]]>"),
        ('encoding="utf-8"', 'encoding="utf-16"'),
        ('encoding="utf-8"', 'encoding="nonsense"'),
        ("<xmile", "<html"),
        ("<model>", '<macro name="m"><parm>x</parm><eqn>x</eqn></macro><model>'),
        ("<model>", '<macro name="m"><eqn>m()</eqn></macro><model>'),
        ("<stock name", "<stock non_negative='x' name"),
        ("<eqn>10</eqn>", "<eqn>10</eqn><conveyor><len>1</len></conveyor>"),
        ("<eqn>10</eqn>", "<eqn>10</eqn><oven/>"),
    )
    for position, (old, new) in enumerate(changes):
        assert old in XMILE, old
        yield f"{position} {old[:16]!a} as {new[:24]!a}", "xmile", XMILE.replace(old, new, 1)


def _toml() -> Made:
    for position, text in enumerate(
        (
            "set = 3",
            "set = []",
            "[set]\nlife = []",
            "[set]\nlife = {}",
            "[set]\nlife = [1, 2]",
            "[set]\nlife = true",
            "[set]\nlife = 'x'",
            "[set]\nlife = 1979-05-27",
            "[set]\nlevel = [1, 2, 3]",
            '[set]\n"level[z]" = 1',
            '[set]\n"level[" = 1',
            '[set]\n"level[a,b]" = 1',
            "[set]\nrate = { x = [0, 1] }",
            "[set]\nrate = { x = [0, 1], y = [1] }",
            "[set]\nrate = { x = [1, 0], y = [1, 2] }",
            "[set]\nrate = { times = [0], values = ['x'] }",
            "[set]\nrate = { times = [], values = [] }",
            "[time]\nto = 'x'",
            "[time]\nuntil = 5",
            "[time]\nstep = 0",
            "[time]\nstep = 1e-12",
            "[time]\nto = nan",
            "[time]\nfrom = 5\nto = 1",
            "[time]\nsave_every = 0.3",
            "other = 1",
            "name = 5",
            "[set]\n[set]",
            "a = 1\na = 2",
            "[[set]]\nlife = 1",
            "x = " + "[" * 2000,
            "x = 99999999999999999999999",
            "[set]\nTIME = 3",
            "[set]\n'INITIAL TIME' = 'x'",
            "\t\x00",
            "[set]\nlife = 1e400",
            "[set]\nlife = 0x" + "f" * 5000,
        )
    ):
        yield f"scenario {position} {text[:26]!a}", "scenario", text
    for position, text in enumerate(
        (
            "check = 3",
            "[check]\nid = 'x'",
            "[[check]]",
            "[[check]]\nid = 3",
            "[[check]]\nid = 'x'\ncheck = ''",
            "[[check]]\nid = 'x'\ntitle = 't'\nrun = 'gone'\nalways = 'life > 0'",
            "[builtin]\nfinite = 3",
            "[builtin]\nnothing = true",
            "[runs.x]\nset = { gone = 1 }",
            "[runs]\nx = 3",
            "[[conservation]]",
            "[[conservation]]\nid = 'c'\nstocks = ['gone']",
            "[[conservation]]\nid = 'c'\nstocks = 3",
            "runs = []",
            "[[check]]\nid = 'a'\n[[check]]\nid = 'a'",
            "[builtin]\ntime_step_halving = { tolerance = -1 }",
            "[builtin]\ntime_step_halving = { at = ['x'] }",
        )
    ):
        yield f"checks {position} {text[:26]!a}", "checks", text
    for text in (
        "life",
        "life =",
        "= 4",
        "gone = 1",
        "life = 1, 2",
        "rate = ()",
        "rate = (0,1)",
        "level = 3",
        "life = 'x'",
        "é = 1",
        "life = 4 = 5",
    ):
        yield f"cin {text!a}", "cin", text
    for text in (
        "",
        "\n",
        "date\n0\n",
        "total\n1\n",
        "date,total\nx,1\n",
        "date,total\n0,x\n",
        "date,total\n0\n",
        "date,total\n0,1,2,3\n",
        "date,gone\n0,1\n",
        "date,total\n0,1\n0,2\n",
        "date,level\n0,1\n",
        'date,total\n"0,1\n',
    ):
        yield f"observed {text!a}", "observed", text
    for text in ("", ",\n", "life\n", "life,life\n1,2\n", "life\nx\n", "life\n1,2\n", '"life\n1\n', "gone\n1\n"):
        yield f"design {text!a}", "design", text


def _texts() -> Made:
    for text in (
        "",
        "(",
        "life >",
        "> 1",
        "life > 1 > 2",
        "life[",
        "life[a]",
        "gone > 1",
        "abs()",
        "f(x)",
        "1 if 2",
        "__import__('os')",
        "life; 1",
        "life = 1",
        "'x'",
        "(" * 3000 + "1" + ")" * 3000,
        "1" + "+1" * 5000,
        "life @ 2",
        "life.x",
        "lambda: 1",
        "1e999",
    ):
        yield f"expression {text[:20]!a}", "expression", text
    for text in (
        "",
        "m//s",
        "m^",
        "^2",
        "m^x",
        "2*m",
        "(m",
        "m)",
        "()",
        "m*",
        "*m",
        "m^1e9",
        "m^(1/2)",
        "(" * 3000,
        "m" + "*m" * 5000,
        "$",
        "1/",
        "1//1",
        "m**2",
        "%",
        "m^-1",
        "m^99999999999999",
    ):
        yield f"units {text[:20]!a}", "units", text


def _endless() -> Made:
    """Texts of a reasonable size in which one thing is as long as the file."""
    yield "mdl name", "mdl", 'x = "' + "a " * 200_000 + '" ~~|' + CONTROL
    yield (
        "mdl names that differ in their last letter",
        "mdl",
        "".join(f"{'a' * 900}{n} = 1 ~~|" for n in range(200)) + CONTROL,
    )
    yield "mdl unit", "mdl", f"x = 1 ~ {'*'.join(f'u{n}' for n in range(20_000))} ~|" + CONTROL
    yield "mdl signs", "mdl", f"x = {'-' * 200_000}1 ~~|" + CONTROL
    yield "mdl powers", "mdl", f"x = {'^'.join('2' * 20_000)} ~~|" + CONTROL
    yield "mdl blanks", "mdl", f"x = {' ' * 1_000_000}1 ~~|" + CONTROL
    yield "mdl comments", "mdl", f"x = {'{a}' * 100_000}1 ~~|" + CONTROL
    calls = "".join(f":MACRO: f{n}(x)\nf{n} = f{n - 1}(x) + f{n - 1}(x) ~~|\n:END OF MACRO:\n" for n in range(1, 41))
    yield "mdl calls", "mdl", f":MACRO: f0(x)\nf0 = x ~~|\n:END OF MACRO:\n{calls}x = f40(1) ~~|" + CONTROL
    chain = "".join(f'<model name="m{n}"><variables><module name="m{n + 1}"/></variables></model>' for n in range(2000))
    inner = XMILE.replace("</variables>", '<module name="m0"/></variables>')
    yield "xmile modules", "xmile", inner.replace("</xmile>", chain + '<model name="m2000"/></xmile>')
    twice = "".join(
        f'<model name="m{n}"><variables><module name="a" model="m{n + 1}"/><module name="b" model="m{n + 1}"/>'
        "</variables></model>"
        for n in range(40)
    )
    yield "xmile modules, two in each", "xmile", inner.replace("</xmile>", twice + '<model name="m40"/></xmile>')
    yield "xmile points", "xmile", XMILE.replace("1,2,3", ",".join("1" * 200_000))
    yield "xmile separator", "xmile", XMILE.replace("<ypts>", f"<ypts sep='{'(' * 1000}'>")
    yield "units different", "units", "*".join(f"u{n}" for n in range(20_000))
    yield "units powers", "units", "m" + "^9" * 20_000
    yield "observed cell", "observed", f"date,total\n0,{'1' * 100_000}\n"
    yield "observed columns", "observed", f"date,total,{','.join(f'c{n}' for n in range(20_000))}\n0,1\n"
    for text in ("1_0", "1_000.5", "\u0661", "\uff11", "0x1", "1e5_0", "1\u00a0000", "+-1", "1'000"):
        yield f"observed number {text!a}", "observed", f"date,total\n0,{text}\n"
        yield f"design number {text!a}", "design", f"life\n{text}\n"
    for one, other in (
        ("caf\u00e9", "cafe\u0301"),
        ("rate", "r\u0430te"),
        ("rate", "ra\u200bte"),
        ("\u0130", "i\u0307"),
    ):
        yield f"mdl alike {one!a} {other!a}", "mdl", f"{one} = 1 ~~| {other} = 2 ~~|" + CONTROL


#: After these words a library speaks.
_OF_LIBRARIES = (
    "is not XML:",
    "its content is",
    "this is no TOML",
    "and so no TOML",
    "the data file is",
    "is not text:",
)


def said(case: Case, folder: Path, model: Any) -> str:
    """``accepted``, or the class and the beginning of the error; anything but an error of this package is raised."""
    from cipark_sd.base.errors import CiparkError

    try:
        _READERS[case.reader](case, folder, model)
    except CiparkError as problem:
        text = " ".join(str(problem).replace(str(folder), "FOLDER").replace(str(folder.parent), "ABOVE").split())
        for words in _OF_LIBRARIES:
            # what follows is a library's own, and other in its next version
            head, words, _ = text.partition(words)
            text = head + words
        return f"{type(problem).__name__}: {text[:110]}"
    return "accepted"


def _written(case: Case, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(case.content)
    return path


def _read_model(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.data.scenarios import Scenario
    from cipark_sd.engines.plan import plan
    from cipark_sd.engines.programs import program_for
    from cipark_sd.language.read.model_file import read_model

    read = read_model(_written(case, folder, f"case.{case.reader}"))
    planned = plan(read, Scenario(), save=None, times=None, method=None)
    program_for(read, planned.columns.flat, planned.settings)


def _scenario(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.data.scenarios import read_scenario
    from cipark_sd.engines.plan import plan

    plan(model, read_scenario(_written(case, folder, "case.toml")), save=None, times=None, method=None)


def _checks(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.verify.checks.file import read_checks

    read_checks(_written(case, folder, "case.checks.toml"), model)


def _changes(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.engines.plan import checked
    from cipark_sd.language.read.changes_files import read_changes

    checked(model, read_changes(_written(case, folder, "case.cin"), model))


def _observed(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.pages.figures.observed import read_observed

    read_observed(model, _written(case, folder, "case.csv"))


def _design(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.analysis.runs.design import read_design
    from cipark_sd.engines.base import Settings
    from cipark_sd.simulations.ensembles import drawn

    design = read_design(_written(case, folder, "design.csv"))
    drawn(model, {name: design.rows(0, 1)[:, i] for i, name in enumerate(design.names)}, Settings())


def _expression(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.verify.checks.evaluate import parse_expression

    parse_expression(case.content.decode())


def _units(case: Case, folder: Path, model: Any) -> None:
    from cipark_sd.model.units import UnitSystem

    UnitSystem.of_model(model).parse(case.content.decode())


_READERS: dict[str, Callable[[Case, Path, Any], None]] = {
    "mdl": _read_model,
    "xmile": _read_model,
    "scenario": _scenario,
    "checks": _checks,
    "cin": _changes,
    "observed": _observed,
    "design": _design,
    "expression": _expression,
    "units": _units,
}


def good_model(folder: Path) -> Any:
    """The model that scenarios, checks and tables are read for."""
    from cipark_sd.language.read.model_file import read_model

    path = folder / "good.mdl"
    path.write_text(MDL, encoding="utf-8")
    return read_model(path)


def expected() -> dict[str, str]:
    """What each case must say."""
    lines = EXPECTED.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)  # type: ignore[misc]


def main() -> None:
    import tempfile
    import traceback
    import warnings

    warnings.simplefilter("ignore")
    lines = []
    with tempfile.TemporaryDirectory() as there:
        folder = Path(there) / "folder"
        folder.mkdir()
        model = good_model(folder)
        for case in cases():
            try:
                lines.append(f"{case.name}\t{said(case, folder, model)}")
            except Exception:
                print(case.name)
                traceback.print_exc()
    EXPECTED.parent.mkdir(exist_ok=True)
    EXPECTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
