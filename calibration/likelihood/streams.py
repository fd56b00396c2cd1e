"""Random numbers by name, so that those of one thing do not depend on what else there is."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from typing import cast

import numpy as np

from calibration.study.observations import Term


class Stage(IntEnum):
    """What is drawn with a study's seed: a stream each, so that none depends on what else is asked."""

    PREDICTED = 1
    POSTERIOR = 2
    FILE_OF_DRAWS = 3
    PREDICTIONS = 5
    PREDICTIONS_OF_PRIORS = 6
    FAILED_DRAWS = 8
    IMPOSSIBLE = 9
    REPLICATES = 100
    FORECASTS = 101
    HOLDOUT = 102
    RIVALS = 103
    SELF_TEST = 104
    MIXTURES = 107
    GROUPS = 108


def stage_numbers(seed: int, stage: Stage) -> np.random.Generator:
    """The random numbers of a stage."""
    return np.random.default_rng([seed, int(stage)])


def named_streams(rng: np.random.Generator, names: Sequence[str]) -> list[np.random.Generator]:
    """A stream for each name, the same whatever the other names and their order are.

    One child of ``rng`` is taken however many names there are; a name that comes again has another stream each time.
    """
    (seed,) = cast(np.random.SeedSequence, rng.bit_generator.seed_seq).spawn(1)
    before: Counter[str] = Counter()
    streams = []
    for name in names:
        digest = hashlib.sha256(f"{before[name]} {name}".encode()).digest()
        before[name] += 1
        words = np.frombuffer(digest[:16], dtype="<u4").tolist()
        child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *words))
        streams.append(np.random.default_rng(child))
    return streams


def term_streams(rng: np.random.Generator, terms: Sequence[Term]) -> list[np.random.Generator]:
    """A stream for each term, by its label: a row that is only looked at takes nothing from the others."""
    return named_streams(rng, [("check " if term.use == "check" else "") + term.label for term in terms])
