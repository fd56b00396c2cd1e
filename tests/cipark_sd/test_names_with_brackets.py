"""Names that have brackets themselves, such as "Price [$/kg]": set, saved, drawn, fitted and written like others."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import cipark

from calibration.study.problem import read_problem
from cipark_sd.analysis.experiments.ema import Function
from cipark_sd.analysis.sensitivities.sobol import sensitivity
from cipark_sd.base.errors import CiparkError
from cipark_sd.base.naming import override_key, split_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
#: y = 3 + 2 t of the price of food; the other variables have the same words without brackets, or in them.
MODEL = """
goods: food, fuel ~~|
"Price [$/kg]"[goods] = 2, 5 ~~|
"rate [x]" = 3 ~~|
rate[goods] = 7, 8 ~~|
"Level [m]" = INTEG("Price [$/kg]"[food], "rate [x]") ~~|
y = "Level [m]" ~~|
INITIAL TIME = 0 ~~| FINAL TIME = 2 ~~| TIME STEP = 1 ~~| SAVEPER = 1 ~~|
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "br.mdl"
    file.write_text("{UTF-8}" + MODEL, encoding="utf-8")
    return file


@pytest.fixture
def model(path: Path) -> Model:
    return read_model(path)


def test_a_bracket_that_closes_before_one_opens_is_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "m.mdl"
    file.write_text('{UTF-8}"a]b" = 1 ~~|y = "a]b" ~~|' + MODEL.splitlines()[-1], encoding="utf-8")
    series = json.loads(called("run", file, "--set", "a]b=4", "--variables", "a]b,y", "--json"))["variables"]
    assert [item["values"] for item in series.values()] == [[4, 4, 4]] * 2


def called(*arguments: object) -> str:
    done = cipark(*arguments)
    return done.output


SETTINGS = {
    "rate [x]": [4, 6, 8],
    '"rate [x]"': [4, 6, 8],
    '"RATE  [x]"': [4, 6, 8],
    "Price [$/kg][food]": [3, 7, 11],
    '"Price [$/kg]"[ food ]': [3, 7, 11],
    "Price [$/kg][fuel]": [3, 5, 7],
    "rate[food]": [3, 5, 7],
    "Level [m]": [4, 6, 8],
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("engine", ["native", "numpy", "wasm", "pysd"])
def test_such_a_name_is_set_with_and_without_quotes(name: str, engine: str, model: Model) -> None:
    run = simulate(model, Scenario("s", {name: 4}), engine=engine)
    assert run["y"].to_numpy().tolist() == SETTINGS[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rate [z]", "no element of goods 'z'"),
        ("Price [$/kg][oil]", "no element of goods 'oil'"),
        ("Level [n]", "Level"),
    ],
)
def test_what_is_no_such_name_is_an_error(name: str, message: str, model: Model) -> None:
    with pytest.raises(CiparkError, match=message):
        simulate(model, Scenario("s", {name: 4}))


def test_the_whole_text_is_a_name_before_its_end_is_an_element(write_mdl: Write) -> None:
    both = read_model(
        write_mdl('of: x, z ~~| rate[of] = 1, 2 ~~| "rate [x]" = 5 ~~| y = "rate [x]" + 10 * rate[x] ~~|')
    )
    assert simulate(both, Scenario("s", {"rate [x]": 7}))["y"][0] == 17
    assert simulate(both, Scenario("s", {"rate [z]": 7}))["y"][0] == 15
    assert simulate(both, Scenario("s", {"rate": 7}))["y"][0] == 75


def test_labels_are_names(model: Model) -> None:
    """What is shown can be typed: each label of an element is split into what it was made of."""
    for variable in model.variables:
        for elements, label in zip(model.elements(variable), model.labels(variable), strict=True):
            assert split_key(label) == (variable.name, elements)
            assert model.key(label) == override_key(label)
    assert [variable.label for variable in model.stocks] == ['"Level [m]"']


@pytest.mark.parametrize("suffix", [".mdl", ".xmile"])
@pytest.mark.parametrize("flat", [False, True])
def test_such_names_are_written_and_read_again(suffix: str, flat: bool, path: Path) -> None:
    written = path.with_name(f"again{suffix}")
    called("convert", path, "-o", written, *(["--flat"] if flat else []))
    again = read_model(written)
    assert simulate(again, Scenario("s", {"rate [x]": 4}))["y"].to_numpy().tolist() == [4, 6, 8]


def test_xmile_may_leave_the_quotes_out_of_the_attribute(path: Path) -> None:
    written = path.with_name("again.xmile")
    called("convert", path, "-o", written)
    text = written.read_text(encoding="utf-8")
    assert "&quot;rate [x]&quot;" in text
    written.write_text(text.replace('name="&quot;rate [x]&quot;"', 'name="rate [x]"'), encoding="utf-8")
    assert simulate(read_model(written), Scenario("s", {"rate [x]": 4}))["y"].to_numpy().tolist() == [4, 6, 8]


def test_such_names_are_saved_drawn_and_shown(path: Path, tmp_path: Path) -> None:
    saved, figure = tmp_path / "a.nc", tmp_path / "a.svg"
    called("run", path, "--variables", "Level [m],Price [$/kg]", "-o", saved, "--figure", figure)
    with xr.open_dataset(saved, engine="h5netcdf") as result:
        assert result['"level_[m]"'].to_numpy().tolist() == [3, 5, 7]
    assert "Level" in figure.read_text(encoding="utf-8")
    facts = json.loads(called("run", path, "--variables", "Level [m]", "--json"))
    assert list(facts["variables"]) == ['"Level [m]"']


def test_such_names_vary_in_an_ensemble(path: Path, tmp_path: Path) -> None:
    store = tmp_path / "e"
    vary = ("--vary", "rate [x]=1:2", "--vary", '"Price [$/kg]"[food]=0:1')
    assert "5 of 5 runs are in" in called("ensemble", path, "--runs", 5, *vary, "-o", store)
    texts = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
    assert any(b"rate [x]" in text for text in texts)


def test_such_names_are_ranges_and_outputs_in_python(model: Model) -> None:
    ranges = {"rate [x]": (1, 3), "Price [$/kg][food]": (1, 2)}
    found = sensitivity(model, ranges, ["Level [m]", "y"], n=64)["ST"]
    # the rate plus twice the price, uniform over two and one: each has half of the variance
    np.testing.assert_allclose(found.sel(parameter="rate [x]"), 0.5, atol=0.01)
    assert found.output.values.tolist() == ["Level [m]", "y"]
    with pytest.raises(CiparkError, match=r"no variable 'Levl \[m\]'; did you mean '\"Level \[m\]\"'"):
        sensitivity(model, ranges, ["Levl [m]"], n=64)
    function = Function(model, {"level": ("Level [m]", 2.0)}, Scenario(), "native")
    assert function.many([{"rate [x]": 4.0}, {"rate [x]": 5.0}]) == [{"level": 8.0}, {"level": 9.0}]


def test_such_names_are_levers_outcomes_and_factors(path: Path, tmp_path: Path, built_figures: None) -> None:
    page = tmp_path / "p.html"
    called("play", path, "--levers", "rate [x]", "--variables", "Level [m]", "-o", page)
    assert "rate [x]" in page.read_text(encoding="utf-8")
    called("sensitivity", path, "--method", "tornado", "-o", tmp_path / "s")
    assert "rate [x]" in (tmp_path / "s" / "tornado.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("quotes", [True, False])
def test_such_names_are_read_in_a_study_and_its_policies(quotes: bool, path: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    data = tmp_path / "d.csv"
    data.write_text("time,Level [m]\n1,5\n2,7.5\n", encoding="utf-8")
    called("new-study", path, data, "-o", study)
    for file in ("problem.toml", "policies.toml"):
        text = (study / file).read_text(encoding="utf-8")
        assert '\\"' in text
        if not quotes:
            # an equation needs them
            lines = [line if " * " in line else line.replace('\\"', "") for line in text.splitlines()]
            (study / file).write_text("\n".join(lines), encoding="utf-8")
    problem = read_problem(study)
    assert '"rate [x]"' in problem.space.names
    assert [term.quantities[0].parts[0][0] for term in problem.fitted_terms] == ['"Level [m]"'] * 2
    from cipark_sd.analysis.experiments.catalogue import read_catalogue

    assert {outcome.variable for outcome in read_catalogue(study / "policies.toml", problem.model).outcomes} == {
        '"Level [m]"'
    }
