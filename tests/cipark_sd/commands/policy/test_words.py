"""Expectations as people read them."""

from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from places import ROOT

from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Expected
from cipark_sd.base.library import bundled
from cipark_sd.commands.policy import attribution
from cipark_sd.commands.policy.about import band, in_words
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.blocks import Table
from cipark_sd.pages.figures.files import describe

STUDY = "calibration/studies/great_stone/policies.toml"


@pytest.mark.parametrize(
    ("than", "factor", "words"),
    [
        ("base", 1.0, "more than the base"),
        ("base", 0.5, "more than half of the base"),
        ("base", 0.001, "more than 0.001 times the base"),
        ("E1", 1.0, "more than under 'No China Merchants'"),
        ("E1", 0.1, "more than a tenth of that under 'No China Merchants'"),
    ],
)
def test_an_expectation_names_policies_by_their_titles_and_times_by_their_dates(than, factor, words):
    catalogue = read_catalogue(ROOT / STUDY, read_model(bundled("cipark.mdl")))
    expected = Expected("residents", 2019.9, "more", than, factor)
    assert in_words(expected, catalogue) == f"Residents on 2019-11-25 {words}"


def test_an_interval_of_differences_reads_as_others_do():
    assert band(-17.2, -6.6) == "-17 to -6.6"


def test_what_mechanisms_are_worth_has_outcome_date_and_unit():
    rows = (
        ("A", "+41.3", "", "", "", "+59", "+26", ""), ("B", "+5.5", "", "", "", "+12", "0", ""),
        ("sum", "+46.8", "", "", "", "+71", "+26", ""), ("all", "+46.8", "", "", "", "", "", ""),
    )  # fmt: skip
    catalogue = SimpleNamespace(
        headline=("residents", 2019.9), outcome_by_id={"residents": SimpleNamespace(title="Residents")},
        when=lambda at: "on 2019-11-25",
    )  # fmt: skip
    about = SimpleNamespace(catalogue=catalogue, units={"residents": "firm"})
    said = attribution._in_words(Table(("",) * 8, rows), None, about)
    assert said.startswith(
        "All mechanisms together are worth +46.8 firms in Residents on 2019-11-25; most of it, +41.3, is due to 'A', "
        "then to 'B' (+5.5). Shapley values share out the whole and add up (+46.8)."
    )


def test_next_to_nothing_is_nothing_in_what_a_figure_says():
    figure = Figure()
    figure.subplots().plot([0, 1, 2], [-5e-19, 2.0, 1.0], label="share")
    assert "from 0 to 1, most 2 at 1" in describe(figure)
