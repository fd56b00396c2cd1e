"""What PySD is given of a stranger's model: neutral labels, numbers and Vensim's own words, and nothing else."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import CORPUS

from cipark_sd import Scenario, read_model, simulate
from cipark_sd.base.errors import ModelFileError, Problems, RunFailed, UnsupportedFeature
from cipark_sd.base.naming import canonical
from cipark_sd.data.scenarios import TimeSeries
from cipark_sd.engines.base import Settings
from cipark_sd.engines.reference import text as reference_text
from cipark_sd.engines.reference.text import neutral_text, require_neutral
from cipark_sd.model.model import CONTROL, Model

Write = Callable[..., Path]


def given(model: Model) -> str:
    return neutral_text(model, Settings(), dict.fromkeys(CONTROL, 1.0))[0]


@pytest.mark.parametrize(
    "feature", ["names", "macro_several", "data_subscripted", "direct_constants", "subscript_mapping", "xmile_arrays"]
)
def test_no_word_of_a_model_is_in_its_text(feature: str) -> None:
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.stem == "model" and p.suffix in (".mdl", ".xmile", ".stmx"))
    model = read_model(path)
    labels = [variable.label for variable in model.variables if variable.name not in CONTROL]
    labels += [word for dim in model.dimensions for word in (dim.label, *dim.element_labels)]
    words = {form for label in labels for form in (label, canonical(label)) if len(form) > 2}
    assert [word for word in sorted(words) if word in given(model)] == []


def test_documentation_units_and_names_stay_out_and_results_come_back_under_them(write_mdl: Write) -> None:
    bell = "__import__('cipark_bell').ring()"
    model = read_model(
        write_mdl(
            f'"d\', {bell}, \'" = 2 ~ """;{bell};""" [0,10] ~ """;{bell};""" |\n'
            f"Region: \"'] + [{bell}] + ['\", West ~~|\n"
            f"y[Region] = 3 * \"d', {bell}, '\" ~ ~ \\\nimport cipark_bell |\n"
        )
    )
    assert "cipark_bell" not in given(model)
    save = ["y", f"d', {bell}, '"]
    run, other = simulate(model, save=save, engine="pysd"), simulate(model, save=save, engine="numpy")
    assert run["y"].to_numpy().tolist() == other["y"].to_numpy().tolist()
    assert list(run["region"].to_numpy()) == list(other["region"].to_numpy())
    assert float(run[canonical(save[1])][0]) == 2


def test_a_data_variable_whose_name_is_a_program_is_data(write_mdl: Write) -> None:
    name = "d', __import__('cipark_bell').ring(), '"
    model = read_model(write_mdl(f'"{name}" ~~|\ny = 2 * "{name}" ~~|'))
    scenario = Scenario("", {name: TimeSeries((0.0, 10.0), (1.0, 2.0))})
    run = simulate(model, scenario, engine="pysd", save=["y"], times=[0, 5])
    assert run["y"].to_numpy().tolist() == [2, 3]


def test_a_variable_called_value_hides_nothing() -> None:
    model = read_model(CORPUS / "variable_called_value" / "model.mdl")
    run, other = simulate(model, engine="pysd"), simulate(model, engine="numpy")
    for name in other.data_vars:
        np.testing.assert_array_equal(run[name], other[name])


def test_infinite_literals_are_infinite(write_mdl: Write) -> None:
    run = simulate(
        read_model(write_mdl("a = 1e999 ~~| b = -1e999 ~~| c = 1 / a ~~|")), save=["a", "b", "c"], engine="pysd"
    )
    assert [float(run[name][0]) for name in "abc"] == [np.inf, -np.inf, 0]


def test_a_failure_and_a_warning_speak_of_the_models_own_names(write_mdl: Write) -> None:
    model = read_model(write_mdl("Pool Share = DELAY N(Time, 0.5, 0, 3) ~~| Total = 1 / (2 - Time) ~~|"))
    failed = pytest.raises(RunFailed, match=r"'Total' has no value at time 2: .*division by zero")
    with warnings.catch_warnings(record=True, action="always") as caught, failed:
        simulate(model, engine="pysd")
    told = [str(warning.message) for warning in caught if "delay" in str(warning.message).lower()]
    assert told
    assert "Pool Share" in told[0]
    assert "v0001" not in " ".join(told)


def test_neutral_labels_sort_as_the_true_ones(write_mdl: Write) -> None:
    model = read_model(write_mdl("b = 1 ~~| A = 2 ~~| c d = 3 ~~|"))
    _, _, meaning = neutral_text(model, Settings(), dict.fromkeys(CONTROL, 1.0))
    assert [meaning[label] for label in sorted(meaning)] == ["A", "b", "c d"]


def test_points_of_tables_keep_all_their_digits(write_mdl: Write) -> None:
    # PySD writes them with eight
    model = read_model(write_mdl("y = WITH LOOKUP(Time, ((0,0.123456789012),(10,1.123456789012))) ~~|"))
    assert float(simulate(model, engine="pysd")["y"][0]) == 0.123456789012


def test_a_text_in_an_equation_is_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl("y = MAX('a text', 2) ~~|"))
    with pytest.raises(ModelFileError, match="'a' is no part of an equation; nothing was run"):
        simulate(model, engine="pysd")


def test_functions_of_whole_vectors_are_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl("D: A, B ~~| c[D] = 2, 1 ~~| y[D] = VECTOR RANK(c[D], 1) ~~|"))
    with pytest.raises((UnsupportedFeature, Problems), match="VECTOR RANK"):
        simulate(model, engine="pysd")


def test_what_a_text_consists_of_passes() -> None:
    require_neutral(
        "v0001 = INTEG(-v0002 * 2.5e-3, (0-6.0))~~|\n"
        "v0003 = IF THEN ELSE(Time >= 1.0 :AND: v0001 <> 2.0, 1.0, 0.0)~~|\n"
        "v0004((0.0, 1.0), (1e-09, 2.0))~~|\nTIME STEP = 1.0~~|\n",
        where="model",
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "v0001 = births~~|",
        "v0001 = __import__(v0002)~~|",
        "v0001 = v0002.__class__~~|",
        "v0001 = 'v0002'~~|",
        'v0001 = "v0002"~~|',
        "v0001 = 1 ~ m ~ words |",
        "v0001 = v0002; v0003~~|",
        "v0001 = v0002\\\n~~|",
        "v0001 = `v0002`~~|",
        "v0001 = 1 # v0002~~|",
        "v0001 = \u00e9~~|",
        "v0001 = 1e5x~~|",
        "{UTF-8}v0001 = 1~~|",
        "v1 = 1~~|",
    ],
)
def test_anything_else_is_refused(hostile: str) -> None:
    with pytest.raises(ModelFileError, match="is no part of an equation; nothing was run"):
        require_neutral(hostile, where="model")


def test_a_word_that_slips_through_is_not_given_to_pysd(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read_model(write_mdl("births = 2 ~~|"))

    def worded(made: Model, **fields: object) -> Model:
        return made if "label" in fields else replace(made, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(reference_text, "replace", worded)
    with pytest.raises(ModelFileError, match="'births' is no part of an equation"):
        simulate(model, engine="pysd")


def test_a_delay_of_half_a_step_more_says_nothing_of_the_insides_of_pysd(write_mdl: Write) -> None:
    path = write_mdl("x = DELAY FIXED(Time, 0.375, 0) ~~|", final=2, step=0.25)
    with warnings.catch_warnings(record=True, action="always") as caught:
        run = simulate(read_model(path), engine="pysd")
    assert float(run["x"][-1]) == 1.5
    assert not [str(warning.message) for warning in caught if "delay" in str(warning.message).lower()]
