"""One small model for each operator, function and feature, and what each engine makes of it."""

import tomllib
from functools import cache

import numpy as np
import pandas as pd
import pytest
from places import CORPUS, script
from thorough import THOROUGH

from cipark_sd.base.naming import flat_name
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Lookup

FEATURES = sorted(path.name for path in CORPUS.iterdir() if path.is_dir() and not path.name.startswith("_"))
FAULTS = tomllib.loads((CORPUS / "faults.toml").read_text(encoding="utf-8"))
#: What has to agree with the expected values; add an engine here.
ENGINES = ("numpy", "native")
#: Share of a column's scale. The order of a sum and the last bit of a library's exponential may differ: some 1e-15,
#: over at most a hundred steps.
ROUNDING = 1e-12
#: What an array reads from files for some of its elements, a variable of its own here and none in PySD.
PARTS = ("rate_data[", "rate_constants[")


running = script(CORPUS / "running.py")
closed_forms = script(CORPUS / "closed_forms.py")
#: Features whose expected file PySD computes again: those that no closed form holds to it, and every third one of the
#: others; all with ``CIPARK_THOROUGH=1``. Files and PySD rest as they are.
IN_PYSD = [
    feature
    for turn, feature in enumerate(FEATURES)
    if feature not in FAULTS and (THOROUGH or feature not in closed_forms.FORMS or turn % 3 == 0)
]

#: What PySD does not load at all, and what it reads in other words, and why.
NOT_LOADED = {feature for feature, fault in FAULTS.items() if "raises" in fault and not fault.get("reads", True)}
OTHER_WORDS = {
    "data_part_constant": "an array that files give in parts has no line of its own",
    "range_twice": "the second of two places with one range has another name",
    "xmile_initials_by_element": "it is given an array of initial values",
    "xmile_stella_10": "it looks for variables under <variables> alone, and the model is empty",
}


def expected(feature: str) -> pd.DataFrame:
    return pd.read_csv(CORPUS / feature / "expected.csv", comment="#", index_col="time", dtype=float)


@cache
def by_engine(feature: str, engine: str) -> pd.DataFrame:
    """All variables of a model at all saved times, by flat name."""
    from cipark_sd.simulations.simulation import simulate

    model = read_model(running.model_file(CORPUS / feature))
    names = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    run = simulate(model, save=names, engine=engine)
    columns = {
        flat_name(name, elements): run[name].to_numpy().reshape(run.sizes["time"], -1)[:, position]
        for name in names
        for position, elements in enumerate(model.elements(model.by_name[name]))
    }
    return pd.DataFrame(columns, index=pd.Index(run["time"].to_numpy(), name="time"))


def differing(found: pd.DataFrame, wanted: pd.DataFrame) -> list[str]:
    """The columns that differ by more than rounding, or are missing; NaN and infinities have to be in their places."""
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found.index, wanted.index, rtol=1e-12, atol=1e-12)
    wrong = []
    for name in wanted:
        if name not in found:
            wrong.append(name)
            continue
        a, b = found[name].to_numpy(), wanted[name].to_numpy()
        finite = np.isfinite(b)
        scale = np.abs(b[finite]).max(initial=0.0) or 1.0
        same_specials = np.array_equal(a[~finite], b[~finite], equal_nan=True)
        if not (same_specials and np.all(np.abs(a[finite] - b[finite]) <= ROUNDING * scale)):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("feature", FEATURES)
def test_the_expected_file_has_all_variables_that_the_front_end_reads(feature: str) -> None:
    model = read_model(running.model_file(CORPUS / feature))
    names = {
        flat_name(v.name, elements)
        for v in model.variables
        if not isinstance(v, Lookup) and v.name not in CONTROL
        for elements in model.elements(v)
    }
    columns = set(expected(feature).columns)
    assert columns <= names
    # what the file does not list are elements of a range for which there is no equation
    assert {name for name in names - columns if "[" not in name} == set()


@pytest.mark.parametrize("feature", sorted(closed_forms.FORMS))
def test_the_expected_file_is_what_the_closed_form_gives(feature: str) -> None:
    written, computed = expected(feature), _from_text(closed_forms.expected_text(feature))
    assert list(written.columns) == list(computed.columns)
    assert differing(written, computed) == []


def _from_text(text: str) -> pd.DataFrame:
    import io

    return pd.read_csv(io.StringIO(text), comment="#", index_col="time", dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize("feature", IN_PYSD)
def test_pysd_gives_what_is_expected(feature: str) -> None:
    found, wanted = running.pysd_table(CORPUS / feature), expected(feature)
    wanted = wanted[[name for name in wanted if not name.startswith(PARTS)]]
    assert differing(found, wanted) == []
    # initial values by element are given to PySD as an array of its own
    without_equation = {name for name in set(found.columns) - set(wanted.columns) if "initial_value" not in name}
    assert found[sorted(without_equation)].isna().all(axis=None)


@pytest.mark.parametrize("feature", sorted(FAULTS))
def test_pysd_still_has_the_fault(feature: str) -> None:
    fault = FAULTS[feature]
    if "raises" in fault:
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which class is the claim of the next line)
            running.pysd_table(CORPUS / feature)
        assert type(caught.value).__name__ == fault["raises"]
        return
    found = running.pysd_table(CORPUS / feature, fault.get("asked"))
    wanted = expected(feature)
    if "rows" in fault:
        assert len(found) == fault["rows"] != len(wanted)
        return
    assert differing(found, wanted[[name for name in wanted if name in found]]) == fault["columns"]


@pytest.mark.parametrize("feature", sorted(set(FEATURES) - NOT_LOADED))
def test_pysd_reads_the_same_names_dimensions_units_limits_and_comments(feature: str) -> None:
    """The judge of our readers; that equations are read alike, their numbers say."""
    model = read_model(running.model_file(CORPUS / feature))
    ours = {v.name: (v.label, v.dims, v.units, v.limits, v.doc) for v in model.variables}
    theirs = running.pysd_words(CORPUS / feature)
    assert (ours == theirs) is (feature not in OTHER_WORDS), {
        name: (ours.get(name), theirs.get(name))
        for name in ours.keys() | theirs.keys()
        if ours.get(name) != theirs.get(name)
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feature", FEATURES)
def test_an_engine_gives_what_is_expected(feature: str, engine: str) -> None:
    found, wanted = by_engine(feature, engine), expected(feature)
    assert differing(found, wanted) == []
    # initial values by element are given to PySD as an array of its own
    without_equation = {name for name in set(found.columns) - set(wanted.columns) if "initial_value" not in name}
    assert found[sorted(without_equation)].isna().all(axis=None)


@pytest.mark.parametrize("feature", FEATURES)
def test_native_code_is_numpy_bit_for_bit(feature: str) -> None:
    native, numpy = by_engine(feature, "native"), by_engine(feature, "numpy")
    assert list(native.columns) == list(numpy.columns)
    np.testing.assert_array_equal(native.to_numpy(), numpy.to_numpy())


def test_every_fault_and_closed_form_is_of_a_feature_that_exists() -> None:
    assert set(FAULTS) | set(closed_forms.FORMS) <= set(FEATURES)
