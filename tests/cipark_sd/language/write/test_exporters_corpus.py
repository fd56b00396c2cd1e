"""Each corpus model, exported and read back, runs as before, or is refused with what it uses."""

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import exported
import numpy as np
import pytest
from places import CORPUS
from simlin.errors import SimlinError

from cipark_sd.base.errors import CiparkError, Problems, UnsupportedFeature
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.apart import flat_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import to_xmile, write_xmile
from cipark_sd.model.model import Model

FEATURES = sorted(path.name for path in CORPUS.iterdir() if path.is_dir() and not path.name.startswith("_"))

_VECTORS = dict.fromkeys(("vector_rank", "vector_reorder", "vector_sort_order"), "VECTOR")
_ARRAYS_AT_ONCE = {
    "allocate_available": "ALLOCATE AVAILABLE",
    **dict.fromkeys(("allocate_by_priority", "allocate_by_priority_two_dimensions"), "ALLOCATE BY PRIORITY"),
    **dict.fromkeys(("invert_matrix", "invert_matrix_pivots"), "INVERT MATRIX"),
    "allocate_profiles": "ALLOCATE AVAILABLE",
    **dict.fromkeys(("vector_select", "vector_select_changing"), "VECTOR SELECT"),
}
_WAYS = {
    "data_between_times": "DATA BETWEEN",
    "data_computed": "bring its values as data",
    "data_raw": "raw",
}
#: What each format refuses, by the words of the message; all other corpus models are written and run.
REFUSED: dict[str, dict[str, str]] = {
    ".xmile": {
        "control_from_constants": "XMILE takes a number",
        "data_between_times": "DATA BETWEEN",
        "data_computed": "bring its values as data",
        "data_raw": "raw",
        **dict.fromkeys(
            ("delay_n_time_varies", "delay_n_integer_time"), "DELAY N with a time or an order that changes"
        ),
        **dict.fromkeys(
            ("delay_order_reduction", "delay_order_reduction_subscripted"),
            "DELAY N with more stages than steps in its time",
        ),
        "pulse_train_runge_kutta": "PULSE TRAIN under Runge-Kutta",
        "subscript_elements_quoted": "name of a dimension or element",
    },
    ".mdl": _WAYS,
    "flat .mdl": {**_WAYS, **_VECTORS, **_ARRAYS_AT_ONCE},
}


def _model_file(feature: str) -> Path:
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.suffix in (".mdl", ".xmile", ".stmx", ".xml"))
    return path


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("form", REFUSED)
@pytest.mark.filterwarnings("ignore:.*under Vensim's name")
def test_an_exported_corpus_model_runs_as_before(feature: str, form: str, tmp_path: Path) -> None:
    model = read_model(_model_file(feature))
    path = tmp_path / f"again.{form.rpartition('.')[2]}"
    write = write_mdl if path.suffix == ".mdl" else write_xmile
    names: dict[str, str] = {}
    if feature in REFUSED[form]:
        with pytest.raises(CiparkError, match=REFUSED[form][feature]) as caught:
            write(flat_model(model)[0] if form.startswith("flat") else model, path)
        assert isinstance(caught.value, UnsupportedFeature | Problems)
        assert not path.exists()
        return
    if form.startswith("flat"):
        flat, named = flat_model(model)
        names = {new: old for old, new in named.items()}
        write(flat, path)
    else:
        write(model, path)
    again = read_model(path)
    if feature in _ARRAYS_AT_ONCE:
        assert again[model.variables[-1].name].label == model.variables[-1].label
        return
    wanted = exported.by_numpy(model)
    if form.startswith("flat"):
        # an element without an equation is no variable of a flat model
        wanted = wanted.dropna(axis="columns", how="all")
    assert len(wanted) > 1
    assert exported.differing(exported.by_numpy(again).rename(columns=names).loc[wanted.index], wanted) == []


#: Where pysimlin 0.8.5 has another rule than the file's language, and which; of these it is no judge.
OTHER_RULES = {
    **dict.fromkeys(
        ("allocate_available", "allocate_profiles", "allocate_by_priority", "allocate_by_priority_two_dimensions"),
        "its own allocation",
    ),
    **dict.fromkeys(("data_hold_backward", "data_look_forward", "data_part_constant"), "all tables are lines"),
    **dict.fromkeys(("delay_fixed", "delay_fixed_of_a_delay", "smooth_subscripted"), "a fixed delay is smoothed"),
    **dict.fromkeys(("xmile_graphical_functions", "xmile_lookup_extrapolate"), "holds the ends of Vensim's tables"),
    "pulse_runge_kutta": "a step within a stage",
    "xmile_previous_self": "a fixed delay is smoothed",
    "xmile_pulse_between": "a pulse of Vensim's between two steps begins at the step after",
    "saveper_not_a_multiple": "saves other times",
    "sum_over_missing_numbers": "extremes pass over what is no number",
    **dict.fromkeys(("vector_select", "vector_select_changing"), "another smallest of nothing"),
}


def _in_the_other_language(feature: str, folder: Path) -> tuple[Model, Path] | None:
    """A corpus model and its file in the other language; None where that refuses it."""
    file = _model_file(feature)
    model = read_model(file)
    path = folder / ("other.xmile" if file.suffix == ".mdl" else "other.mdl")
    try:
        (write_xmile if path.suffix == ".xmile" else write_mdl)(model, path)
    except CiparkError:
        return None
    return model, path


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.filterwarnings("ignore:.*under Vensim's name")
def test_another_engine_runs_the_exported_file_and_agrees(feature: str, tmp_path: Path) -> None:
    """Our own way back shares its rules with our way there; pysimlin reads the written file without them."""
    written = _in_the_other_language(feature, tmp_path)
    if written is None:
        pytest.skip("the other language refuses it")
    model, path = written
    try:
        theirs = exported.by_simlin(path)
    except SimlinError as problem:
        pytest.skip(f"pysimlin does not run it: {str(problem)[:80]}")
    ours = exported.by_numpy(model)
    wrong = exported.differing(theirs, ours) if np.allclose(theirs.index, ours.index) else ["time"]
    assert bool(wrong) == (feature in OTHER_RULES), (OTHER_RULES.get(feature), wrong)


_COMMON = "eqn mathml units doc gf dimensions event_poster scale range format element"
_OF_ELEMENTS = "eqn mathml gf event_poster"
_NAMED = "name access autoexport subscript ai_state"
#: By element: its children, its attributes, and which of both have to be there. Source: XMILE 1.1, the schema of the
#: standard (System-Dynamics-Society-Inc/xmile-spec, spec/schema/xmile.xsd.xml). <init_eqn> is isee's.
STRUCTURE = {
    "xmile": ("header sim_specs model_units behavior data style macro model dimensions", "version", "header version"),
    "header": ("vendor name version caption author created modified uuid options product", "", ""),
    "options": ("uses_arrays uses_conveyors uses_queues uses_submodels uses_macros", "namespace", ""),
    "uses_arrays": ("", "maximum_dimensions invalid_index_value", "maximum_dimensions"),
    "product": ("", "version lang", "version"),
    "sim_specs": ("start stop dt run", "time_units method pause", "start stop"),
    "model_units": ("unit", "", ""),
    "unit": ("eqn alias", "name disabled", "name"),
    "xmile/dimensions": ("dim", "", ""),
    "dimensions/dim": ("elem", "name size", "name"),
    "elem": ("", "name", "name"),
    "model": ("sim_specs behavior variables views", "name resource run password", "variables"),
    "variables": ("stock flow aux gf group module", "", ""),
    "variables/stock": (f"{_COMMON} inflow outflow queue non_negative conveyor", _NAMED, ""),
    "variables/flow": (f"{_COMMON} multiplier non_negative overflow leak", f"{_NAMED} leak_start leak_end", ""),
    "variables/aux": (f"{_COMMON} init_eqn", f"{_NAMED} flow_concept", ""),
    "element": (f"{_OF_ELEMENTS} init_eqn", "subscript", "subscript"),
    "dimensions": ("dim", "", ""),
    "gf": ("xscale yscale xpts ypts", "name type", "ypts"),
    "xscale": ("", "min max", ""),
    "yscale": ("", "min max", ""),
    "range": ("", "min max", ""),
    "non_negative": ("", "", ""),
    "variables/group": ("doc entity", "name", "name"),
    "entity": ("", "name", "name"),
    "views": ("style view", "", ""),
    "view": ("style stock flow aux module group connector alias", "type background page_width page_height", ""),
    "view/stock": ("shape", "name x y", ""),
    "view/aux": ("shape", "name x y", ""),
    "view/flow": ("shape pts", "name x y", "pts"),
    "view/group": ("item", "name x y width height", ""),
    "alias": ("of shape", "uid x y", ""),
    "connector": ("from to", "uid x y angle delay_mark line_style polarity", "from to"),
    "from": ("alias", "", ""),
    "pts": ("pt", "", "pt"),
    "pt": ("", "x y", ""),
}
_NUMBERS = ("x", "y", "width", "height", "angle", "uid", "min", "max", "maximum_dimensions")


def _outside(node: ET.Element, holder: str) -> Iterator[str]:
    """What of an element the standard does not have there."""
    tag = node.tag.partition("}")[2]
    entry = STRUCTURE.get(f"{holder}/{tag}") or STRUCTURE.get(tag, ("", "", ""))
    children, attributes, needed = (set(part.split()) for part in entry)
    own = {key for key in node.attrib if not key.startswith("{")}
    inside = {child.tag.partition("}")[2] for child in node}
    yield from (f"<{tag}> holds {name}" for name in sorted((inside - children) | (own - attributes)))
    yield from (f"<{tag}> lacks {name}" for name in sorted(needed - inside - own))
    for key in own.intersection(_NUMBERS):
        float(node.attrib[key])
    if tag == "xmile" and node[0].tag.partition("}")[2] != "header":
        yield "the header does not come first"
    for child in node:
        yield from _outside(child, tag)


@pytest.mark.filterwarnings("ignore:.*under Vensim's name")
def test_exports_have_the_structure_of_the_standard() -> None:
    wrong: dict[str, set[str]] = {}
    for feature in [name for name in FEATURES if name not in REFUSED[".xmile"]]:
        model = read_model(_model_file(feature))
        own = replace(model, drawing="") if model.drawing.startswith("<") else model
        wrong[feature] = set(_outside(ET.fromstring(to_xmile(own)), ""))
    assert {feature: parts for feature, parts in wrong.items() if parts} == {}


def test_what_the_standard_does_not_have_is_found() -> None:
    text = to_xmile(read_model(_model_file("ramp_function")))
    for old, new, found in (
        ("<aux ", '<aux lamp="on" ', "<aux> holds lamp"),
        ("<variables>", "<variables><oven/>", "<variables> holds oven"),
        ("<stop>", "<until>", "<sim_specs> lacks stop"),
    ):
        planted = ET.fromstring(
            text.replace(old, new, 1).replace("</stop>", "</until>" if new == "<until>" else "</stop>")
        )
        assert found in set(_outside(planted, ""))


SCHEMA = os.environ.get("CIPARK_XMILE_SCHEMA", "")


@pytest.mark.skipif(not SCHEMA, reason="CIPARK_XMILE_SCHEMA names no copy of the schema, whose rights are reserved")
@pytest.mark.filterwarnings("ignore:.*under Vensim's name")
def test_exports_are_valid_by_the_standards_own_schema() -> None:
    """XSD 1.1 (System-Dynamics-Society-Inc/xmile-spec, spec/schema/xmile.xsd.xml), but for isee's ``<init_eqn>``.

    Only drawings that come from Vensim's are ours; those of an XMILE file are kept as they were.
    """
    schema = pytest.importorskip("xmlschema").XMLSchema11(SCHEMA)
    wrong: dict[str, list[str]] = {}
    for feature in [name for name in FEATURES if name not in REFUSED[".xmile"]]:
        model = read_model(_model_file(feature))
        errors = schema.iter_errors(to_xmile(replace(model, drawing="") if model.drawing.startswith("<") else model))
        wrong[feature] = [str(error.reason) for error in errors if "init_eqn" not in str(error.reason)]
    assert {feature: reasons for feature, reasons in wrong.items() if reasons} == {}
