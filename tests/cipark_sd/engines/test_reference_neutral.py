"""What the reference engine builds Python of: labels without a meaning, numbers, and forms on a list."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places import CORPUS

from cipark_sd import Scenario, read_model, simulate
from cipark_sd.engines.reference.allowed import ForeignCode, require_allowed
from cipark_sd.engines.reference.translation import _translation
from cipark_sd.errors import ModelFileError, RunFailed
from cipark_sd.model.model import Model
from cipark_sd.naming import canonical
from cipark_sd.scenarios import TimeSeries

Write = Callable[..., Path]

#: A module as PySD writes it, in the parts that matter here.
MODULE = '''"""
Python model 'model.py'
Translated using PySD
"""

from pathlib import Path
import numpy as np
from pysd.py_backend.statefuls import Integ
from pysd import Component

__pysd_version__ = "3.14.3"
__data = {"scope": None, "time": lambda: 0}
_root = Path(__file__).parent
component = Component()


@component.add(name="v0001", comp_type="Stateful", comp_subtype="Integ", depends_on={"_integ_v0001": 1})
def v0001():
    return _integ_v0001()


_integ_v0001 = Integ(lambda: -v0001() * 2, lambda: 100, "_integ_v0001")
'''


def sources(model: Model) -> str:
    assert model.origin is not None
    return "\n".join(_translation(model.origin.path, model.origin.format, model.digest).sources.values())


def words_of(model: Model) -> set[str]:
    labels = [variable.label for variable in model.variables] + [macro.name for macro in model.macros]
    for dimension in model.dimensions:
        labels += [dimension.label, *dimension.element_labels]
    return {form for label in labels for form in (label, canonical(label)) if len(form) > 4}


@pytest.mark.parametrize(
    "feature", ["names", "macro_several", "data_subscripted", "direct_constants", "subscript_mapping", "xmile_arrays"]
)
def test_no_word_of_a_model_is_in_its_translation(feature: str) -> None:
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.stem == "model" and p.suffix in (".mdl", ".xmile", ".stmx"))
    model = read_model(path)
    own = {"time step", "time_step", "final time", "final_time", "initial time", "initial_time", "saveper", "value"}
    own |= {"TIME STEP", "FINAL TIME", "INITIAL TIME", "SAVEPER", "level", "output", "model"}
    text = sources(model)
    assert [word for word in sorted(words_of(model) - own) if word in text] == []
    assert ".csv" not in text
    assert ".xlsx" not in text


def test_documentation_units_and_names_stay_out_and_results_come_back_under_them(write_mdl: Write) -> None:
    bell = "__import__('cipark_bell').ring()"
    model = read_model(
        write_mdl(
            f'"d\', {bell}, \'" = 2 ~ """;{bell};""" [0,10] ~ """;{bell};""" |\n'
            f"Region: \"'] + [{bell}] + ['\", West ~~|\n"
            f"y[Region] = 3 * \"d', {bell}, '\" ~ ~ \\\nimport cipark_bell |\n"
        )
    )
    assert "cipark_bell" not in sources(model)
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


def test_a_macro_may_be_called_like_a_path(write_mdl: Write) -> None:
    text = ':MACRO: "../../up"(a)\n"../../up" = a * 2 ~~|\n:END OF MACRO:\ny = "../../up"(3) ~~|'
    assert float(simulate(read_model(write_mdl(text)), engine="pysd")["y"][0]) == 6


def test_infinite_literals_are_infinite(write_mdl: Write) -> None:
    run = simulate(
        read_model(write_mdl("a = 1e999 ~~| b = -1e999 ~~| c = 1 / a ~~|")), save=["a", "b", "c"], engine="pysd"
    )
    assert [float(run[name][0]) for name in "abc"] == [np.inf, -np.inf, 0]


def test_a_failure_and_a_warning_speak_of_the_models_own_names(write_mdl: Write) -> None:
    model = read_model(write_mdl("Total = GAMES OF CHANCE(Time) ~~|"))
    with (
        pytest.warns(UserWarning, match="games_of_chance"),
        pytest.raises(RunFailed, match=r"'Total' has no value at time 0: .*'games_of_chance'"),
    ):
        simulate(model, engine="pysd")
    short = read_model(write_mdl("Pool Share = DELAY N(Time, 0.5, 0, 3) ~~|", name="short.mdl"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        simulate(short, engine="pysd")
    told = [str(warning.message) for warning in caught if "delay" in str(warning.message).lower()]
    assert told
    assert "Pool Share" in told[0]
    assert "v0001" not in " ".join(told)


def test_neutral_labels_sort_as_the_true_ones(write_mdl: Write) -> None:
    model = read_model(write_mdl("b = 1 ~~| A = 2 ~~| c d = 3 ~~|"))
    assert model.origin is not None
    labels = _translation(model.origin.path, model.origin.format, model.digest).labels
    assert [labels.meaning[label] for label in sorted(labels.variables[name] for name in ("b", "a", "c_d"))] == [
        "A",
        "b",
        "c d",
    ]


def test_a_mapping_to_a_range_that_does_not_exist_means_nothing(write_mdl: Write) -> None:
    model = read_model(write_mdl("Region: East, West -> Nowhere ~~|\nx[Region] = 1, 2 ~~|\ny = SUM(x[Region!]) ~~|"))
    assert float(simulate(model, save=["y"], engine="pysd")["y"][0]) == 3


def test_a_text_in_an_equation_is_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl("y = MAX('a text', 2) ~~|"))
    with pytest.raises(ModelFileError, match="'a text' is no part of an equation"):
        simulate(model, engine="pysd")


def test_what_pysd_writes_is_on_the_list() -> None:
    require_allowed(MODULE, path=Path("model.mdl"))


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        ("import os", "the import of os"),
        ("import numpy.f2py as np", "the import of numpy.f2py"),
        ("from os import system", "the import of os.system"),
        ("from pysd.py_backend.utils import load_model_data", "the import of pysd.py_backend.utils.load_model_data"),
        ("from . import v0001", "the import of None.v0001"),
        ("eval('1')", "a statement of its own"),
        ("v0002 = eval('v0001')", "the name eval"),
        ("v0002 = __import__('v0001')", "the name __import__"),
        ("v0002 = open('v0001')", "the name open"),
        ("v0002 = getattr(np, 'v0001')", "the name getattr"),
        ("v0002 = component.__class__", "the attribute __class__"),
        ("v0002 = np.load(v0001)", "the attribute load"),
        ("v0002 = np.random.__dict__", "the attribute __dict__"),
        ("v0002 = 'any text'", "the constant 'any text'"),
        ("v0002 = b'v0001'", "the constant"),
        ("v0002 = f'{v0001}'", "the form JoinedStr"),
        ("v0002 = (lambda: 1)()", "a call of a computed function"),
        ("v0002 = [v0001 for v0001 in _root]", "the form ListComp"),
        ("v0002: v0001 = 1", "the form AnnAssign"),
        ("class v0002: pass", "the form ClassDef"),
        ("with v0001: pass", "the form With"),
        ("while v0001: pass", "the form While"),
        ("global v0001", "the form Global"),
        ("del component", "the form Delete"),
        ("@v0001\ndef v0002(): return 1", "the decorator of v0002"),
        ("def v0002(): return 1", "the decorator of v0002"),
        ("@component.add(name='v0002')\ndef v0002():\n    '''any text'''\n    return 1", "a statement of its own"),
        ("@component.add(name='v0002', units='EUR')\ndef v0002(): return 1", "the argument units"),
        ("v0001()", "a statement of its own"),
        ("np.add('v0001')", "a statement of its own"),
        ("_root.joinpath('../up.py')", "a statement of its own"),
        ("v0002 = _root.joinpath('up.py')", "the constant 'up.py'"),
        ("births = 1", "the name births"),
        ("v0002 = *v0001,", "the form Starred"),
        ("v0002 = (births := 1)", "the form NamedExpr"),
        ("def (", "is not Python"),
    ],
)
def test_anything_else_is_refused(hostile: str, named: str) -> None:
    with pytest.raises(ForeignCode) as caught:
        require_allowed(f"{MODULE}\n{hostile}\n", path=Path("model.mdl"))
    assert named in str(caught.value)
    assert "nothing of it was run" in str(caught.value)


def test_a_translation_that_is_not_on_the_list_is_not_loaded(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import pysd.builders.python.python_model_builder as builder

    model = read_model(write_mdl("y = 2 ~~|"))
    build = builder.ElementBuilder._build_element_out
    monkeypatch.setattr(builder.ElementBuilder, "_build_element_out", lambda self: build(self) + "\n\nbirths = 1\n")
    with pytest.raises(ForeignCode, match="the name births"):
        simulate(model, engine="pysd")
