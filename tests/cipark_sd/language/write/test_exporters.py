"""What is exported is the same model: read back, run by PySD, and run by an independent engine."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import exported
import pytest
from lxml import etree
from places import TESTS
from stella import stella
from thorough import THOROUGH

from cipark_sd.base.errors import InvalidValue, ModelFileError, Problems, UnsupportedFeature
from cipark_sd.base.files import write_whole
from cipark_sd.base.library import bundled
from cipark_sd.compiler.unroll import unroll
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.apart import flat_model
from cipark_sd.language.write.mdl import write_mdl as save_mdl
from cipark_sd.language.write.xmile import ConversionWarning, to_xmile, write_xmile
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Neg, rebuild
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Lookup, Series, Stock, Variable, rewritten

XMILE = {"x": "http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"}
Write = Callable[..., Path]


MODELS: dict[str, str] = exported.MODELS
#: Variables that an export adds for what has no name in the original.
ADDED = re.compile(r" (net flow|initial|table)( \d+)?(\[.*)?$")


def signs_folded(expr: Expr) -> Expr:
    """``-2`` read as a number or as a sign before one."""
    expr = rebuild(expr, signs_folded)
    return Const(-expr.operand.value) if isinstance(expr, Neg) and isinstance(expr.operand, Const) else expr


def guarded_quotients(model: Model) -> Model:
    """The model with ZIDZ written out, whose zero XMILE's SAFEDIV does not have."""

    def change(expr: Expr) -> Expr:
        match rebuild(expr, change):
            case Call("zidz", (over, under)):
                return If(Binary("<", Call("abs", (under,)), Const(1e-6)), Const(0.0), over / under)
            case other:
                return other

    return replace(model, variables=tuple(rewritten(variable, change) for variable in model.variables))


def described(variable: Variable) -> tuple[object, ...]:
    return type(variable), variable.label, variable.units, variable.doc, variable.limits, variable.group


def content(model: Model) -> dict[str, tuple[object, ...]]:
    """What each element of each variable is called, is said to be, and is computed by."""
    flat = unroll(model)
    return {variable.name: described(variable) for variable in flat if not ADDED.search(variable.label)}


def equations(model: Model) -> dict[str, object]:
    found: dict[str, object] = {}
    for variable in unroll(model):
        match variable:
            case Auxiliary(pieces=pieces):
                found[variable.name] = signs_folded(pieces[0].expr)
            case Stock(pieces=stocks):
                found[variable.name] = signs_folded(stocks[0].flow), signs_folded(stocks[0].initial)
            case _:
                found[variable.name] = variable.pieces
    return found


@pytest.mark.parametrize("title", MODELS)
@pytest.mark.parametrize("ending", [".xmile", ".mdl"])
def test_names_units_texts_ranges_and_kinds_come_back(
    write_mdl: Write, tmp_path: Path, title: str, ending: str
) -> None:
    model = read_model(write_mdl(MODELS[title]))
    path = tmp_path / f"again{ending}"
    (write_xmile if ending == ".xmile" else save_mdl)(model, path)
    again = read_model(path)
    wanted = content(model)
    if title == "lookups" and ending == ".xmile":
        # XMILE's readers have no tables with subscripts: each is a table by itself
        wanted = {name.replace("curve[a]", "curve_a").replace("curve[b]", "curve_b"): v for name, v in wanted.items()}
        wanted |= {f"curve_{e}": (*v[:1], f"Curve {e.upper()}", *v[2:]) for e in "ab" for v in [wanted[f"curve_{e}"]]}
    assert content(again) == wanted
    assert (again.time, again.unit_synonyms) == (model.time, model.unit_synonyms)
    assert [d.element_labels for d in again.dimensions] == [d.element_labels for d in model.dimensions]


@pytest.mark.parametrize("ending", [".xmile", ".mdl"])
def test_the_equations_of_the_park_come_back_as_they_were(tmp_path: Path, ending: str) -> None:
    model = read_model(bundled())
    path = tmp_path / f"cipark{ending}"
    (write_xmile if ending == ".xmile" else save_mdl)(model, path)
    again = read_model(path)
    wanted = equations(guarded_quotients(model) if ending == ".xmile" else model)
    assert equations(again) == wanted
    assert content(again) == content(model)
    assert [v.name for v in unroll(again)] == [v.name for v in unroll(model)]


@pytest.mark.parametrize("title", MODELS)
def test_pysd_gives_the_same_for_the_vensim_file_and_its_exports(write_mdl: Write, tmp_path: Path, title: str) -> None:
    source = write_mdl(MODELS[title])
    model = read_model(source)
    write_xmile(model, tmp_path / "a.xmile", inline_lookups=True)
    save_mdl(model, tmp_path / "b.mdl")
    original = exported.by_pysd(source)
    assert exported.differing(exported.by_pysd(tmp_path / "a.xmile"), original) == []
    assert exported.differing(exported.by_pysd(tmp_path / "b.mdl"), original) == []


@pytest.mark.parametrize("title", MODELS)
def test_the_flat_model_is_the_subscripted_one_in_pysd(write_mdl: Write, tmp_path: Path, title: str) -> None:
    source = write_mdl(MODELS[title])
    model = read_model(source)
    flat, names = flat_model(model)
    save_mdl(flat, tmp_path / "flat.mdl")
    found = exported.by_pysd(tmp_path / "flat.mdl").rename(columns={new: old for old, new in names.items()})
    assert exported.differing(found, exported.by_pysd(source)) == []


#: What pysimlin 0.8 does not have (DELAY N, SMOOTH N) or takes for something else, in Vensim files as well (DELAY FIXED
#: for an exponential delay); a model without them has to agree.
SIMLIN_LACKS = re.compile(r"(dn|sn|df) = \w+ (N|FIXED)\([^~]*~ unit ~ \|")


@pytest.mark.parametrize("title", MODELS)
def test_an_independent_engine_runs_the_export_and_agrees(write_mdl: Write, tmp_path: Path, title: str) -> None:
    model = read_model(write_mdl(SIMLIN_LACKS.sub("", MODELS[title])))
    write_xmile(model, tmp_path / "a.xmile")
    assert exported.differing(exported.by_simlin(tmp_path / "a.xmile"), exported.by_numpy(model)) == []


def test_what_a_module_holds_is_read_by_other_engines_once_written(tmp_path: Path) -> None:
    path = stella(
        tmp_path / "a.stmx",
        '<aux name="Farm Level"><eqn>2</eqn></aux><module name="Farm"><connect to="Farm.rate" from="Farm_Level"/>'
        '</module><aux name="seen"><eqn>Farm.Level * 10</eqn></aux>',
        after='<model name="Farm"><variables><aux name="rate" access="input"><eqn>0</eqn></aux>'
        '<stock name="Level"><eqn>1</eqn><inflow>growing</inflow></stock>'
        '<flow name="growing"><eqn>rate</eqn></flow></variables></model>',
    )
    with pytest.warns(
        ConversionWarning, match=r"'Farm.rate' is written as 'Farm rate', and 2 more so: a dot in a name"
    ):
        write_xmile(read_model(path), tmp_path / "b.xmile")
    again = exported.by_numpy(read_model(tmp_path / "b.xmile"))
    assert again["farm_level_2"].tolist() == [1 + 2 * t for t in range(9)]  # farm_level is the constant
    assert exported.differing(exported.by_simlin(tmp_path / "b.xmile"), again) == []
    assert exported.differing(exported.by_pysd(tmp_path / "b.xmile"), again) == []


def test_pysimlin_reads_tables_by_name_and_pysd_those_that_are_written_in_place(
    write_mdl: Write, tmp_path: Path
) -> None:
    model = read_model(write_mdl("f((0,0),(10,5)) ~ m ~ Doc | x = f(Time) + f(1) ~~|"))
    write_xmile(model, tmp_path / "a.xmile")
    write_xmile(model, tmp_path / "b.xmile", inline_lookups=True)
    assert "LOOKUP(f, " in (tmp_path / "a.xmile").read_text(encoding="utf-8")
    assert isinstance(read_model(tmp_path / "a.xmile")["f"], Lookup)
    assert exported.differing(exported.by_simlin(tmp_path / "a.xmile"), exported.by_numpy(model)) == []
    assert "x" in exported.by_pysd(tmp_path / "b.xmile")


@pytest.mark.parametrize("save", [save_mdl, write_xmile])
def test_data_without_values_stay_data_variables(write_mdl: Write, tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / f"again{'.mdl' if save is save_mdl else '.xmile'}"
    save(read_model(write_mdl("seen ~ m ~ Counted | x = seen + 1 ~~|")), path)
    assert isinstance(read_model(path)["seen"], Series)


@pytest.mark.parametrize("equation", ["NAN", "IF TIME &gt; 1 THEN NAN ELSE 1"])
def test_vensim_has_no_word_for_a_value_that_is_no_number(tmp_path: Path, equation: str) -> None:
    path = stella(tmp_path / "a.stmx", f'<aux name="x"><eqn>{equation}</eqn></aux>')
    with pytest.raises(UnsupportedFeature, match="write :NA:, or a number"):
        save_mdl(read_model(path), tmp_path / "again.mdl")


@pytest.mark.parametrize("title", MODELS)
def test_an_export_has_the_structure_of_the_standard(write_mdl: Write, title: str) -> None:
    assert_valid(to_xmile(read_model(write_mdl(MODELS[title]))))


def assert_valid(text: str) -> None:
    schema = etree.RelaxNG(etree.parse(TESTS / "xmile_schema" / "xmile.rng"))
    document = etree.fromstring(text.encode())
    assert schema.validate(document), schema.error_log
    variables = {
        kind: {
            "_".join(name.split()).casefold()
            for name in document.xpath(f"//x:variables/x:{kind}/@name", namespaces=XMILE)
        }
        for kind in ("stock", "flow", "aux")
    }
    for end in ("inflow", "outflow"):
        named = [text.strip('"').casefold() for text in document.xpath(f"//x:{end}/text()", namespaces=XMILE)]
        assert len(named) == len(set(named)), "a flow has one stock at either end"
        assert set(named) <= variables["flow"]
    known = set().union(*variables.values())
    uids = document.xpath("//x:view/x:alias/@uid", namespaces=XMILE)
    assert uids or not document.xpath("//x:from/x:alias", namespaces=XMILE)
    drawn = document.xpath("//x:of/text() | //x:from/text() | //x:to/text()", namespaces=XMILE)
    assert {name.strip().strip('"').casefold() for name in drawn if name.strip()} <= known


def test_a_flow_that_fills_two_stocks_gets_a_second_flow(write_mdl: Write) -> None:
    text = to_xmile(read_model(write_mdl("g = 2 ~~| A = INTEG(g, 0) ~~| B = INTEG(g, 0) ~~|")))
    assert text.count("<inflow>g</inflow>") == 1
    assert '<flow name="B net flow">' in text


def test_the_committed_xmile_is_a_fresh_export() -> None:
    """``cipark convert models/cipark.mdl --inline-lookups -o models/cipark.xmile`` after each change of the master."""
    version = re.compile(r'<product version="[^"]*"')
    # with a table by name pysimlin ends the whole process
    fresh = to_xmile(read_model(bundled()), inline_lookups=True)
    assert version.sub("", bundled("cipark.xmile").read_text(encoding="utf-8")) == version.sub("", fresh)


def test_the_park_is_valid_and_drawn_sector_by_sector() -> None:
    text = to_xmile(read_model(bundled()))
    assert_valid(text)
    document = etree.fromstring(text.encode())
    sectors = document.xpath("//x:variables/x:group/@name", namespaces=XMILE)
    drawn = document.xpath("//x:view/x:group/@name", namespaces=XMILE)
    assert drawn == [name for name in sectors if name != "Control"]
    shown = document.xpath("//x:view/*[self::x:stock or self::x:flow or self::x:aux]/@name", namespaces=XMILE)
    assert len(shown) == len(set(shown)) == len(read_model(bundled()).variables) - 4


@pytest.mark.slow
def test_pysd_runs_the_export_of_a_whole_model_as_we_run_it(tmp_path: Path) -> None:
    """The core, whose text PySD reads in a third of the time; the park with ``CIPARK_THOROUGH``."""
    model, until = read_model(exported.coarse(tmp_path, "cipark.mdl" if THOROUGH else "core.mdl")), 2016.0
    flat, _ = flat_model(model)
    save_mdl(flat, tmp_path / "flat.mdl")
    write_xmile(flat, tmp_path / "flat.xmile", inline_lookups=True)
    write_xmile(model, tmp_path / "cipark.xmile", inline_lookups=True)
    # PySD takes longest to read; that the flat model is one in both formats is pysimlin's to say
    a, b = exported.by_simlin(tmp_path / "flat.mdl"), exported.by_simlin(tmp_path / "flat.xmile")
    assert exported.differing(b, a.drop(columns="saveper", errors="ignore")) == []
    # that it is the model is PySD's, which reads the text of the flat one in test_certify.py
    by_xmile = exported.by_pysd(tmp_path / "cipark.xmile", until)
    ours = exported.by_numpy(model).loc[:until]
    # a balance of counts that is nothing but rounding, which sums in another order round otherwise
    if "conservation_residual" in ours:
        assert max(table.pop("conservation_residual").abs().max() for table in (ours, by_xmile)) < 1e-9
    # a table within an equation is a variable in XMILE
    tables = [name for name in by_xmile if re.search(r"_table(_\d+)?$", str(name)) and name not in ours]
    control = ["initial_time", "final_time", "time_step", "saveper"]
    assert exported.differing(ours, by_xmile.drop(columns=[*control, *tables])) == []


def test_an_independent_engine_runs_the_park_in_both_formats_alike(tmp_path: Path) -> None:
    write_xmile(read_model(bundled()), tmp_path / "cipark.xmile", inline_lookups=True)
    a, b = exported.by_simlin(bundled()), exported.by_simlin(tmp_path / "cipark.xmile")
    assert exported.differing(b, a.drop(columns="saveper", errors="ignore")) == []


def test_everything_that_xmile_cannot_say_is_reported_at_once(write_mdl: Write) -> None:
    model = read_model(write_mdl("a = NPV(Time, 1, 2, 3) ~~| b = NPVE(a, 1, 2, 3) ~~|"))
    with pytest.raises(Problems, match=r"(?s)'a' uses the function VENSIM NPV.*'b' uses the function VENSIM NPVE"):
        to_xmile(model)


def test_flat_names_that_collide_are_an_error(write_mdl: Write) -> None:
    model = read_model(write_mdl("D: A, B ~~| x[D] = 1, 2 ~~| x A = 3 ~~|"))
    with pytest.raises(InvalidValue, match=r"flat name of 'x\[A\]' and 'x A'"):
        flat_model(model)


def test_functions_of_a_whole_vector_have_no_flat_form(write_mdl: Write) -> None:
    model = read_model(write_mdl("D: A, B ~~| x[D] = 1, 2 ~~| r[D] = VECTOR RANK(x[D], 1) ~~|"))
    with pytest.raises(UnsupportedFeature, match="'r' uses VECTOR RANK"):
        flat_model(model)


def test_an_unfinished_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mdl"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mdl"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nowhere.*cannot be written"):
        write_whole(tmp_path / "nowhere" / "a.mdl", "")


def test_a_control_character_becomes_no_xml_that_none_can_read(write_mdl: Write) -> None:
    """Vensim has them in comments of old files; an escape sequence in a name was written as it is."""
    texts = "level = INTEG(rate, 1) ~ item ~ form\x0cfeed |\nrate = 1 ~ item ~ |"
    written = etree.fromstring(to_xmile(read_model(write_mdl(texts))).encode())
    assert next(node.text for node in written.iter("{*}doc")) == "form feed"
    with pytest.raises(UnsupportedFeature, match=r"a control character in a name.*rename it"):
        to_xmile(read_model(write_mdl('"a\x1b]0;x\x07" = 1 ~ ~ |')))
