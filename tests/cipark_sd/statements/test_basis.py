"""The sentences that say what draws are."""

import pytest

from cipark_sd.statements.claims import Basis, worth


@pytest.mark.parametrize(
    ("basis", "sentence"),
    [
        (Basis("posterior", 9, True), "9 draws from the posterior; the sampling has converged"),
        (
            Basis("posterior", 9, False),
            "9 draws from the posterior; the sampling has NOT converged, so that no band of them can be trusted: "
            "'cipark calibrate STUDY --posterior --steps N' continues it",
        ),
        (Basis("posterior", 9), "9 draws from the posterior; whether the sampling has converged is not recorded"),
        (Basis("prior", 9), "9 draws from the PRIOR: nothing here has seen the data"),
        (
            Basis("ranges", 9),
            "9 draws from ranges given by you, any value as good as another: there are no data, and all numbers are "
            "conditional on these ranges",
        ),
    ],
)
def test_the_sentence_says_origin_number_and_quality(basis, sentence):
    assert basis.sentence == sentence


@pytest.mark.parametrize(
    ("basis", "bands"),
    [
        (Basis("posterior", 9, True), True),
        (Basis("posterior", 9, False), False),
        (Basis("posterior", 9), True),
        (Basis("borrowed", 9, False), False),
        (Basis("prior", 9), True),
        (Basis("ranges", 9), True),
    ],
)
def test_bands_need_draws_that_stand_for_the_posterior(basis, bands):
    assert basis.bands is bands


@pytest.mark.parametrize(
    ("basis", "name"),
    [
        (Basis("prior", 9), "draws from the priors"),
        (Basis("ranges", 9), "draws from ranges given by you"),
        (Basis("posterior", 9), "posterior draws"),
        (Basis("borrowed", 9), "posterior draws of another structure"),
    ],
)
def test_captions_have_a_few_words_for_it(basis, name):
    assert basis.name == name


@pytest.mark.parametrize(
    ("basis", "label"),
    [
        (Basis("posterior", 9, True), "posterior, 9 draws, converged"),
        (Basis("borrowed", 9, False), "borrowed, 9 draws, not converged"),
        (Basis("posterior", 9), "posterior, 9 draws, not checked for convergence"),
        (Basis("prior", 9), "prior, 9 draws, no data seen"),
        (Basis("ranges", 9), "ranges, 9 draws, no data seen"),
    ],
)
def test_the_label_of_a_file_says_the_same(basis, label):
    assert basis.label == label


def test_one_run_in_place_of_draws_that_did_not_converge_is_called_the_best_fit():
    assert Basis("posterior", 1, converged=False).sentence.startswith("the best fit alone")
    assert Basis("posterior", 9, converged=False).sentence.startswith("9 draws from the posterior")


def test_draws_that_are_worth_few_say_how_many() -> None:
    few = Basis("posterior", 4432, True, worth(394.2))
    assert few.bands
    assert few.label == "posterior, 4432 draws, worth 394"
    assert few.sentence.endswith("they are worth 394 independent ones, and ends of intervals are as rough")
    assert worth(400.0) is None
