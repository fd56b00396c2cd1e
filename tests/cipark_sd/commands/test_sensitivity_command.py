"""The command, its files and figures on a small model, and its messages."""

import html
import re
import shutil
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from approved import approved
from command_line import cipark
from growth_study import growth_study
from left_fit import leave_fit
from no_computing import forbid_computing

from cipark_sd.analysis.sensitivities.factors import Factor, Factors
from cipark_sd.analysis.sensitivities.ranking import Ranked
from cipark_sd.analysis.study import find_study
from cipark_sd.base.checkpoints import FOLDER, Checkpoint
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.commands.sensitivity.findings import FILE, Inputs, load
from cipark_sd.commands.sensitivity.output import Ranking, nothing_yet, parts, title
from cipark_sd.commands.sensitivity.request import Request
from cipark_sd.pages.blocks import FirstScreen, Picture, Table
from cipark_sd.pages.page import read_page
from cipark_sd.statements.claims import Basis

MODEL = """
Stock= INTEG(Stock*Rate*Switch*(1-Stock/Room),Start) ~ unit ~ |
Start= 1 ~ unit ~ |
Rate= 1 ~ 1/Year ~ |
Room= 100 ~ unit ~ |
Switch= 1 ~ Dmnl ~ |
"""
TIMES = "INITIAL TIME= 0 ~ Year ~| FINAL TIME= 20 ~ Year ~| TIME STEP= 0.25 ~ Year ~| SAVEPER= TIME STEP ~ Year ~|\n"


@pytest.fixture
def drawing(write_mdl, tmp_path):
    return caller(write_mdl(MODEL, final=20, step=0.25), tmp_path / "out")


@pytest.fixture
def run(drawing, undrawn_figures):
    return drawing


def caller(model, folder):
    def call(*arguments, target=str(model)):
        given = [*([target] if target else []), *arguments]
        result = cipark("sensitivity", *given, "-o", folder, code=None, catch_exceptions=True)
        return result, folder

    return call


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """What all methods leave."""
    place = tmp_path_factory.mktemp("everything")
    model = place / "model.mdl"
    model.write_text("{UTF-8}\n" + MODEL + TIMES, encoding="utf-8")
    asked = [word for method in ("sobol", "sample", "tornado", "shapley") for word in ("--method", method)]
    result, folder = caller(model, place / "out")("--rows", "64", *asked)
    assert result.exit_code == 0, result.output
    return folder


def test_a_bare_model_leaves_datasets_tables_figures_and_a_text(everything):
    names = {path.name for path in everything.iterdir()}
    assert {"sobol.nc", "sample.nc", "shapley.nc", "tornado.nc"} <= names
    assert {"ranking.csv", "indices.csv", "fan.csv", "measures.csv"} <= names
    assert {"indices.svg", "fan.svg", "tornado.svg"} <= names
    assert {"report.json", "report.html"} <= names
    assert not any(name.endswith(".partial") for name in names)
    text = (everything / "summary.txt").read_text(encoding="utf-8")
    assert "\nStock, at the end: Room (" in text


def test_a_dataset_has_the_dims_that_are_documented(everything):
    with xr.open_dataset(everything / "sobol.nc", engine="h5netcdf") as found:
        assert found["S1"].dims == ("parameter", "output", "time")
        assert {"S1_conf", "ST_conf", "variance", "n_failed", "reason", "leading"} <= set(found.data_vars)
        assert found["reason"].sel(time=0.0).item() == ""


def test_a_ranking_says_where_the_output_goes_with_each_constant(everything):
    blocks = [block for section in read_page(everything).sections for block in section.blocks]
    tables = [block for block in blocks if isinstance(block, Table)]
    ranked = next(table for table in tables if "output with it low, high" in table.head)
    start = next(row for row in ranked.rows if row[1] == "Room")
    low, high = map(float, start[3].split(", "))
    assert low < high  # a larger room holds more


def test_draws_are_run_as_they_are_and_what_has_none_is_held_there_and_freed_beside_them(run, tmp_path):
    """A banana, which no copula of ranks has."""
    rng = np.random.default_rng(1)
    u, noise = rng.normal(size=(2, 500))
    rate = 1 + 0.2 * u
    table = pd.DataFrame({"Rate": rate, "Room": 100 - 5 * u**2 + noise, "noise": u})
    table.to_csv(tmp_path / "draws.csv", index=False)
    result, folder = run("--rows", "256", "--draws", str(tmp_path / "draws.csv"))
    assert result.exit_code == 0, result.output
    with xr.open_dataset(folder / "sample.nc", engine="h5netcdf") as drawn:
        assert set(drawn["parameter"].to_numpy()) == {"Rate", "Room"}
        columns = drawn["constants"].sel(parameter=["Rate", "Room"]).to_numpy()
    assert np.array_equal(columns, table[["Rate", "Room"]].to_numpy())
    with xr.open_dataset(folder / "ranges.nc", engine="h5netcdf") as freed:
        assert set(freed["parameter"].to_numpy()) == {"Rate", "Room", "Start", "Switch"}
    assert "2 constants have no draws. They are held as the study or the model file says" in result.output
    page = read_page(folder)
    (section,) = [s for s in page.sections if s.title == "With what the fit holds, over assumed ranges"]
    captions = [block.caption for block in section.blocks if isinstance(block, Table)]
    assert any("over the draws of the fit and assumed ranges" in caption for caption in captions)
    # what an assumed range does is neither a headline nor known
    assert all(not {"Start", "Switch"} & set(record.estimand.split()) for record in page.headlines)


def test_neither_a_share_nor_how_far_a_range_goes_stands_under_known(run, tmp_path):
    rng = np.random.default_rng(1)
    pd.DataFrame({"Rate": 1 + 0.1 * rng.normal(size=400), "Room": 100 + 10 * rng.normal(size=400)}).to_csv(
        tmp_path / "draws.csv", index=False
    )
    for source in ((), ("--draws", tmp_path / "draws.csv")):
        result, folder = run("--rows", "128", *source)
        assert result.exit_code == 0, result.output
        screen = read_page(folder).sections[0].blocks[0]
        assert "variance" not in screen.known
        assert "variance" in screen.not_known
        # a band of what somebody assumed is known no more than that
        assert ("at the median" in screen.not_known, "at the median" in screen.known) == (not source, bool(source))
        assert not re.search("Shapley|Sobol|index", " ".join([screen.title, screen.known, screen.not_known]))
        assert screen.subject.startswith("What would narrow Stock most?")
        assert "Room" in screen.title
    assert "Stock at Year 20: 100 units at the median" in screen.known


def test_draws_that_have_not_converged_rank_nothing_and_have_no_band(run, study, tmp_path):
    rng = np.random.default_rng(1)
    posterior = xr.Dataset({"Room": (("chain", "draw"), 100 + 9 * rng.normal(size=(4, 100)))})
    tree = xr.DataTree.from_dict({"/posterior": posterior})
    tree.attrs = {"converged": 0}
    tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    result, folder = run("--draws", tmp_path / "draws.nc", target=str(study))
    assert result.exit_code == 0, result.output
    screen = read_page(folder).sections[0].blocks[0]
    assert screen.known == "Nothing beyond the report of the fit."
    assert "no ranking, since the sampling of the draws has not converged" in screen.not_known
    assert screen.picture is None
    assert not list(folder.glob("fan.svg"))


def test_draws_of_a_stock_s_start_are_taken_as_those_of_a_constant(run, tmp_path):
    """A fit names a start that is no constant by its stock; drawn from the prior it would be told as posterior."""
    rate, stock = np.random.default_rng(2).normal([[1.0], [2.0]], 0.1, (2, 500))
    pd.DataFrame({"Rate": rate, "Stock": stock}).to_csv(tmp_path / "draws.csv", index=False)
    result, folder = run("--rows", "256", "--draws", str(tmp_path / "draws.csv"))
    assert result.exit_code == 0, result.output
    with xr.open_dataset(folder / "sample.nc", engine="h5netcdf") as drawn:
        starts = drawn["constants"].sel(parameter="Stock").to_numpy()
    assert np.array_equal(starts, stock)


def test_more_rows_go_on_from_a_design_that_is_kept_and_fresh_starts_anew(run, monkeypatch):
    save = Checkpoint.save
    with monkeypatch.context() as patched:
        # numbers that no design has, under the right key: whoever takes the entry shows them
        patched.setattr(
            Checkpoint, "save", lambda entry, arrays: save(entry, arrays | {"failed": arrays["failed"] + 1e6})
        )
        _, folder = run("--rows", "128", "--method", "sobol")

    def n_failed(*more):
        result, _ = run("--rows", "256", "--method", "sobol", *more)
        assert result.exit_code == 0, result.output
        with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as found:
            assert found.attrs["rows"] == 256
            return int(found["n_failed"].max())

    assert n_failed() == 1e6
    assert n_failed("--fresh") == 0
    assert n_failed() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows", "100"), "a power of two such as 64 or 128"),
        (("--variables", "Stok"), "did you mean 'Stock'"),
        (("--range", "1.5"), "a share between 0 and 1"),
        (("--at", "99"), "one of the run, 0 to 20"),
        (("--draws", "none.csv", "--method", "sobol"), "do not depend on each other"),
        (("--draws", "none.csv"), "none.csv does not exist"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, arguments, message):
    result, _ = run(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, CiparkError) or "error" in result.output
    assert message in f"{result.exception} {result.output}"


def test_a_folder_is_made_again_from_its_findings_byte_by_byte_and_nothing_is_computed(drawing, tmp_path):
    result, folder = drawing("--rows", "64", "--method", "sobol", "--method", "sample")
    assert result.exit_code == 0, result.output
    again = tmp_path / "again"
    again.mkdir()
    kept = {FILE, "sobol.nc", "sample.nc"}
    for name in kept:
        shutil.copy(folder / name, again)
    with pytest.MonkeyPatch.context() as patch:
        forbid_computing(patch)
        made = cipark("report", "--print", again, "-o", tmp_path / "all.html")
    assert made.exit_code == 0, (made.output, made.exception)
    names = {path.name for path in folder.iterdir()} - {FOLDER}
    assert {"report.html", "summary.txt", "measures.csv", "fan.svg"} <= names
    print_too = {
        name.removesuffix(".svg") + ending for name in names if name.endswith(".svg") for ending in (".png", ".pdf")
    }
    assert {path.name for path in again.iterdir()} == names | print_too
    for name in sorted(names):
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name
    # the numbers are those of the tables
    records = {(record.estimand, record.kind): record for record in read_page(folder).headlines}
    fan = pd.read_csv(folder / "fan.csv").set_index(["output", "time", "percentile"])["fan"]
    median = records["Stock at 20", "median"]
    assert median.number == fan["Stock", 20.0, 50.0]
    assert (median.interval.low, median.interval.high) == (fan["Stock", 20.0, 5.0], fan["Stock", 20.0, 95.0])
    assert (median.unit, median.estimate, median.basis.n, median.interval.level) == (
        "unit", "median over ranges", 1024, 0.9,
    )  # fmt: skip
    assert median.study_digest == ""
    ranking = pd.read_csv(folder / "ranking.csv")
    first = ranking[(ranking["output"] == "Stock") & (ranking["place"] == 1)].iloc[0]
    index = records[f"total index of {first['name']} for Stock at 20", "index"]
    assert (index.number, index.interval.high, index.basis.n) == (first["total"], first["high"], 64)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert median.value in page
    assert html.escape(str(median.interval)) in page
    # the answer comes first, in the numbers of the records
    box = re.sub(r"<[^>]*>", "", page[page.index('<section class="first"') : page.index('<details class="part"')])
    assert f"{first['name']} moves Stock most" in box
    assert f"Stock at Year 20: {median.value} at the median, " in html.unescape(box)
    # an interval stays on one line
    said = html.unescape(box).replace("\u00a0", " ")
    assert f"{first['name']} {first['total']:.0%} (95%: {first['low']:.0%} to " in said


def test_findings_are_frozen_and_those_of_another_place_are_refused(run, tmp_path):
    _, folder = run("--rows", "64", "--method", "tornado")
    found = load(folder)
    with pytest.raises(FrozenInstanceError):
        found.notes = ()
    for name in ("tornado.nc", FILE):
        (folder / name).rename(tmp_path / name)
        with pytest.raises(InvalidValue, match=name):
            load(folder)


def test_a_study_keeps_its_priors(run):
    result, _ = run("--range", "0.5", target="great_stone")
    assert "a study has priors" in f"{result.exception} {result.output}"


def test_there_is_no_figure_of_what_was_not_computed():
    question = find_study(None).question()
    nothing = nothing_yet(Request(), Inputs(question, Basis("prior", 64)))
    assert [drawing.name for part in parts(nothing) for drawing in part.drawings(nothing)] == []


def ranking(*shares, alone="", starts=()):
    """One of constants a, b, ... with these ``(low, share, high)``."""
    rows = tuple(
        Ranked(i + 1, "y", "end", 1.0, "abcdef"[i], share, low, high, np.nan, np.nan, 1.0, share)
        for i, (low, share, high) in enumerate(shares)
    )
    return Ranking("y", "at 1", rows, starts, alone)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (ranking((0.5, 0.6, 0.7), (0.1, 0.2, 0.3)), "a moves y most"),
        (ranking((0.5, 0.6, 0.7), (0.1, 0.2, 0.3), alone="a"), "Knowing a would narrow y most"),
        (ranking((0.5, 0.6, 0.7), (0.1, 0.2, 0.3), alone="b"), "a moves y most"),
        (ranking((0.5, 0.6, 0.7), (0.3, 0.5, 0.7), alone="a"), "a or b moves y most"),
        (ranking(*[(0.1, 0.3, 0.5)] * 3), "No single constant moves y most: 3 are about equal"),
        # 'Donors moves Donors most' says nothing: both have one name
        (ranking((0.5, 0.6, 0.7), starts=("a",)), "a at the start moves y most"),
    ],
)
def test_a_title_names_what_the_shares_tell_apart(asked, told):
    about = nothing_yet(Request(), Inputs(find_study(None).question(), Basis("posterior", 64, True)))
    assert title(about, asked, []) == told


def test_the_start_of_a_stock_is_known_as_one():
    question = find_study(None).question()
    stock = next(v for v in question.model.stocks if not v.dims)
    question = replace(question, factors=Factors((Factor(stock.label, np.exp), Factor("Rate", np.exp))))
    assert nothing_yet(Request(), Inputs(question, Basis("prior", 64))).starts == (stock.label,)


def test_the_page_ranks_shows_every_figure_and_says_what_is_uncertain(run):
    _, folder = run("--rows", "64")
    page = read_page(folder)
    titles = [section.title for section in page.sections]
    assert titles[:4] == [
        "In short",
        "Basis and assumptions",
        "The assumptions that matter",
        "How that changes over time",
    ]
    blocks = [block for section in page.sections for block in section.blocks]
    ranking = next(block for block in blocks if isinstance(block, Table))
    assert ranking.rows[0][1] == "Room"
    pictures = [block.picture if isinstance(block, FirstScreen) else block for block in blocks]
    shown = {picture.file for picture in pictures if isinstance(picture, Picture)}
    assert shown == {path.name for path in folder.glob("*.svg")}
    assert titles[-2] == "Uncertain inputs: 4 constants"


STUDY = growth_study("Room", (10, 1000), 100)
MORE = """
[[moment]]
label = "at ten"
time = 10
[[factor]]
name = "Rate"
bounds = [0.5, 1.5]
why = "judgement"
"""


@pytest.fixture
def study(write_mdl, tmp_path):
    folder = tmp_path / "growth"
    folder.mkdir()
    (folder / "grow.mdl").write_bytes(write_mdl(MODEL, final=20, step=0.25).read_bytes())
    (folder / "problem.toml").write_text(STUDY, encoding="utf-8")
    (folder / "sensitivity.toml").write_text(MORE, encoding="utf-8")
    (folder / "seen.csv").write_text("time,stock\n5,50\n10,99\n", encoding="utf-8")
    return folder


def first_words(folder):
    """What the numbers rest on, as a reader meets it: the box says it already, and the first section after it."""
    sections = read_page(folder).sections
    first = next(section for section in sections if section.title != "In short")
    assert first.title == "Basis and assumptions"
    for section in sections[: sections.index(first)]:
        screen = section.blocks[0]
        assert first.blocks[0].text in " ".join([screen.limits, *screen.cautions])
    return first.blocks


def test_before_a_fit_a_study_says_that_its_numbers_are_of_the_priors(run, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result, folder = run("--rows", "64", "--method", "sobol", target=str(study))
    assert result.exit_code == 0, result.output
    blocks = first_words(folder)
    assert blocks[0].warning
    said = " ".join(block.text for block in blocks)
    approved(said)
    approved(result.output)
    assert (folder / "summary.txt").read_text().splitlines()[2].startswith("1024 draws from the PRIOR")
    assert read_page(folder).identity.startswith("1024 draws from the PRIOR")
    assert set(pd.read_csv(folder / "ranking.csv")["draws"]) == {"prior, 1024 draws, no data seen"}
    captions = [b.caption for s in read_page(folder).sections for b in s.blocks if isinstance(b, Table)]
    assert any("at ten, over the priors: mean" in caption for caption in captions)
    with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as found:
        assert "PRIOR" in found.attrs["basis"]


def test_priors_that_contradict_the_data_are_told_at_the_head(run, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (study / "seen.csv").write_text("time,stock\n5,50\n10,300\n", encoding="utf-8")
    result, folder = run("--rows", "64", "--method", "sobol", target=str(study))
    assert result.exit_code == 0, result.output
    said = " ".join(block.text for block in first_words(folder))
    assert "These priors contradict the data: seen by 10: 102." in said
    assert "300 in the data" in said


@pytest.fixture
def fitted_study(study, tmp_path, monkeypatch):
    """What ``cipark calibrate --posterior`` leaves: chains, draws, the digest of the study."""
    monkeypatch.chdir(tmp_path)
    from calibration.study.problem import read_problem

    problem = read_problem(study)
    assert problem.space.names == ("Room",)
    drawn = 100 + 2 * np.random.default_rng(1).standard_normal((400, 1))
    leave_fit(tmp_path / "cipark-output" / "growth", problem, draws=drawn)
    return study


def test_a_fit_that_is_at_hand_is_taken_up_and_named(run, fitted_study):
    """Without further constants all that varies has draws."""
    (fitted_study / "sensitivity.toml").write_text('[[moment]]\nlabel = "at ten"\ntime = 10\n', encoding="utf-8")
    result, folder = run("--rows", "64", "--method", "sample", target=str(fitted_study))
    assert result.exit_code == 0, result.output
    blocks = first_words(folder)
    assert not blocks[0].warning
    assert blocks[0].text == "400 draws from the posterior; the sampling has converged."
    said = " ".join(block.text for block in blocks)
    assert "The fit is that in cipark-output/growth" in said
    assert "'--draws prior' analyses the assumptions before the fit" in said
    assert "no draws" not in said
    assert set(pd.read_csv(folder / "fan.csv")["draws"]) == {"posterior, 400 draws, converged"}


def test_posterior_draws_beside_priors_of_other_constants_are_no_posterior(run, fitted_study):
    result, folder = run("--rows", "64", "--method", "sample", target=str(fitted_study))
    assert result.exit_code == 0, result.output
    said = " ".join(block.text for block in first_words(folder))
    assert "1 constant has no draws. It is held" in said
    with xr.open_dataset(folder / "sample.nc", engine="h5netcdf") as drawn:
        assert list(drawn["parameter"].to_numpy()) == ["Room"]
        assert drawn.sizes["run"] == 400


@pytest.mark.parametrize("method", ["tornado", "sobol"])
def test_a_method_of_independent_constants_is_refused_after_a_fit_unless_priors_are_named(run, fitted_study, method):
    refused, _ = run("--method", method, target=str(fitted_study))
    assert refused.exit_code == 2
    assert "whose constants depend on each other; with --draws prior it is" in f"{refused.exception} {refused.output}"
    result, folder = run("--draws", "prior", "--method", method, "--rows", "64", target=str(fitted_study))
    assert result.exit_code == 0, result.output
    assert first_words(folder)[0].text.startswith("1024 draws from the PRIOR")


def test_a_fit_of_other_data_is_refused(run, fitted_study):
    (fitted_study / "seen.csv").write_text("time,stock\n5,50\n10,98\n", encoding="utf-8")
    result, _ = run("--method", "sample", "--rows", "64", target=str(fitted_study))
    assert result.exit_code == 2
    assert "the fit in cipark-output/growth: it is of other rows" in result.output
    assert run("--draws", "prior", "--rows", "64", target=str(fitted_study))[0].exit_code == 0


def test_a_bare_model_says_that_its_ranges_are_given(run):
    result, folder = run("--rows", "64", "--method", "tornado", "--range", "0.3")
    assert result.exit_code == 0, result.output
    blocks = first_words(folder)
    assert "ranges given by you" in blocks[0].text
    assert "there are no data" in blocks[0].text
    assert blocks[1].text == "Each constant varies within 30% of its value in the file, as --range says."
    _, folder = run("--rows", "64", "--method", "tornado")
    assert first_words(folder)[1].text.startswith("Each constant varies within 20% of its value in the file, since")


def test_draws_of_a_fit_bring_shapley_effects_to_the_head_of_the_page(run, study, tmp_path):
    """Written as ``cipark calibrate --posterior`` writes them: chains, draws, a noise parameter beside constants."""
    rng = np.random.default_rng(1)
    z = rng.multivariate_normal([0, 0], [[1, -0.8], [-0.8, 1]], size=(4, 100))
    posterior = xr.Dataset(
        {name: (("chain", "draw"), values) for name, values in (("Room", 100 + 9 * z[..., 0]), ("sd", z[..., 1]))}
        | {"Rate": (("chain", "draw"), 1 + 0.1 * z[..., 1])}
    )
    xr.DataTree.from_dict({"/posterior": posterior}).to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    result, folder = run("--rows", "256", "--draws", str(tmp_path / "draws.nc"), target=str(study))
    assert result.exit_code == 0, result.output
    rest = first_words(folder)
    assert "whether the sampling has converged is not recorded" in rest[0].text
    assert "draws.nc" in rest[1].text
    after = [section for section in read_page(folder).sections if section.title != "In short"][1]
    assert "Shapley effect" in after.blocks[0].text
    assert {"shapley-over-time.svg"} <= {path.name for path in folder.iterdir()}


def test_elements_of_draws_are_constants_of_their_own_and_a_constant_that_never_varies_is_held(tmp_path, write_mdl):
    from cipark_sd.commands.sensitivity.request import Request
    from cipark_sd.commands.sensitivity.target import inputs_of, target_of

    path = write_mdl("""
        Side: left, right ~ ~ |
        Size[Side]= 1, 2 ~ unit ~ |
        Pace= 3 ~ unit ~ |
        Stock= INTEG(Pace*(Size[left]+Size[right]),0) ~ unit ~ |
    """)
    rng = np.random.default_rng(1)
    posterior = xr.Dataset(
        {
            "Size": (("chain", "draw", "Side"), rng.random((2, 50, 2))),
            "Pace": (("chain", "draw"), np.full((2, 50), 4.0)),
        },
        coords={"Side": ["left", "right"]},
    )
    xr.DataTree.from_dict({"/posterior": posterior}).to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    request = Request(str(path), draws=tmp_path / "draws.nc")
    question = inputs_of(request, *target_of(request), 64).question
    assert question.factors.names == ("Size[left]", "Size[right]")
    assert dict(question.scenario.overrides) == {"pace": 4.0}


def test_a_design_that_is_stopped_by_hand_says_how_it_goes_on(run, monkeypatch):
    from cipark_sd.analysis.sensitivities import response
    from cipark_sd.analysis.sensitivities import sobol as module

    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(response, "RUNS_AT_A_TIME", 6 * module.BLOCK)
    add, calls = module.SobolSums.add, []

    def stopped(self, *arrays):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        add(self, *arrays)

    monkeypatch.setattr(module.SobolSums, "add", stopped)
    result, folder = run("--rows", "1024", "--method", "sobol")
    assert result.exit_code == 130
    assert "the same command resumes" in result.output
    monkeypatch.setattr(module.SobolSums, "add", add)
    resumed, _ = run("--rows", "1024", "--method", "sobol")
    assert resumed.exit_code == 0
    with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as opened:
        once = opened.load()
    run("--rows", "1024", "--method", "sobol", "--fresh")
    with xr.open_dataset(folder / "sobol.nc", engine="h5netcdf") as opened:
        assert once.equals(opened.load())
