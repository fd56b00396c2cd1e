"""The pages of claims and knock-outs say what the kept results say, and refuse a class that numbers do not allow."""

import copy
import re
import sys

import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from claims_page import claims_page, core_claims, faults, full_claims, kept_numbers, knockouts_page, loops_page

CORE, PARK, LOOPS = kept_numbers("core_fit"), kept_numbers("park_knockouts"), kept_numbers("park_loops")


def test_the_kept_pages_are_those_of_the_kept_results():
    pages = {"claims": claims_page(CORE, PARK), "knockouts": knockouts_page(PARK), "loops": loops_page(LOOPS)}
    for name, text in pages.items():
        assert (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8") == text


def test_times_are_dates_and_policies_have_their_titles():
    page = claims_page(CORE, PARK)
    assert not re.search(r"\d{4}\.\d", page)
    assert not re.search(r"\bE\d+\b", re.sub(r"\(E\d+ and E\d+\)", "", page))
    for words in (
        "| No China Merchants: Residents on 2019-11-25 less than half of the base | full |",
        "| China Merchants with 5 %: Residents on 2019-11-25 more than under 'No China Merchants' | full |",
        "| Rail terminal in 2022: Residents on 2029-12-31 more than the base | full |",
    ):
        assert words in page, words
    with pytest.raises(KeyError, match="gone"):
        full_claims([{"claim": "gone: residents at 2019.9 less than base"}])


def test_each_claim_of_core_and_full_model_stands_in_the_table_once():
    page = claims_page(CORE, PARK)
    claims = [*PARK["claims"], *core_claims(CORE)]
    assert len(re.findall(r"^\| .* \| (?:core|full) \| ", page, re.MULTILINE)) == len(claims)
    assert sum(claim["asked_of"] == "core" for claim in claims) == len(CORE["claims"])


@pytest.mark.parametrize("kind", ["built in", "built in, against it", "informed", "informed, against it", "surely"])
def test_a_class_that_the_probabilities_do_not_allow_is_refused(kind):
    claim = {"asked_of": "full", "claim": "planted", "class": kind, "base": [0.5, 0.5], "structures": 2, "of": 2}
    claim |= {"prior": [0.4, 0.5], "posterior": [0.45, 0.5]}
    assert [fault[:7] for fault in faults([claim])] == ["planted"]
    of_core = {**claim, "asked_of": "core", "how": "less", "factor": 0.9, "title": "planted", "at": 2019}
    with pytest.raises(ValueError, match="planted"):
        claims_page({**CORE, "claims": [*CORE["claims"], of_core]}, PARK)


@pytest.mark.parametrize(
    ("kind", "prior", "posterior"),
    [
        ("built in", [0.95, 1.0], [0.9, 1.0]),
        ("built in, against it", [0.0, 0.05], [0.0, 0.5]),
        ("informed", [0.2, 0.3], [0.7, 0.8]),
        ("informed, against it", [0.5, 0.6], [0.1, 0.2]),
        ("undecided", [0.2, 0.9], [0.3, 0.9]),
    ],
)
def test_a_class_that_they_allow_is_not(kind, prior, posterior):
    assert faults([{"claim": "c", "class": kind, "prior": prior, "posterior": posterior}]) == []


def test_a_knock_out_that_changes_changes_the_page():
    moved = copy.deepcopy(PARK)
    row = moved["groups"][0]["rows"][0]
    row["posterior"]["median"] = -0.77
    row["verdict"] = "informed: fewer"
    page = knockouts_page(moved)
    assert page != knockouts_page(PARK)
    assert "-77 (" in page
    assert "informed by the data: fewer" in page
