"""Expectations as people read them."""

import pytest
from places import ROOT

from cipark_sd.commands.policy.words import in_words
from cipark_sd.experiments.catalogue import read_catalogue
from cipark_sd.experiments.definition import Expected
from cipark_sd.frontends.model_file import read_model
from cipark_sd.library import bundled

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
