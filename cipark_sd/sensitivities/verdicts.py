"""What runs of claims and choices say, in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.claims import IDLE, Evidence, Tally, classify, count_sentence

if TYPE_CHECKING:
    import xarray as xr

#: The structure of a study as it stands; its rivals are for ``cipark policy``.
ONE = "model"


def deciding(result: "xr.Dataset", *, count: int = 3) -> list[tuple[str, float, float]]:
    """Factors with the largest indices of one claim or choice, with half their intervals; only those over it."""
    index, width = result["S1"].to_numpy(), result["S1_conf"].to_numpy()
    order = np.argsort(-np.nan_to_num(index, nan=-1.0), kind="stable")[:count]
    names = result["parameter"].to_numpy()
    return [(str(names[i]), float(index[i]), float(width[i])) for i in order if index[i] > width[i]]


def plain(parts: list[tuple[str, float, float]]) -> str:
    """Names with their indices."""
    return ", ".join(f"{name} ({value:.2f} ± {width:.2f})" for name, value, width in parts) or "no constant alone"


def evidence_of(at: "xr.Dataset") -> Evidence:
    """What draws say of one claim, of a Dataset of :func:`cipark_sd.sensitivities.deciding.with_classes`."""
    prior = Tally(float(at["prior_true"]), float(at["prior_n"]))
    worth = float(at["effective"])
    after = None if np.isnan(worth) else Tally(float(at["n_true"]), float(at["n_known"])).worth(worth)
    return Evidence(ONE, prior, after, bool(float(at["prior_same"]) >= IDLE))


def claim_sentences(result: "xr.Dataset") -> Iterator[str]:
    """How many claims are of which class, and what those that are not built in rest on."""
    claims = [result.isel(claim=place) for place in range(result.sizes["claim"])]
    classes = [classify([evidence_of(at)]) for at in claims]
    yield count_sentence(classes)
    for at, classified in zip(claims, classes, strict=True):
        if classified.kind == "built in":
            continue
        (evidence,) = classified.evidence
        after = "" if evidence.posterior is None else f" and {evidence.posterior.share:.2f} after the fit"
        if evidence.posterior is None and float(at["true"]) != evidence.prior.share:
            after = f" and {float(at['true']):.2f} in these draws"
        factor = "" if evidence.factor is None else f"; Bayes factor {evidence.factor}"
        # the policy by its title, which the id in front of the claim stands for
        expected = str(at["claim"].item()).partition(": ")[2]
        yield (
            f"{at['title'].item()}: {expected}: {classified}, probability {evidence.prior.share:.2f} under the priors"
            f"{after}{factor}; moved by {plain(deciding(at))}."
        )


def choice_sentences(result: "xr.Dataset") -> Iterator[str]:
    """Which alternative is best how often, and what decides that."""
    titles = result["title"].to_numpy()
    for choice in map(str, result["choice"].to_numpy()):
        at = result.sel(choice=choice)
        best = np.nan_to_num(at["best"].to_numpy())
        order = np.argsort(-best, kind="stable")
        shares = ", ".join(f"{titles[i]} {best[i]:.0%}" for i in order if best[i] >= 0.005)
        yield (
            f"{choice[:1].upper()}{choice[1:]}: best is {shares}. In {float(at['changes']):.0%} of the draws the best "
            f"is another than the one with the best mean; what decides is {plain(deciding(at))}."
        )
