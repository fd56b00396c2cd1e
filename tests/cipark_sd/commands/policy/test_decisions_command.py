"""``cipark policy`` on the example of docs/how-to/what_next.md, from its files to its page."""

import html
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from approved import approved
from command_line import cipark
from places import ROOT
from undrawn import undraw

from calibration.commands.play.catalogue import contents_of
from calibration.commands.play.request import Settings
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands.policy.about import load
from cipark_sd.commands.policy.decisions import DecisionsFound
from cipark_sd.commands.policy.output import chosen_parts, kinds, usual, write_again
from cipark_sd.commands.policy.what_next import page_of
from cipark_sd.pages.page import read_page

DOCUMENT = (ROOT / "docs" / "how-to" / "what_next.md").read_text(encoding="utf-8")


def put_files(folder):
    """The example of the document, as files."""
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\n(.*?)```", DOCUMENT, flags=re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")


def run(*arguments, drawn=False):
    with pytest.MonkeyPatch.context() as patch:
        if not drawn:
            undraw(patch)
        return cipark("policy", *arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinic")
    put_files(folder)
    return folder, run(folder, "-o", folder / "out", drawn=True)


def test_the_document_shows_what_the_command_prints(clinic):
    (shown,) = re.findall(r"<!-- table -->\n```\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    assert clinic[1].exit_code == 0
    # a terminal aligns what a pipe separates by tabs
    assert " ".join(shown.split()) in " ".join(clinic[1].output.split())
    approved(clinic[1].output)


#: What other parts need of a catalogue.
NEEDED = ("factors", "knockouts")


def test_without_a_part_decisions_and_effects_are_run_as_far_as_there_are_tables():
    def about(decisions, changes, signs_only=False):
        catalogue = SimpleNamespace(**dict.fromkeys(NEEDED), decisions=decisions, changes=changes)
        return SimpleNamespace(catalogue=catalogue, signs_only=signs_only)

    assert usual(about(True, ())) == ["decisions"]
    assert usual(about(True, (1,))) == ["decisions", "effects"]
    assert usual(about(None, (1,))) == ["effects"]
    assert usual(about(None, ())) == ["effects"]
    # from the priors of a study nothing is ranked
    assert usual(about(True, (1,), signs_only=True)) == ["effects"]
    with pytest.raises(InvalidValue, match="nothing is ranked"):
        chosen_parts(usual(about(True, (), signs_only=True)), about(True, (), signs_only=True), where="here")


def test_the_sentences_of_the_document_are_those_of_the_page(clinic):
    page = (clinic[0] / "out" / "what_next.html").read_text(encoding="utf-8")
    title = re.search(r"<h1>(.*?)</h1>", page)[1]
    approved(title)
    approved(re.search(r'class="measure">(.*?)</p>', page)[1])


@pytest.mark.parametrize("ends", [("hire", "train"), ("train", "hire"), ("list", "list")])
def test_what_to_measure_names_the_option_of_each_chance(clinic, ends):
    """Both options and both chances are those of the table's first row, whichever stands first in the file."""
    findings = load(clinic[0] / "out", kinds())
    result = findings.of(DecisionsFound)
    row = {"low_option": ends[0], "low": 0.79, "high_option": ends[1], "high": 0.83, "value": 0.2, "error": 0.01}
    table = result.measurements.head(1).assign(**row)
    page = page_of(findings.with_result("decisions", replace(result, measurements=table)))
    titles = {"hire": "Hire two nurses", "train": "Train all nurses", "list": "Hire when the list is long"}
    name, words = page.measure
    low, high = re.split("; at .* or more, ", words)
    assert name == f"Why {table['input'].iloc[0]}?"
    assert re.search(f"or less, “{titles[ends[0]]}” has a 79% chance of 5% fewer patients waiting$", low)
    assert high.startswith("83%. " if ends[0] == ends[1] else f"“{titles[ends[1]]}” has 83%. ")
    assert titles.keys() == {option.id for option in findings.about.catalogue.decisions.options}


def first_screen(page):
    return page.partition("<details")[0]


def test_the_report_of_decisions_alone_begins_with_their_finding(clinic):
    screen = read_page(clinic[0] / "out").sections[0].blocks[0]
    page = (clinic[0] / "out" / "what_next.html").read_text(encoding="utf-8")
    assert screen.title == re.search(r"<h1>(.*?)</h1>", page)[1]
    assert all(html.escape(text) in page for _, text in screen.lines)


def test_doing_nothing_is_the_first_row_and_what_happens_is_the_last(clinic):
    page = first_screen((clinic[0] / "out" / "what_next.html").read_text(encoding="utf-8"))
    rows = re.findall(r'<tr class="(\w+)"><th scope="row(?:group)?"[^>]*>([^<]*)', page)
    assert rows == [
        ("base", "Do nothing"),
        ("option", "Hire two nurses"),
        ("option", "Hire when the list is long"),
        ("option", "Train all nurses"),
        ("apart", "What may happen, with nothing else changed"),
        ("event", "Two nurses leave"),
    ]
    # on a narrow screen as well
    assert re.findall(r"<li>(?:<p[^>]*>)?<b>([^<]*)", page)[-2:] == [rows[-2][1], "Two nurses leave"]
    # each change and each level beside it has the mark of its class
    assert (
        page.count("<title>Assumed by the model</title>") + page.count("<title>Not decided by the data</title>") >= 20
    )


def test_the_page_is_made_again_from_the_findings_with_the_same_bytes(clinic):
    out = clinic[0] / "out"
    before = (out / "what_next.html").read_bytes()
    (out / "what_next.html").unlink()
    write_again(out, False)
    assert (out / "what_next.html").read_bytes() == before
    frame = load(out, kinds()).results["decisions"].table
    pd.testing.assert_frame_equal(frame, pd.read_csv(out / "decisions.csv", keep_default_na=False, na_values=[""])[
        frame.columns
    ].fillna({"worst_structure": "", "change_class": ""}))  # fmt: skip


def test_a_program_gets_the_changes_as_records(clinic, tmp_path):
    shown = run(clinic[0], "--runs", "40", "--json", "-o", tmp_path)
    records = json.loads(shown.output)["headlines"]
    assert [record["title"] for record in records] == [
        "", "Hire two nurses", "Hire when the list is long", "Train all nurses", "Two nurses leave",
    ]  # fmt: skip
    assert records[1]["estimand"] == "Waiting at 2031, with the decision Hire two nurses, change from doing nothing"
    assert {record["kind"] for record in records} == {"median"}


def changed(clinic, tmp_path, old, new, drawn=False):
    put_files(tmp_path)
    text = (tmp_path / "policies.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "policies.toml").write_text(text.replace(old, new), encoding="utf-8")
    shown = run(tmp_path, "--runs", "120", "-o", tmp_path / "out", drawn=drawn)
    assert shown.exit_code == 0
    return (tmp_path / "out" / "what_next.html").read_text(encoding="utf-8")


def test_words_of_a_stranger_are_no_part_of_the_page_s_html(clinic, tmp_path):
    page = changed(clinic, tmp_path, "Hire two nurses", "<img src=x onerror=alert(1)>", drawn=True)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_an_option_that_is_better_in_every_draw_is_the_title_with_who_loses(clinic, tmp_path):
    page = changed(clinic, tmp_path, "set = { Nurses = 12 }\nspend = \"2 * Pay\"\n\n[[decision]]\nid = \"list\"",
                   "set = { Nurses = 60, \"Referral Rate\" = 500 }\n\n[[decision]]\nid = \"list\"")  # fmt: skip
    title = re.search(r"<h1>(.*?)</h1>", page)[1]
    approved(title)


def test_what_makes_everything_worse_is_not_recommended(clinic, tmp_path):
    page = changed(clinic, tmp_path, "set = { Nurses = 12 }", "set = { Nurses = 5 }")
    title = re.search(r"<h1>(.*?)</h1>", page)[1]
    assert "Hire" not in title


def test_what_the_catalogue_adds_is_no_part_of_the_model_that_others_run(clinic, tmp_path):
    # the player has the outcomes of the model, and draws the numbers of the file
    request = Settings(folder=clinic[0], levers=("Nurses",), runs=20)
    page = contents_of(request)
    assert [outcome.variable for outcome in page.outcomes] == ["Waiting"]
    assert "pay" in page.structures[0].draws


def test_one_run_of_each_option_has_no_chance(clinic, tmp_path):
    shown = run(clinic[0], "--runs", "2", "-o", tmp_path)
    assert shown.exit_code == 0
    assert "chance in its lowest third" not in shown.output
