"""What a stranger asks of ``cipark sensitivity``: names, options, models with holes; and what is drawn beside."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import cipark
from growth_study import growth_study

from cipark_sd.analysis.sensitivities.evaluation import Output
from cipark_sd.analysis.sensitivities.factors import Factor, Factors
from cipark_sd.analysis.sensitivities.response import model_response
from cipark_sd.base.errors import Problems, UnknownName
from cipark_sd.commands.sensitivity.request import Request
from cipark_sd.commands.sensitivity.target import inputs_of, target_of
from cipark_sd.pages.blocks import Picture
from cipark_sd.pages.page import read_page

STRANGE = """
Region: North, South ~ ~ |
Birth Rate[Region]= 0.04, 0.02 ~ 1/Year ~ |
Migration= -3 ~ person/Year ~ |
Offset= 0 ~ person ~ |
Room= 1000 ~ person ~ |
Threshold= 1.1 ~ Dmnl ~ |
People[Region]= INTEG(Birth Rate[Region]*People[Region]*(1-People[Region]/Room)+Migration, 100) ~ person ~ |
Total= SUM(People[Region!])+Offset ~ person ~ |
Still= 7+0*Room ~ Dmnl ~ |
Doubtful= SQRT(Threshold-1.05)*Total ~ person ~ |
"""

PROBLEM = growth_study("Rate", (0.01, 1), 0.1)
WRONG = """
[[moment]]
label = "some day"
[[output]]
variable = "Stock"
without = 3
range = [2, 1]
[[factor]]
name = "Stock"
bounds = [1, 2]
mode = 3
why = "judgement"
[[factor]]
name = "Rate"
bounds = [2, 1]
why = "judgement"
[[shares]]
parts = ["a", "b"]
means = [0.5]
concentration = -1
why = "judgement"
[[drain]]
flow = "growing"
stock = "Stock"
"""


@pytest.fixture
def strange(write_mdl):
    return write_mdl(STRANGE, final=20, step=0.25, saveper=1)


def test_a_model_with_subscripts_holes_and_an_output_at_rest_is_explained(strange, tmp_path, built_figures):
    asked = [
        "--variables",
        "Total",
        "--variables",
        "Still",
        "--variables",
        "Doubtful",
        "--rows",
        "16",
        "--method",
        "sobol",
        "--allow-failed",
        "0.5",
    ]
    called = ["sensitivity", str(strange), *asked, "-o", str(tmp_path / "out")]
    result = cipark(*called)
    assert "held, since it is zero: Offset" in result.output
    assert "Still, at the end: no ranking, since the variance is negligible" in result.output
    with xr.open_dataset(tmp_path / "out" / "sobol.nc", engine="h5netcdf") as found:
        assert set(found["parameter"].to_numpy()) >= {"Birth Rate[North]", "Birth Rate[South]", "Migration"}
        failed = found["n_failed"].isel(time=-1)
        assert int(failed.sel(output="Total")) == 0
        assert 0 < int(failed.sel(output="Doubtful")) < found.attrs["runs"]
        assert float(found["ST"].sel(output="Total", parameter="Threshold").max()) == 0.0
        assert found["time"].attrs["units"] == "Year"


def test_all_mistakes_of_a_call_are_told_at_once(strange):
    with pytest.raises(Problems) as caught:
        target_of(
            Request(
                str(strange),
                outputs=("Totall", "People[East]"),
                leave_out=("Rom", "Birth Rate[East]"),
                moments=("99",),
                rows=100,
                methods=("tornado",),
            )
        )
    told = "\n".join(str(problem) for problem in caught.value.problems)
    for message in (
        "a power of two such as 64 or 128",
        "did you mean 'Total'",
        "has no element 'People[East]'; did you mean 'People[South]' or 'People[North]'",
        "did you mean 'Room'",
        "Birth Rate has no element",
        "one of the run, 0 to 20",
    ):
        assert message in told
    assert len(caught.value.problems) == 6


def test_a_mistake_on_the_command_line_ends_with_code_two(strange):
    result = cipark("sensitivity", strange, "--leave-out", "Rom", code=2)
    assert isinstance(result.exception, UnknownName) or result.exit_code == 2


def test_without_an_output_the_elements_of_the_first_stocks_are_explained(strange):
    study = target_of(Request(str(strange)))[1]
    assert [output.variable for output in study.outputs] == ["People[North]", "People[South]"]


def test_the_folder_of_a_fit_stands_for_its_draws(strange, tmp_path):
    rng = np.random.default_rng(1)
    posterior = xr.Dataset({name: (("chain", "draw"), rng.random((2, 50))) for name in ("Room", "Threshold")})
    xr.DataTree.from_dict({"/posterior": posterior}).to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    request = Request(str(strange), draws=tmp_path)
    question = inputs_of(request, *target_of(request), 64).question
    assert question.factors.names[:2] == ("Room", "Threshold")


def test_an_output_that_fails_takes_no_other_with_it(strange):
    from cipark_sd.language.read.model_file import read_model

    factors = Factors((Factor("Threshold", lambda shares: 1.0 + 0.1 * shares),))
    asked = [Output("total", "Total"), Output("doubtful", "Doubtful")]
    response = model_response(read_model(strange), factors, asked, times=[0.0, 20.0])
    values = response(response.scores(np.array([[0.2], [0.8]])), np.arange(2, dtype=np.uint64))
    assert np.isfinite(values[:, 0]).all()
    assert np.isnan(values[0, 1]).all()
    assert np.isfinite(values[1, 1]).all()


def test_loop_dominance_is_told_in_tables_a_figure_and_words(write_mdl, tmp_path):
    path = write_mdl("People= INTEG(Rate*People*(1-People/Room),1) ~ ~ |\nRate= 1 ~ ~ |\nRoom= 100 ~ ~ |", final=10)
    asked = ["sensitivity", str(path), "--method", "tornado", "--loops", "2", "-o", str(tmp_path / "out")]
    result = cipark(*asked)
    assert "Feedback loops with the largest share of all scores" in result.output
    page = read_page(tmp_path / "out")
    (section,) = (section for section in page.sections if section.title.startswith("Leading feedback loops"))
    assert any(isinstance(block, Picture) and block.file.startswith("loops.") for block in section.blocks)
    bands = pd.read_csv(tmp_path / "out" / "loop_bands.csv")
    assert set(bands["leads"]) <= {0.0, 0.5, 1.0}
    over_time = pd.read_csv(tmp_path / "out" / "loops.csv")
    assert over_time.groupby("run")["time"].nunique().nunique() == 1
    assert over_time["run"].nunique() == 3


def test_progress_is_shown_where_someone_watches(monkeypatch, capsys):
    from cipark_sd.base.console import progress_bars

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress_bars() as bars:
        advance = bars.counter("sobol, runs")
        advance(5, 10)
        bars.show("searches", 1, 4, "best of Rate[a]")
    shown = capsys.readouterr().err
    assert "sobol, runs" in shown
    assert "5/10" in shown
    # square brackets stay what they are
    assert "searches, best of Rate[a]" in shown


def test_all_mistakes_of_a_studys_file_are_told_at_once(tmp_path, write_mdl):
    from calibration.commands.for_analyses.study import read

    (tmp_path / "grow.mdl").write_bytes(write_mdl("Stock= INTEG(Rate*Stock,1) ~ ~ |\nRate= 0.1 ~ ~ |").read_bytes())
    (tmp_path / "seen.csv").write_text("time,stock\n1,1\n2,2\n", encoding="utf-8")
    (tmp_path / "problem.toml").write_text(PROBLEM, encoding="utf-8")
    (tmp_path / "sensitivity.toml").write_text(WRONG, encoding="utf-8")
    with pytest.raises(Problems) as caught:
        read(tmp_path).question()
    told = "\n".join(str(problem) for problem in caught.value.problems)
    for message in (
        "[low, high] with low below high",
        "a number from 1 to 2",
        "as many positive numbers as parts",
        "a positive number",
        "a table such as",
        "moment: time is None",
        "a stock has its lower limit in the model file, as [0,?]",
    ):
        assert message in told


def test_a_hundred_times_at_most_are_analysed_unless_asked(write_mdl, tmp_path, built_figures):
    path = write_mdl("Stock= INTEG(-Stock*Rate,Start) ~~| Start= 10 ~~| Rate= 0.1 ~~|", final=50, step=0.25)
    saved = np.arange(0, 50.25, 0.25)

    def times(*options, of=path):
        out = tmp_path / "out"
        done = cipark("sensitivity", of, "--method", "tornado", *options, "-o", out)
        with xr.open_dataset(out / "tornado.nc") as found:
            return found["time"].to_numpy(), done.output

    thinned, told = times("--at", "17.25")
    assert len(thinned) in (100, 101)
    assert set(thinned) <= set(saved)
    assert {0.0, 17.25, 50.0} <= set(thinned)
    assert np.diff(thinned).max() <= 0.75
    assert f"{len(thinned)} of 201 saved times are analysed; --every TIME chooses others" in told
    every, told = times("--every", "0.25")
    assert np.array_equal(every, saved)
    assert "saved times are analysed" not in told
    assert np.array_equal(times("--every", "5")[0], np.arange(0, 55, 5.0))
    assert "100 of 225 saved times are analysed" in times("--draws", "prior", of="flu_1978")[1]
