"""Each corpus model, exported and read back, runs as before, or is refused with what it uses."""

import os
from dataclasses import replace
from pathlib import Path

import exported
import pytest
from places import CORPUS

from cipark_sd.errors import CiparkError, Problems, UnsupportedFeature
from cipark_sd.exporters.flat import flat_model
from cipark_sd.exporters.mdl import write_mdl
from cipark_sd.exporters.xmile import to_xmile, write_xmile
from cipark_sd.frontends.model_file import read_model

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
    "data_raw": "raw",
    "xmile_smooths": "FORECAST with initial trend",
}
#: What each format refuses, by the words of the message; all other corpus models are written and run.
REFUSED: dict[str, dict[str, str]] = {
    ".xmile": {
        "control_from_constants": "XMILE takes a number",
        "data_between_times": "DATA BETWEEN",
        "data_raw": "raw",
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
            write(flat_model(model).model if form.startswith("flat") else model, path)
        assert isinstance(caught.value, UnsupportedFeature | Problems)
        assert not path.exists()
        return
    if form.startswith("flat"):
        flat = flat_model(model)
        names = {new: old for old, new in flat.names.items()}
        write(flat.model, path)
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
