"""``import cipark_sd as cp``: what a line of Python may say in place of three."""

import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import calibration
import cipark_sd as cp
from cipark_sd.analysis.sensitivities.evaluation import Evaluation, Output
from cipark_sd.analysis.sensitivities.factors import Factor, Factors
from cipark_sd.analysis.sensitivities.response import ModelResponse
from cipark_sd.analysis.sensitivities.sobol import sobol
from cipark_sd.base.errors import InvalidValue, UnknownName

Write = Callable[..., Path]
POOL = """
Region: East, West ~~|
Share[Region] = 0.1, 0.2 ~ 1/Year ~ What leaves |
Pool Size[Region] = INTEG(-Share[Region] * Pool Size[Region], 100) ~ firm ~ Who is left |
Growth Rate = 0.05 ~ 1/Year ~ |
Town Stock = INTEG(Growth Rate * Town Stock, 10) ~ firm ~ |
"""


@pytest.fixture
def path(write_mdl: Write) -> Path:
    return write_mdl(POOL, name="pool.mdl")


def test_paths_and_mappings_mean_models_and_scenarios(path: Path) -> None:
    model, high = cp.read_model(path), cp.Scenario("", {"Growth Rate": 0.1})
    run = cp.simulate(model, high)
    assert cp.simulate(path, {"Growth Rate": 0.1}).identical(run)
    assert cp.simulate(str(path), high).identical(run)
    runs = cp.ensemble(path, [{"Growth Rate": 0.1}, {"Growth Rate": 0.2}], save=["Town Stock"])
    np.testing.assert_array_equal(runs.cp["Town Stock"].isel(run=0), run["town_stock"])
    shared = cp.ensemble(path, {"Share[East]": [0.3]}, save=["Town Stock"], scenario={"Growth Rate": 0.1})
    np.testing.assert_array_equal(shared.cp["Town Stock"].isel(run=0), run["town_stock"])
    assert set(cp.ensemble(path, [{}]).data_vars) == set(cp.simulate(path).data_vars)
    with pytest.raises(InvalidValue, match=r"Study is neither a model nor a path; its model is \.model"):
        cp.simulate(cp.read_study("flu_1978"))  # type: ignore[arg-type]


def test_the_path_of_a_scenario_file_means_what_is_in_it(path: Path, tmp_path: Path) -> None:
    values, run = {"Growth Rate": 0.1}, cp.simulate(path, {"Growth Rate": 0.1})
    toml, changes = tmp_path / "high.toml", tmp_path / "high.cin"
    toml.write_text('[set]\n"Growth Rate" = 0.1\n')
    changes.write_text("Growth Rate = 0.1\n")
    for file in (toml, str(toml), changes):
        np.testing.assert_array_equal(cp.simulate(path, file)["town_stock"], run["town_stock"])
        assert cp.start(path, file).scenario.overrides == cp.Scenario("", values).overrides
    many = cp.ensemble(path, [toml, {}], save=["Town Stock"], scenario=str(changes))
    np.testing.assert_array_equal(many.cp["Town Stock"], np.stack([run["town_stock"]] * 2))
    with pytest.raises(InvalidValue, match=r"hig\.toml does not exist; did you mean 'high\.toml'"):
        cp.simulate(path, tmp_path / "hig.toml")
    with pytest.raises(InvalidValue, match=r"the scenario is 3, expected .* or the path of a scenario file"):
        cp.simulate(path, 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="runs are a list of scenarios, or an array of draws by name, and not"):
        cp.ensemble(path, str(toml))


def test_variables_are_had_by_the_names_that_people_write(path: Path) -> None:
    run = cp.simulate(path)
    assert run.cp["Town Stock"].equals(run["town_stock"])
    assert run.cp["town  stock"].equals(run["town_stock"])
    assert run.cp["Pool Size[West]"].equals(run["pool_size"].sel(region="West", drop=False))
    with pytest.raises(UnknownName, match="did you mean 'Town Stock'"):
        run.cp["Town Stok"]
    with pytest.raises(UnknownName, match=r"'wst'.*did you mean 'West'"):
        run.cp["Pool Size[Wst]"]


def test_an_ensemble_keeps_what_was_drawn(path: Path, tmp_path: Path) -> None:
    shares = np.array([[0.1, 0.2], [0.3, 0.4]])
    draws = {"Growth Rate": [0.01, 0.02], "Share": shares, "Pool Size[East]": [5.0, 6.0], "Town Stock": [7.0, 8.0]}
    runs = cp.ensemble(path, draws, save=["Town Stock"])
    assert runs.cp["Growth Rate"].to_numpy().tolist() == [0.01, 0.02]
    assert runs["growth_rate"].attrs == {"long_name": "Growth Rate", "units": "1/Year", "kind": "drawn"}
    np.testing.assert_array_equal(runs["share"].sel(region="West"), shares[:, 1])
    assert runs["pool_size[east]"].to_numpy().tolist() == [5.0, 6.0]
    # a stock that is kept has its course under its name, and what was drawn for its beginning beside it
    assert runs["initial_town_stock"].to_numpy().tolist() == [7.0, 8.0]
    assert runs.cp["Town Stock"].isel(time=0).to_numpy().tolist() == [7.0, 8.0]
    cp.save(runs, tmp_path / "runs.nc")
    assert cp.load(tmp_path / "runs.nc")["growth_rate"].to_numpy().tolist() == [0.01, 0.02]


def test_a_model_says_in_a_line_what_it_is_and_in_a_notebook_what_is_in_it(path: Path, write_mdl: Write) -> None:
    model = cp.read_model(path)
    assert repr(model) == (
        f"<Model pool: 2 stocks, 0 auxiliaries, 2 constants; 0 to 10 Year in steps of 0.25; digest {model.digest[:12]}>"
    )
    table = model._repr_html_()
    for text in ("Pool Size", "Who is left", "1/Year", "<th scope='col'>Unit</th>"):
        assert text in table
    hostile = cp.read_model(write_mdl("a = 1 ~ <b>x</b> ~ <script> |\nx = INTEG(a, 0) ~~|\n", name="h.mdl"))
    assert "<script>" not in hostile._repr_html_()
    assert "<b>" not in hostile._repr_html_()


def test_sensitivity_in_one_line_is_that_of_the_package_below(path: Path) -> None:
    model = cp.read_model(path)
    found = cp.sensitivity(path, {"Growth Rate": (0, 0.1), "Share[East]": (0, 1)}, "Town Stock", n=64)
    factors = Factors((Factor("Growth Rate", lambda u: 0.1 * u), Factor("Share[East]", lambda u: u)))
    outputs = (Output("Town Stock", "Town Stock"),)
    evaluation = Evaluation(model, factors.names, outputs, np.array([10.0]), cp.Scenario(), "native")
    response = ModelResponse(factors, evaluation)
    whole = sobol(response, n=64, seed=1)
    np.testing.assert_array_equal(found["ST"], whole["ST"])
    assert float(found["ST"].sel(parameter="Growth Rate").squeeze()) == pytest.approx(1, abs=0.05)
    assert float(found["ST"].sel(parameter="Share[East]").squeeze()) == 0
    two = cp.sensitivity(path, {"Growth Rate": (0, 0.1)}, ["Town Stock"], n=16, times=[2, 4])
    assert two["time"].to_numpy().tolist() == [2, 4]
    with pytest.raises(InvalidValue, match="the smaller first"):
        cp.sensitivity(path, {"Growth Rate": (1, 0)}, "Town Stock")


def test_a_fan_shows_the_median_and_bands_of_the_runs(path: Path) -> None:
    runs = cp.ensemble(path, {"Growth Rate": np.linspace(0, 0.1, 21)}, save=["Town Stock", "Pool Size"])
    figure = cp.plot_fan(runs, "Town Stock", title="A town")
    (axes,) = figure.axes
    (median,) = axes.lines
    np.testing.assert_array_equal(median.get_ydata(), runs["town_stock"].isel(run=10))
    bands = [collection.get_label() for collection in axes.collections]
    assert bands == ["90% of the runs", "50% of the runs"]
    path_ = axes.collections[0].get_paths()[0].vertices
    high = np.quantile(runs["town_stock"].isel(time=-1), 0.95)
    assert path_[:, 1].max() == pytest.approx(high)
    with pytest.raises(InvalidValue, match="one element of it"):
        cp.plot_fan(runs, "Pool Size")


@pytest.mark.parametrize("package", [cp, calibration], ids=["cipark_sd", "calibration"])
def test_no_public_name_is_that_of_a_room(package: ModuleType) -> None:
    rooms = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert len(rooms) > 8
    assert rooms.isdisjoint(package.__all__), "importing the room would hide the name, or the name the room"


def test_rooms_are_imported_by_their_names_and_public_names_stay_what_they_are() -> None:
    code = (
        "import sys, cipark_sd as cp; print('cipark_sd.data.results' not in sys.modules);"
        "import cipark_sd.simulations.ensembles as runs, cipark_sd.analysis.sensitivities.sobol as indices;"
        "print(cp.ensemble is runs.ensemble, cp.sensitivity.__name__, indices.__name__)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.split() == ["True", "True", "sensitivity", "cipark_sd.analysis.sensitivities.sobol"]


def test_every_public_name_has_a_docstring_with_an_example() -> None:
    wanted = ("read_model", "simulate", "ensemble", "Scenario", "calibrate", "sensitivity", "load", "save")
    for name in (*wanted, "plot_run", "plot_fan"):
        function = calibration.calibrate if name == "calibrate" else getattr(cp, name)
        assert ">>> " in (function.__doc__ or ""), name


def test_a_study_is_fitted_and_said_in_a_line() -> None:
    fit = cp.calibrate("nist_rat42", starts=4, profiles=False)
    # certified by NIST: 7.2462237576E+01, 2.6180768402E+00, 6.7359200066E-02
    assert list(fit.estimates.values())[:3] == pytest.approx([72.462237576, 2.6180768402, 0.067359200066], rel=1e-5)
    assert repr(fit).startswith("<Fit of ")
    assert len(repr(fit)) < 400
    with pytest.raises(UnknownName):
        cp.calibrate("nist_rat4")
