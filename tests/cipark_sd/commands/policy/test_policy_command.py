"""``cipark policy`` as people use it."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from left_fit import leave_fit
from park_draws import near_the_file
from small_study import POLICIES, small_study

from calibration.study import STUDIES
from cipark_sd.analysis.experiments.definition import Factor, Policy
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.base.console import Bars
from cipark_sd.base.files import OUTPUT_FOLDER
from cipark_sd.commands.policy.about import Findings
from cipark_sd.commands.policy.analysis import read_target, start, untaught
from cipark_sd.commands.policy.output import parts
from cipark_sd.commands.policy.request import Request
from cipark_sd.data import results
from cipark_sd.data.scenarios import Scenario
from cipark_sd.pages.blocks import Paragraph
from cipark_sd.pages.page import read_page
from cipark_sd.pages.parts import Pictures
from cipark_sd.simulations.ensembles import ensemble

pytestmark = pytest.mark.usefixtures("undrawn_figures")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Arguments of a call with draws of two rivals that meet the data."""
    study = read_target(STUDIES / "great_stone")
    fit = near_the_file(study, tmp_path_factory.mktemp("fit"), ("M0", "M1"))
    return ["policy", "--runs", "6", "--rivals", "M0,M1", "--draws", str(fit)]


@pytest.fixture(scope="module")
def written(tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("policy")
    return folder, cipark(*small, "-o", folder, catch_exceptions=False)


def test_the_first_lines_say_what_the_draws_are(written):
    folder, _ = written
    told = "6 draws from the posterior; the sampling has converged (each of 2 structures)"
    page = read_page(folder)
    assert page.identity.startswith(told)
    # an answer comes before the table of what the structures are
    assert [section.title for section in page.sections] == [
        "In short",
        "Basis and assumptions",
        "What was expected, and whether the data say so",
        "Effects of each policy",
        "The structures",
    ]
    first = page.sections[1]
    assert (first.title, first.blocks[0]) == ("Basis and assumptions", Paragraph(f"{told}."))
    for name in ("effects.csv", "claims.csv"):
        assert set(pd.read_csv(folder / name)["draws"]) == {"posterior, 6 draws, converged"}
    said = (folder / "report.json").read_text()
    assert "Residents [firm]: change from the base, median (90%) of posterior draws; structure M0" in said


def test_a_console_has_ten_rows_and_the_answer(written):
    """The rest is on the page and in effects.csv."""
    folder, shown = written
    assert shown.stderr.splitlines()[0].startswith("Draws: ")
    caption, head, *lines = shown.stdout.splitlines()
    n = len(pd.read_csv(folder / "effects.csv")["policy"].unique())
    assert n > 20
    assert caption.startswith("Residents on 2019-11-25 [firm]: change from the base, median (90%) of posterior draws; ")
    assert caption.endswith(f"10 of {n}, all in report.html")
    assert head.split("\t") == ["policy", "sets", "change", "class"]
    rows, ending = lines[:10], lines[11:]
    assert all(row.count("\t") == 3 for row in rows)
    names = [line.partition("\t")[0] for line in ending]
    assert names == ["Finding", "Known", "Not known", "Assumed", "Read next"]


def test_the_table_has_all_experiments_and_each_expectation_its_class(written):
    folder, _ = written
    said = (folder / "report.json").read_text()
    assert said.count("China Merchants with 5 %") >= 2
    claims = pd.read_csv(folder / "claims.csv")
    kinds = claims.groupby(["policy", "expected"])["class"].first()
    assert len(kinds) == 44
    counts = kinds.value_counts()
    assert "Of 44 expectations: informed by the data " in said
    assert f"not decided by the data {counts['undecided']}; assumed by the model {counts['built in']} (" in said
    # under both structures a park without state-owned firms' mobilisation has next to none of them
    built = claims[(claims["policy"] == "E6") & (claims["class"] == "built in")]
    assert (built["prior_low"] >= 0.9).all()
    assert not built.empty
    assert claims["prior_draws"].max() == 300
    # half of the residents are lost without the operator under M0 and next to none under M1
    half = claims[claims["expected"] == "residents at 2019.9 less than 0.5 x base"].set_index("structure")
    assert set(half.loc[half["policy"] == "E1", "class"]) == {"undecided"}


def test_no_page_console_or_table_says_that_a_claim_holds(written):
    folder, shown = written
    text = shown.output + (folder / "report.json").read_text() + (folder / "claims.csv").read_text()
    # the words of the catalogue's own sources are theirs
    verdicts = re.compile(r"surviv|supported|\bholds? (under|in)\b|(expectations?|claims?) holds?\b", re.IGNORECASE)
    assert [line for line in text.splitlines() if verdicts.search(line)] == []


def test_the_result_is_one_dataset_over_policies_rivals_draws_and_times(written):
    data = results.load(written[0] / "policies.nc")
    assert data["residents"].dims == ("policy", "rival", "draw", "time")
    assert data["time"].to_numpy().tolist() == [2015.33, 2019.9, 2025.0, 2030.0]
    assert "posterior" in data.attrs["basis"]


def test_the_tables_as_files_hold_intervals_and_monte_carlo_errors(written):
    frame = pd.read_csv(written[0] / "effects.csv")
    assert {"low50", "high50", "low90", "high90", "above_zero", "mcse", "mcse_above_zero"} <= set(frame.columns)
    assert len(pd.read_csv(written[0] / "claims.csv")) >= 35


def test_the_figures_are_there(written, tmp_path, monkeypatch):
    # what the model assumes is drawn with its class, and over time it says nothing new
    assert "Assumed by the model" in (written[0] / "answer.svg").read_text(encoding="utf-8")
    assert not (written[0] / "course.svg").exists()
    # an effect of which the priors leave the sign open has a figure: half of the draws lie above the rate of the file
    monkeypatch.chdir(tmp_path)
    problem = small_study(tmp_path)
    (tmp_path / "policies.toml").write_text(POLICIES.replace("{ pace = 0.5 }", "{ rate = 0.2 }"), encoding="utf-8")
    drawn = np.array([100, 0.2]) * np.exp(0.2 * np.random.default_rng(1).standard_normal((60, 2)))
    leave_fit(OUTPUT_FOLDER / tmp_path.name, problem, draws=drawn)
    cipark("policy", ".", "-o", "out", catch_exceptions=False)
    assert (tmp_path / "out" / "course.svg").is_file()


def test_nothing_of_the_unfinished_is_left(written):
    assert not list(written[0].glob(".*partial*"))


def test_attribution_prints_sums_that_do_not_agree(tmp_path, monkeypatch, small):
    from cipark_sd.commands.policy import analysis

    read = analysis.read_catalogue
    two = (
        Factor("framework", "Framework", Scenario("", {"SW Framework": 0})),
        Factor("cmg", "Operator", Scenario("", {"SW CMG": 0})),
    )
    monkeypatch.setattr(analysis, "read_catalogue", lambda *a: replace(read(*a), factors=two))
    shown = cipark(*small, "--part", "attribution", "-o", tmp_path, catch_exceptions=False)
    assert "all mechanisms less none" in shown.output
    assert "may come without the framework" in shown.output
    assert {"shapley_mean", "mcse"} <= set(pd.read_csv(tmp_path / "attribution.csv").columns)
    assert (tmp_path / "attribution.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rivals", "M0,M99"], "has no rival 'M99'"),
        (["--draws", "nowhere.nc"], "nowhere.nc does not exist; give a file of draws, or the word prior"),
        (["elsewhere"], "no study 'elsewhere'"),
    ],
)
def test_mistakes_are_told_in_one_message(arguments, message, tmp_path):
    shown = cipark("policy", "-o", tmp_path, *arguments, code=2)
    assert message in shown.output


def test_a_base_that_contradicts_the_data_stops_the_call_and_says_what_to_run(tmp_path):
    """The park, if its priors had firms come five times as readily, has far more firms than were counted."""
    study, out = tmp_path / "eager", tmp_path / "out"
    shutil.copytree(STUDIES / "great_stone", study)
    text = (study / "problem.toml").read_text(encoding="utf-8")
    for median in (0.35, 0.13, 0.22):
        text = text.replace(f"median = {median}, sigma = 0.7", f"median = {5 * median}, sigma = 0.7")
    (study / "problem.toml").write_text(text, encoding="utf-8")
    shown = cipark("policy", study, "--draws", "prior", "--runs", "100", "--rivals", "M0", "-o", out, code=2)
    text = " ".join(shown.output.split())
    counted = re.search(r"residents by (\S+): (\d+) in the model .* allows (\d+) to (\d+)\), (\d+) in the data", text)
    assert counted is not None, text
    date, model, low, _, seen = counted.groups()
    assert date.startswith("2019-1")
    assert int(seen) == 60 < int(low) < int(model)
    assert re.search("Run 'cipark calibrate.*', and then 'cipark policy.*' without --draws, which uses that fit.", text)
    assert not list(out.glob("*.csv"))
    assert not (out / "report.html").exists()


@pytest.fixture(scope="module")
def leaving(tmp_path_factory):
    """A study whose priors are near its data, with policies."""
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder)
    (folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_the_priors_of_a_study_signs_are_shown_and_no_size(leaving, here):
    shown = cipark("policy", leaving, "--draws", "prior", "--runs", "300", "-o", here / "out", catch_exceptions=False)
    assert "300 draws from the PRIOR: nothing here has seen the data" in shown.output
    sections = {section.title: section for section in read_page(here / "out").sections}
    assert list(sections)[:3] == ["In short", "Basis and assumptions", "Assumed signs under the priors"]
    assert sections["Basis and assumptions"].blocks[0].warning
    assert read_page(here / "out").headlines == ()
    heading, table = sections["Assumed signs under the priors"].blocks
    assert heading.warning
    # in the order of the catalogue: the largest effect does not come first
    assert table.rows == (("Half the pace", "less"), ("Twice the pace", "more"), ("Nothing", "no change"))
    assert not any(character.isdigit() for row in table.rows for cell in row for character in cell)
    names = {path.name for path in (here / "out").iterdir()}
    assert names == {
        "policies.nc",
        "signs.csv",
        "claims.csv",
        "checkpoints",
        "findings-policy.zip",
        "findings-policy-signs.zip",
        "report.json",
        "report.html",
    }
    assert set(pd.read_csv(here / "out" / "signs.csv")["draws"]) == {"prior, 300 draws, no data seen"}
    claims = pd.read_csv(here / "out" / "claims.csv")
    assert claims["class"].tolist() == ["built in", "undecided", "built in"]
    assert "posterior" not in claims


def test_what_ranks_or_has_a_size_is_refused_from_the_priors(leaving, here):
    shown = cipark("policy", leaving, "--draws", "prior", "--part", "attribution", code=2)
    assert "from the priors nothing is ranked and no size is reported" in " ".join(shown.output.split())
    shown = cipark(
        "policy",
        leaving,
        "--draws",
        "prior",
        "--runs",
        "50",
        "--part",
        "all",
        "-o",
        here / "all",
        catch_exceptions=False,
    )
    assert "Not run, since from the priors nothing is ranked: attribution" in shown.output


def test_without_draws_a_study_runs_at_its_best_fit_without_bands_and_classes(leaving, here):
    shown = cipark("policy", leaving, "--runs", "200", "-o", here / "out", catch_exceptions=False)
    (caution,) = [line for line in shown.output.splitlines() if line.startswith("Caution")]
    assert "No posterior of this study is in cipark-output/" in caution
    assert "every policy runs at the best fit alone, without intervals and classes" in caution
    assert f"'cipark calibrate {leaving} --posterior' samples the posterior" in caution
    assert "change from the base, one run, at the best fit alone" in shown.output
    # the base has one number, above the table and, in whole firms, below it
    (above,) = re.findall(r"the base is ([\d.]+) at 8", shown.output)
    assert f"With nothing changed: {float(above):.0f} firms, at the best fit." in shown.output
    page = read_page(here / "out")
    assert page.sections[1].blocks[0].warning
    said = shown.output + (here / "out" / "report.json").read_text()
    # one draw informs nothing: there is no class, no sign, and no probability after the fit, from 0 to 1 or other
    for words in ("50%", "90%", "P>0", "MC error", "P posterior", "Bayes factor", "priors alone", "informed by the",
                  "assumed by the model", "direction"):  # fmt: skip
        assert words not in said, words
    assert not (here / "out" / "claims.csv").exists()
    assert not (here / "out" / "classes.csv").exists()
    assert "What was expected is not judged: one run is no evidence." in said
    # a second call takes the kept fit, and the same call gives the same numbers
    first = pd.read_csv(here / "out" / "effects.csv")
    cipark("policy", leaving, "--runs", "200", "-o", here / "out", catch_exceptions=False)
    pd.testing.assert_frame_equal(pd.read_csv(here / "out" / "effects.csv"), first)


def test_chains_that_have_not_converged_are_told_first(tmp_path):
    study = read_target(STUDIES / "great_stone")
    fit = near_the_file(study, tmp_path / "fit", ("M0",), converged=0)
    asked = Request(sources=(str(fit),), n_draws=4, rivals="M0", seed=1, engine="native", output=tmp_path / "out")
    about = start(asked, Bars(), lambda _: 1).about
    # no band of them can be trusted: the optimum alone is run
    assert about.basis.startswith("the best fit alone, without intervals: the posterior has not converged")
    findings = Findings(about, {})
    (section,) = parts(findings)[1].sections(findings, Pictures())
    assert section.blocks[0] == Paragraph(f"{about.basis}.", warning=True)
    assert about.label == "best fit, no draws"


def test_parameters_that_the_data_do_not_narrow_are_those_as_wide_as_their_prior(leaving):
    """Draws of the prior for one parameter and a tenth of its width for the other."""
    study = read_target(leaving).study
    size, rate = study.parameters
    shares = (np.arange(400) + 0.5) / 400
    narrow = np.exp(np.log(rate.quantile(np.array(0.5))) + 0.05 * (shares - 0.5))
    draws = Draws("model", {"size": size.quantile(shares), "rate": narrow}, "posterior", converged=True)
    assert untaught(study, draws) == ("size",)
    # beyond 0.7 of the prior's width, on the parameter's own scale: a factor is as wide upwards as downwards
    middle = np.log(rate.quantile(np.array(0.5)))
    for width, told in ((0.65, ("size",)), (0.75, ("size", "rate"))):
        for way in (-0.02, 0.02):
            shrunk = np.exp(middle + way + width * (np.log(rate.quantile(shares)) - middle))
            assert untaught(study, replace(draws, values=draws.values | {"rate": shrunk})) == told
    # one as wide that lies elsewhere is told of as well: an end cuts the prior's interval
    assert untaught(study, replace(draws, values=draws.values | {"rate": rate.quantile(shares) * 3})) == ("size",)


def test_what_is_said_of_constants_is_of_all_draws_and_not_of_those_that_are_run(leaving):
    """Near the edge of two classes a few draws fall on either side; the fit has judged all of them."""
    study = read_target(leaving).study
    size, rate = study.parameters
    shares = (np.arange(2000) + 0.5) / 2000
    middle = np.log(rate.quantile(np.array(0.5)))
    wide = np.exp(middle + 0.71 * (np.log(rate.quantile(shares)) - middle))
    all_drawn = Draws("model", {"size": size.quantile(shares), "rate": wide}, "posterior", converged=True)
    assert untaught(study, all_drawn) == ("size", "rate")
    some = [all_drawn.take(np.random.default_rng(seed).permutation(2000)).thinned(50) for seed in range(20)]
    assert {len(draws) for draws in some} == {50}
    assert {untaught(study, draws) for draws in some} == {("size", "rate")}
    # alone they would not agree
    assert len({untaught(study, replace(draws, whole=None)) for draws in some}) > 1


def test_a_policy_moves_a_constant_from_where_the_fit_has_it(leaving, here):
    """The median of all draws of the fit, which has more of them than are run."""
    problem = read_target(leaving).study.problem
    drawn = problem.space.medians * np.exp(0.1 * np.random.default_rng(5).standard_normal((400, len(problem.space))))
    leave_fit(here / "fit", problem, draws=drawn)
    how = {"target": str(leaving), "sources": (str(here / "fit"),), "n_draws": 20, "seed": 1, "engine": "native"}
    analysis = start(Request(**how, output=here / "out"), Bars(), lambda _: 1)
    (draws,) = analysis.draws.values()
    median = float(np.median(drawn[:, problem.space.names.index("rate")]))
    assert len(draws) == 20
    assert float(np.median(draws.values["rate"])) != pytest.approx(median, rel=0.005)
    policies = (*analysis.catalogue.policies[:1], Policy("less", "Less", equations=(("rate", "0.5 * rate"),)))
    words = replace(analysis, catalogue=replace(analysis.catalogue, policies=policies)).moves()["less"]
    before, after = map(float, re.findall(r"[0-9]+[.][0-9]+", words))
    assert before == pytest.approx(median, rel=0.005)
    assert after == pytest.approx(0.5 * median, rel=0.01)


def test_policies_run_over_all_draws_of_a_fit_and_an_error_that_is_not_small_stands_beside_the_number(leaving, here):
    """Draws of which each stands 25 times, as of a chain that seldom moves: they are worth 100.

    What is printed is the median over all of them, with the spread that such medians have.
    """
    problem, rng = read_target(leaving).study.problem, np.random.default_rng(2)
    medians = problem.space.medians

    def drawn(n):
        return medians * np.exp(0.4 * rng.standard_normal((n, len(medians))))

    leave_fit(here / "fit", problem, draws=np.repeat(drawn(100), 25, axis=0), effective=100.0)
    printed = cipark("policy", leaving, "--draws", here / "fit", "-o", here / "out", catch_exceptions=False).output
    assert "2500 draws from the posterior; they are worth 100" in (here / "out" / "report.html").read_text(
        encoding="utf-8"
    )
    row = pd.read_csv(here / "out" / "effects.csv").set_index(["policy", "time"]).loc["slow", 8.0]
    assert row["n"] == 2500
    (line,) = (line for line in printed.splitlines() if line.startswith("Half the pace\t"))
    assert f"{row['median']:.0f} ± {row['mcse_median']:.0f} (" in line
    columns = dict(zip(problem.space.names, drawn(100_000).T, strict=True))
    runs = [ensemble(problem.model, columns | {"pace": np.full(100_000, p)}, save=["left"]) for p in (0.5, 1.0)]
    slow, base = (run["left"].sel(time=8.0).to_numpy() for run in runs)
    spread = np.median((slow - base).reshape(1000, 100), axis=1).std()
    # by one sample of 100 the density at its median is known to a half
    assert row["mcse_median"] == pytest.approx(spread, rel=0.5)


DECISIONS = """
[decisions]
date = 2
[[decision]]
id = "slow"
title = "Half the pace from 2 on"
set = { pace = 0.5 }
"""


def test_decisions_at_a_best_fit_have_levels_and_changes_and_neither_chance_nor_class(here):
    small_study(here)
    (here / "policies.toml").write_text(POLICIES + DECISIONS, encoding="utf-8")
    shown = cipark("policy", ".", "--part", "decisions", "-o", "out", catch_exceptions=False)
    assert "every policy runs at the best fit alone" in shown.stdout
    assert "at the best fit" in shown.stdout.splitlines()[0]
    assert shown.stdout.splitlines()[1].split("\t") == ["alternative", "change"]
    frame = pd.read_csv(here / "out" / "decisions.csv", keep_default_na=False).set_index("alternative")
    assert set(frame["level_class"]) == set(frame["change_class"]) == {""}
    level, base = (float(frame.loc[name, "level"]) for name in ("slow", "base"))
    assert float(frame.loc["slow", "change"]) == pytest.approx(level - base)
    assert level < base
    # between halved from the start and not at all
    left = {p: 100 * (1 - np.exp(-0.2 * p * 8)) for p in (0.5, 1.0)}
    assert left[0.5] / left[1.0] < level / base < 1
    assert "One run of each option: no chance can be given" in shown.output
    for words in ("by the data", "by the model", "90%", "90%:"):
        assert words not in shown.output, words
    # of the cells of its table none has the mark of a class
    page = (here / "out" / "what_next.html").read_text(encoding="utf-8")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page.partition("<details")[0], flags=re.DOTALL)
    assert len(cells) >= 4
    assert not [cell for cell in cells if "by the data" in cell or "by the model" in cell]
