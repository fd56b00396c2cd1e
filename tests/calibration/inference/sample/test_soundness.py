"""What trajectories say of themselves: divergences by chain, and chains that come from other optima."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.inference.sample.hamiltonian import Trajectories
from calibration.inference.sample.trajectories import Soundness, soundness
from cipark_sd.base.arrays import Array

GOOD = Soundness(n_chains=64)
NAMES = ("a", "b", "c")


def judged(
    scores: Array,
    diverged: NDArray[np.bool_] | None = None,
    apart: NDArray[np.bool_] | None = None,
    accepted: float | Array = 0.9,
    careful: NDArray[np.bool_] | None = None,
) -> Soundness:
    n, n_draws, _ = scores.shape
    none = np.zeros((n, n_draws), dtype=bool)
    logs = np.zeros((n, n_draws))
    taken = np.broadcast_to(accepted, (n, n_draws))
    drawn = Trajectories(
        scores, logs, ~none if careful is None else careful, none if diverged is None else diverged, none, taken
    )
    return soundness(drawn, scores, NAMES, 4, np.zeros(n, dtype=bool) if apart is None else apart)


def draws(seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((64, 60, 3))


def in_chains(n: int, share: float) -> NDArray[np.bool_]:
    """Divergences in ``n`` of 64 chains."""
    diverged = np.zeros((64, 60), dtype=bool)
    diverged[:n] = np.random.default_rng(2).random((n, 60)) < share
    return diverged


def test_divergences_everywhere_are_too_many() -> None:
    assert judged(draws(), in_chains(64, 0.005)).sound
    spread = judged(draws(), in_chains(64, 0.03))
    assert spread.diverged > 0.01
    assert not spread.sound
    assert "too many to trust the draws" in " ".join(spread.sentences)


def test_divergences_in_few_chains_count_where_their_draws_change_the_numbers() -> None:
    scores, diverged = draws(), in_chains(3, 0.5)
    same = judged(scores, diverged)
    assert same.diverged > 0.01
    assert same.n_sticking == 3
    assert same.sound
    assert "3 of 64 chains stick, without which no mean moves" in " ".join(same.sentences)
    scores[:3, :, 1] = 4.0
    elsewhere = judged(scores, diverged)
    assert elsewhere.moves > 0.1
    assert not elsewhere.sound
    assert not judged(draws(), in_chains(20, 0.5)).sound


def test_chains_that_accept_next_to_nothing_count_where_their_draws_change_the_numbers() -> None:
    accepted = np.where(np.arange(64) < 3, 0.2, 0.9)[:, None]
    same = judged(draws(), accepted=accepted)
    assert same.n_sticking == 3
    assert same.sound
    away = draws()
    away[:3, :, 1] = 4.0
    moved = judged(away, accepted=accepted)
    assert not moved.sound
    assert "3 of 64 chains stick, and without them a mean or a spread moves" in " ".join(moved.sentences)
    assert judged(away).n_sticking == 0


def test_chains_that_stay_at_another_optimum_are_found() -> None:
    apart = np.arange(64) % 16 >= 14
    mixed = judged(draws(), apart=apart)
    assert mixed.sound
    assert "The 8 chains that come from other optima went where the others are." in mixed.sentences
    stayed = draws()
    stayed[apart, :, 2] += 3.0
    found = judged(stayed, apart=apart)
    assert found.apart == "c"
    assert not found.sound
    assert "how much each weighs is not known" in " ".join(found.sentences)


def test_chains_that_mix_are_seldom_said_to_differ() -> None:
    apart = np.arange(64) % 16 >= 14
    assert sum(bool(judged(draws(seed), apart=apart).apart) for seed in range(40)) == 0


@pytest.mark.parametrize(
    ("changed", "sound", "words"),
    [
        ({}, True, "No move with short steps diverged."),
        ({"diverged": 0.004}, True, "0.40% of the moves with short steps diverged, few enough (up to 1% are)."),
        ({"n_sticking": 3}, True, "3 of 64 chains stick, without which no mean moves by more than 0.00 standard"),
        # no move diverged: that is not what is wrong
        ({"n_sticking": 40}, False, "40 of 64 chains stick, too many to trust the draws (a few that change nothing"),
        ({"diverged": 0.03}, False, "3.00% of the moves with short steps diverged, too many to trust the draws"),
        ({"walled": 0.2}, True, "20% of the moves met a wall, where the data are impossible"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(changed: dict[str, float], sound: bool, words: str) -> None:
    now = replace(GOOD, **changed)  # type: ignore[arg-type]
    assert now.sound is sound
    assert words in " ".join(now.sentences)
    assert now.obstacle == ("" if sound else now.sentences[0].rstrip("."))


def test_only_careful_moves_count() -> None:
    """Of four moves one is careful: a hundredth of all that diverge are a twenty-fifth of those."""
    diverged = in_chains(64, 0.01)
    assert judged(draws(), diverged).diverged == pytest.approx(diverged.mean())
    careful = np.broadcast_to(np.arange(60) % 4 == 0, (64, 60))
    assert judged(draws(), diverged & careful, careful=careful).diverged == pytest.approx(
        (diverged & careful).mean() * 4
    )


def test_groups_that_lie_in_different_places_are_found() -> None:
    """One group of four elsewhere in one parameter, some of its chains not; small differences are none."""
    elsewhere = draws()
    elsewhere[:14, :, 1] += 4.0
    found = judged(elsewhere)
    assert found.groups_apart == "b"
    assert "lie in different places of b: chains have not gone through all of the posterior" in " ".join(
        found.sentences
    )
    near = draws()
    near[:16, :, 1] += 0.3
    assert judged(near).groups_apart == ""
    # within groups chains differ as much: they are slow, and no two groups are two modes
    slow = draws() + 2 * np.random.default_rng(3).standard_normal((64, 1, 3))
    assert judged(slow).groups_apart == ""
    assert not any(judged(draws(seed)).groups_apart for seed in range(40))


def test_moves_are_those_of_each_parameter_in_its_own_deviations() -> None:
    scores = 3.0 * draws() + np.array([0.0, 100.0, -50.0])
    scores[:3, :, 1] = scores[:3, :, 1] * 4 + 20
    found = judged(scores, in_chains(3, 0.5)).moves
    moves = []
    for place in range(3):
        whole, without = scores[:, :, place].ravel(), scores[3:, :, place].ravel()
        moves += [abs(whole.mean() - without.mean()) / whole.std(), abs(np.log(whole.std() / without.std()))]
    assert found == pytest.approx(max(moves))
    assert judged(3.0 * draws(), in_chains(3, 0.5)).sound


def test_nothing_is_said_of_what_was_not_seen() -> None:
    assert Soundness().sentences == ["No move with short steps diverged."]
