"""``cipark policy`` on a model and a catalogue that belong to no study, from first to last."""

import shutil

import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from no_computing import forbid_computing
from places import FISHERY

from cipark_sd.base.checkpoints import FOLDER
from cipark_sd.commands.policy.about import load, result_file, saved_results
from cipark_sd.commands.policy.output import PARTS, kinds, shortened
from cipark_sd.commands.policy.request import NAMES
from cipark_sd.commands.result import Result
from cipark_sd.data import results
from cipark_sd.pages.page import read_page
from cipark_sd.statements.headline import Bounds

DRAWS = ["--runs", "40"]
pytestmark = pytest.mark.usefixtures("undrawn_figures")


def page_text(folder):
    """All that the page of an output folder says."""
    return (folder / "report.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fishery")
    return folder, cipark("policy", FISHERY, "--part", "all", *DRAWS, "-o", folder, catch_exceptions=False)


def test_all_parts_run_without_a_study(everything):
    folder, shown = everything
    assert shown.exit_code == 0
    told = "40 draws from ranges given by you, any value as good as another: there are no data, and all numbers are "
    assert f"{told}conditional on these ranges (each of 2 structures)" in page_text(folder)
    assert pd.read_csv(folder / "effects.csv")["draws"][0] == "ranges, 40 draws, no data seen"
    for name in ("answer", "course", "attribution"):
        assert (folder / f"{name}.svg").stat().st_size > 5_000, name
        assert not (folder / f"{name}.pdf").exists()


def test_the_page_says_what_became_of_each_expectation(everything):
    said = page_text(everything[0])
    assert "more than the base" in said
    assert "informed by the data none, since there are no posterior draws of all that varies" in said


def test_the_same_model_in_xmile_gives_the_same_numbers(everything, tmp_path):
    cipark("convert", FISHERY / "fish.mdl", "-o", tmp_path / "fish.xmile")
    text = (FISHERY / "policies.toml").read_text().replace("fish.mdl", "fish.xmile")
    (tmp_path / "policies.toml").write_text(text)
    cipark("policy", tmp_path, *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    ours, theirs = (results.load(folder / "policies.nc") for folder in (tmp_path / "out", everything[0]))
    for name in ("fish", "wealth"):
        assert np.array_equal(ours[name], theirs[name])


def test_the_same_call_writes_the_same_bytes(everything, tmp_path):
    cipark("policy", FISHERY, *DRAWS, "-o", tmp_path, catch_exceptions=False)
    for name in ("effects.csv", "claims.csv"):
        assert (tmp_path / name).read_bytes() == (everything[0] / name).read_bytes(), name


def test_all_parts_are_those_that_the_catalogue_has_tables_for(tmp_path):
    text = (FISHERY / "policies.toml").read_text()
    start = text.index("[knockouts]")
    (tmp_path / "policies.toml").write_text(text[:start])
    shutil.copy(FISHERY / "fish.mdl", tmp_path)
    shown = cipark("policy", tmp_path, "--part", "all", *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    assert "Not run, since the catalogue has no table for it: knockouts" in shown.output


def test_parts_without_a_table_are_told_before_anything_runs(tmp_path):
    text = (FISHERY / "policies.toml").read_text()
    start, end = text.index("[[factor]]"), text.index("[[uncertainty]]")
    (tmp_path / "policies.toml").write_text(text[:start] + text[end : text.index("[knockouts]")])
    shutil.copy(FISHERY / "fish.mdl", tmp_path)
    parts = ["--part", "effects", "--part", "knockouts", "--part", "attribution"]
    shown = cipark("policy", tmp_path, *parts, "-o", tmp_path / "out", code=2)
    assert "--part knockouts" in shown.output
    assert "--part attribution" in shown.output
    assert not (tmp_path / "out" / "policies.nc").exists()


@pytest.fixture(scope="module")
def again(everything, tmp_path_factory):
    """The folder made again from the findings in it, with nothing computed."""
    folder = tmp_path_factory.mktemp("again")
    findings = [*everything[0].glob("findings-policy*.zip"), *everything[0].glob("*.nc")]
    for path in findings:
        shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        forbid_computing(patch)
        shown = cipark("report", "--again", folder, "-o", folder.parent / "all.html")
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return folder


def test_a_folder_is_made_again_from_its_findings_byte_by_byte_and_nothing_is_computed(everything, again):
    names = {path.name for path in everything[0].iterdir()} - {FOLDER}
    assert {f"{name}.csv" for name in NAMES} | {"report.html", "report.json", "what_next.html"} <= names
    assert {path.name for path in again.iterdir()} == names
    for name in sorted(names):
        assert (again / name).read_bytes() == (everything[0] / name).read_bytes(), name


def test_what_is_loaded_is_printed_as_what_was_computed(everything):
    findings = load(everything[0], kinds())
    assert tuple(findings.results) == NAMES
    with pytest.MonkeyPatch.context() as patch:
        forbid_computing(patch)
        text = Result({}, printed=shortened(PARTS[NAMES[0]].shown(findings))).text
    assert " ".join(text.split()) in " ".join(everything[1].output.split())


def test_a_result_of_other_draws_is_left_out_and_a_damaged_one_is_told(again, everything, tmp_path):
    shutil.copytree(again, tmp_path / "out")
    cipark("policy", FISHERY, "--runs", "20", "-o", tmp_path / "out", catch_exceptions=False)
    assert tuple(load(tmp_path / "out", kinds()).results) == ("decisions", "effects")
    damaged = tmp_path / "damaged"
    shutil.copytree(again, damaged)
    content = (damaged / result_file("attribution")).read_bytes()
    (damaged / result_file("attribution")).write_bytes(content[:60])
    shown = cipark("report", "--again", damaged, "-o", tmp_path / "all.html", code=2)
    assert f"{result_file('attribution')}: no file of records" in " ".join(shown.output.split())
    # the command itself computes it anew
    findings = load(everything[0], kinds())
    assert set(saved_results(findings.about, damaged, kinds(), damaged=True)) == {*NAMES} - {"attribution"}


def test_headlines_are_the_numbers_of_the_tables_with_what_they_are_conditional_on(everything):
    folder = everything[0]
    records = {record.estimand: record for record in read_page(folder).headlines}
    frame = pd.read_csv(folder / "effects.csv")
    one = frame[(frame["policy"] == "quota") & (frame["outcome"] == "fish") & (frame["time"] == 2040)].iloc[0]
    record = records["Fish at 2040, with Quota = 80, change from base"]
    assert (record.title, record.number, record.unit, record.kind) == (
        "Quota of 80 tons",
        one["median"],
        "ton",
        "median",
    )
    assert record.interval == Bounds(one["low90"], one["high90"], 0.9, "central draws")
    assert (record.conditional_on, record.basis.label) == (("structure slow",), "ranges, 40 draws, no data seen")
    assert (record.command, record.study_digest) == ("cipark policy", "")
    shapley = pd.read_csv(folder / "attribution.csv").query("outcome == 'fish' and time == 2040 and rival == 'slow'")
    for row in shapley.itertuples():
        title = {"trade": "Trade", "reinvest": "Reinvestment"}[row.factor]
        assert records[f"Shapley value of {title} for Fish at 2040"].number == row.shapley_mean


KNOCK_OUT = """
title = "growth"
times = [10]
[headline]
outcome = "firms"
at = 10
[model]
file = "growth.mdl"
[[outcome]]
id = "firms"
title = "Firms"
variable = "Firms"
[[policy]]
id = "none"
title = "no growth"
set = { "Rate" = 0 }
[[policy]]
id = "idle"
title = "no shadow"
set = { "Shadow" = 0 }
[[uncertainty]]
id = "rate"
name = "Rate"
range = [0.05, 0.15]
[knockouts]
outcome = "firms"
[[knockouts.group]]
title = "without"
at = 10
policies = ["none", "idle"]
"""


def test_a_knock_out_is_what_the_closed_form_says(tmp_path, write_mdl):
    text = "Firms= INTEG(Rate*Firms,1) ~ ~ |\nRate= 0.1 ~ ~ |\nShadow= 1 ~ ~ |\n"
    write_mdl(text, name="growth.mdl", final=10, step=1 / 128)
    (tmp_path / "policies.toml").write_text(KNOCK_OUT, encoding="utf-8")
    shown = cipark("policy", tmp_path, "--part", "knockouts", *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    table = pd.read_csv(tmp_path / "out" / "knockouts.csv").set_index("policy")
    assert table.loc["none", "median"] == pytest.approx(np.exp(-10 * 0.1) - 1, abs=0.02)
    assert table.loc["none", ["fewer", "none", "more"]].tolist() == [1.0, 0.0, 0.0]
    assert bool(table.loc["idle", "idle"])
    assert "no growth" in shown.output
    assert "100, 0, 0" in shown.output
    assert "Of 2 mechanisms removed" in page_text(tmp_path / "out")


def test_a_model_that_breaks_after_the_last_time_has_its_effects_and_a_sentence(tmp_path):
    (tmp_path / "boom.mdl").write_text(
        "{UTF-8}\nstock = INTEG(stock * stock * rate, 1) ~ tons ~ |\nrate = 0.1 ~ 1/(tons*Year) ~ |\n"
        "INITIAL TIME = 0 ~ Year ~ |\nFINAL TIME = 40 ~ Year ~ |\nTIME STEP = 0.25 ~ Year ~ |\nSAVEPER = 1 ~ Year ~ |\n"
    )
    (tmp_path / "policies.toml").write_text(
        'title = "boom"\nmoney = "EUR"\ntimes = [5]\n[model]\nfile = "boom.mdl"\n'
        '[[outcome]]\nid = "stock"\nvariable = "stock"\ntitle = "Stock"\n'
        '[[uncertainty]]\nid = "rate"\nname = "rate"\nrange = [0.08, 0.12]\n'
        '[[policy]]\nid = "slow"\ntitle = "A rate of 0.07"\nset = { rate = 0.07 }\n'
    )
    cipark("policy", tmp_path, *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    assert "since the model breaks after it (" in page_text(tmp_path / "out")
    assert results.load(tmp_path / "out" / "course.nc")["time"].values[-1] == 5


def test_a_pure_number_has_no_unit_in_any_sentence_or_head(tmp_path, write_mdl):
    write_mdl("S = INTEG(-S*r, 1) ~ Dmnl ~ |\nr = 0.1 ~ 1/Year ~ |\n", name="m.mdl", final=4, step=1)
    (tmp_path / "policies.toml").write_text(
        'times = [4]\n[model]\nfile = "m.mdl"\n[[outcome]]\nid = "s"\ntitle = "Share left"\nvariable = "S"\n'
        '[[policy]]\nid = "fast"\ntitle = "Twice"\nset = { r = 0.2 }\n'
        '[[uncertainty]]\nid = "r"\ntitle = "pace"\nname = "r"\nrange = [0.05, 0.15]\n'
    )
    done = cipark("policy", tmp_path, "--part", "effects", *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "Twice: 0.25 less" in done.output, done.output
    assert "Dmnl" not in done.output + page


PRICED = """
title = "shop"
times = [4]
[model]
file = "shop.mdl"
series = "prices.csv"
[[outcome]]
id = "sold"
variable = "Sold"
[[uncertainty]]
id = "slope"
name = "Slope"
range = [2, 2.0002]
"""


def test_a_policy_moves_what_data_drive(tmp_path, write_mdl):
    text = "Sold= INTEG(100-Slope*Price,0) ~ ~ |\nSlope= 2 ~ ~ |\nPrice :HOLD BACKWARD: ~ ~ |\n"
    write_mdl(text, name="shop.mdl", final=4, step=0.25)
    (tmp_path / "prices.csv").write_text("Time,Price\n0,10\n1,12\n3,8\n")
    sets = {"less": '"0.95 * Price"', "none": 0, "floor": '"MAX(Price, 11)"'}
    policies = [
        f'[[policy]]\nid = "{id_}"\ntitle = "{id_}"\nset = {{ Price = {text} }}\n' for id_, text in sets.items()
    ]
    file = tmp_path / "policies.toml"
    file.write_text(PRICED + "".join(policies), encoding="utf-8")
    cipark("policy", tmp_path, *DRAWS, "-o", tmp_path / "out", catch_exceptions=False)
    change = pd.read_csv(tmp_path / "out" / "effects.csv").set_index("policy")["median"]
    # a price of 10 for one unit of time, 12 for two and 8 for one
    assert change.to_dict() == pytest.approx({"less": 2 * 0.05 * 42, "none": 2 * 42, "floor": -2 * (1 + 3)}, rel=1e-3)
    file.write_text(PRICED + policies[0].replace("0.95", "Slope"), encoding="utf-8")
    refused = cipark("policy", tmp_path, *DRAWS, "-o", tmp_path / "out", code=2).output
    assert "the value of 'Price' is 'Slope * Price', expected a number, or an equation of its own values" in refused
