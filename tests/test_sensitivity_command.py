"""The command, its files and figures on a small model, and its messages."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

from cipark_sd.cli import cli
from cipark_sd.commands.sensitivity_files import Found, figures
from cipark_sd.errors import CiparkError
from cipark_sd.sensitivity.ranking import Moment

MODEL = """
Stock= INTEG(Stock*Rate*Switch*(1-Stock/Room),Start) ~ unit ~ |
Start= 1 ~ unit ~ |
Rate= 1 ~ 1/Year ~ |
Room= 100 ~ unit ~ |
Switch= 1 ~ Dmnl ~ |
"""


@pytest.fixture
def run(write_mdl, tmp_path):
    path = write_mdl(MODEL, final=20, step=0.25)

    def call(*arguments, target=str(path)):
        folder = tmp_path / "out"
        given = [*([target] if target else []), *arguments]
        result = CliRunner().invoke(cli, ["sensitivity", *given, "-o", str(folder)], catch_exceptions=True)
        return result, folder

    return call


def test_a_bare_model_leaves_datasets_tables_figures_and_a_text(run):
    result, folder = run(
        "-n",
        "64",
        "--method",
        "morris",
        "--method",
        "sobol",
        "--method",
        "sample",
        "--method",
        "tornado",
        "--method",
        "dgsm",
        "--method",
        "shapley",
        "--pairs",
        "Rate",
        "--pairs",
        "Room",
    )
    assert result.exit_code == 0, result.output
    names = {path.name for path in folder.iterdir()}
    assert {"sobol.nc", "sample.nc", "morris.nc", "dgsm.nc", "shapley.nc", "tornado.nc"} <= names
    assert {
        "ranking.csv",
        "indices.csv",
        "second_order.csv",
        "fan.csv",
        "modes.csv",
        "measures.csv",
        "pawn.csv",
    } <= names
    assert {"indices.png", "convergence.png", "fan.png", "shapley.png", "scatter_stock_at-the-end.png"} <= names
    assert not any(name.endswith(".partial") for name in names)
    text = (folder / "summary.txt").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("Stock, at the end: Room (")
    assert "S-shaped growth" in text


def test_a_dataset_has_the_dims_that_are_documented(run):
    _, folder = run("-n", "64", "--method", "sobol")
    with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as found:
        assert found["S1"].dims == ("parameter", "output", "time")
        assert found["ST_at_n"].dims == ("n", "parameter", "output", "time")
        assert {"S1_conf", "ST_conf", "variance", "n_failed", "reason", "leading"} <= set(found.data_vars)
        assert found["reason"].sel(time=0.0).item() == ""


def test_an_effect_is_added_to_each_output(run):
    result, folder = run("-n", "64", "--method", "sobol", "--effect", "Switch=0", "--leave-out", "Switch")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(folder / "ranking.csv")
    assert set(table["output"]) == {"Stock", "Stock, effect against Switch=0"}
    assert "Switch" not in set(table["name"])


def test_draws_bring_their_dependence_and_the_rest_stays_as_it_was(run, tmp_path):
    rng = np.random.default_rng(1)
    z = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=500)
    table = pd.DataFrame({"Rate": 1 + 0.1 * z[:, 0], "Room": 100 + 10 * z[:, 1], "noise": z[:, 0]})
    table.to_csv(tmp_path / "draws.csv", index=False)
    result, folder = run("-n", "256", "--draws", str(tmp_path / "draws.csv"))
    assert result.exit_code == 0, result.output
    with xr.open_dataset(folder / "sample.nc", engine="h5netcdf") as drawn:
        assert set(drawn["parameter"].to_numpy()) == {"Rate", "Room", "Start", "Switch"}
        columns = drawn["constants"].sel(parameter=["Rate", "Room"]).to_numpy()
    assert np.corrcoef(columns.T)[0, 1] == pytest.approx(0.9, abs=0.05)


def test_a_stopped_design_is_resumed(run):
    run("-n", "64", "--method", "sobol")
    result, folder = run("-n", "128", "--method", "sobol", "--resume")
    assert result.exit_code == 0
    with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as found:
        assert found.attrs["rows"] == 128


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-n", "100"), "a power of two such as 64 or 128"),
        (("--output", "Stok"), "did you mean 'Stock'"),
        (("--range", "1.5"), "a share between 0 and 1"),
        (("--pairs", "Rate"), "two constants at least"),
        (("--pairs", "Rate", "--pairs", "Rom", "--method", "sobol"), "did you mean 'Room'"),
        (("--at", "99"), "one of the run, 0 to 20"),
        (("--draws", "none.csv", "--method", "sobol"), "do not depend on each other"),
        (("--draws", "none.csv"), "columns by name"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, message):
    result, _ = run(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, CiparkError) or "error" in result.output
    assert message in f"{result.exception} {result.output}"


def test_a_study_keeps_its_priors(run):
    result, _ = run("--range", "0.5", target="great_stone")
    assert "a study has priors" in f"{result.exception} {result.output}"


def test_there_is_no_figure_of_what_was_not_computed():
    assert list(figures(Found("nothing", [Moment("now", 0.0)]))) == []
