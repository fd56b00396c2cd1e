"""What is lost with what is taken away: changes of an outcome over draws before and after the data.

Each draw is compared with itself, with and without, and the change is a share of what it has with. There are three
answers, fewer, no effect and more, and a change smaller than a stated share is none. Which of them can be given is for
:func:`cipark_sd.claims.classify` to say: each is a statement with a probability before and after the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.claims import IDLE, Classified, Evidence, Tally, classify
from cipark_sd.experiments.definition import Knockouts
from cipark_sd.experiments.effects import paired, summary

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Answer = Literal["fewer", "none", "more"]
#: What a knock-out may do.
ANSWERS: tuple[Answer, ...] = ("fewer", "none", "more")
#: Before and after the data.
PRIOR, POSTERIOR = "prior", "posterior"
#: An answer is given as informed where it is likelier than not after the data: odds that have tripled may still be low.
_LIKELIER = 0.5
#: A change below this share is none at all: the mechanism is switched off already.
_NOTHING = 1e-12


def changes(result: "xr.Dataset", policy: str, outcome: str, at: float) -> dict[str, Array]:
    """By structure, the changes ``(n,)`` that a policy brings as shares of the base; draws without a base are left out.

    Parameters
    ----------
    result : Dataset
        Of :func:`cipark_sd.experiments.run.run_policies`.
    """
    pairs = paired(result, policy, outcome, at)
    return {rival: row[base > 0] / base[base > 0] - 1 for rival, (row, base) in pairs.items()}


def knockout_table(
    knockouts: Knockouts,
    prior: "xr.Dataset",
    posterior: "xr.Dataset | None" = None,
    effective: Mapping[str, float] | None = None,
) -> "pd.DataFrame":
    """One row for each knock-out, structure and set of draws.

    Columns: ``group, policy, title, time, structure, when`` (prior or posterior), ``n``, ``independent`` (what they
    are worth), ``idle`` (nothing is there to take away), median and bands of the change, and the shares of draws with
    each of the :data:`ANSWERS`.

    Parameters
    ----------
    prior, posterior : Dataset
        Of :func:`cipark_sd.experiments.run.run_policies`.
    effective : mapping of str to float, optional
        By structure that has been fitted itself, how many independent draws those of the posterior are worth.
    """
    import pandas as pd

    sets = {PRIOR: prior} | ({} if posterior is None else {POSTERIOR: posterior})
    titles = dict(zip(map(str, prior["policy"].to_numpy()), map(str, prior["policy_title"].to_numpy()), strict=True))
    rows = []
    for group in knockouts.groups:
        for policy in group.policies:
            by_draws = {name: changes(runs, policy, knockouts.outcome, group.at) for name, runs in sets.items()}
            for name, by_rival in by_draws.items():
                for rival, change in by_rival.items():
                    if name == POSTERIOR and effective is not None and rival not in effective:
                        continue
                    worth = float("inf") if name == PRIOR or effective is None else effective[rival]
                    facts = summary(change)
                    before = by_draws[PRIOR].get(rival, change)
                    rows.append(
                        {
                            "group": group.title,
                            "policy": policy,
                            "title": titles[policy],
                            "time": group.at,
                            "structure": rival,
                            "when": name,
                            "n": facts.n,
                            "independent": min(float(facts.n), worth),
                            "idle": bool(len(before)) and float((np.abs(before) < _NOTHING).mean()) >= IDLE,
                            **{q: getattr(facts, q) for q in ("low90", "low50", "median", "high50", "high90")},
                            "fewer": _share(change < -knockouts.near),
                            "none": _share(np.abs(change) <= knockouts.near),
                            "more": _share(change > knockouts.near),
                        }
                    )
    return pd.DataFrame(rows)


def _share(flags: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> float:
    return float(flags.mean()) if len(flags) else float("nan")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said of a knock-out: one of the answers with its class, or that none can be given."""

    answer: Answer | None
    classified: Classified

    def __str__(self) -> str:
        if self.answer is None:
            return "undecided"
        return f"{self.classified.kind}: {'no effect' if self.answer == 'none' else self.answer}"


def evidence_of(frame: "pd.DataFrame", policy: str, group: str, answer: str) -> tuple[Evidence, ...]:
    """What draws say of an answer under each structure, from rows of :func:`knockout_table`."""
    of = frame[(frame["policy"] == policy) & (frame["group"] == group)]
    judged = []
    for structure in of["structure"].drop_duplicates():
        rows = {str(row["when"]): row for row in of[of["structure"] == structure].to_dict("records")}
        tallies = {name: Tally(row[answer] * row["n"], row["n"]) for name, row in rows.items() if row["n"]}
        if PRIOR not in tallies:
            continue
        after = tallies[POSTERIOR].worth(rows[POSTERIOR]["independent"]) if POSTERIOR in tallies else None
        judged.append(Evidence(str(structure), tallies[PRIOR], after, bool(rows[PRIOR]["idle"])))
    return tuple(judged)


def verdict(frame: "pd.DataFrame", policy: str, group: str) -> Verdict:
    """The answer that is informed by the data and likelier than not after them, else the one built in, else none.

    The interval of its probability has to lie above a half under every structure. A structure in which nothing is
    there to take away is not asked.
    """
    classes: dict[Answer, Classified] = {}
    for answer in ANSWERS:
        judged = [evidence for evidence in evidence_of(frame, policy, group, answer) if not evidence.idle]
        classes[answer] = classify(judged)
    for kind in ("informed", "built in"):
        for answer, classified in classes.items():
            if classified.kind == kind and classified.side == "for" and (kind == "built in" or _likelier(classified)):
                return Verdict(answer, classified)
    return Verdict(None, max(classes.values(), key=_posterior_share))


def _likelier(classified: Classified) -> bool:
    return all(e.posterior is not None and e.posterior.interval[0] > _LIKELIER for e in classified.evidence)


def _posterior_share(classified: Classified) -> float:
    tallies = [evidence.posterior or evidence.prior for evidence in classified.evidence]
    return min((tally.share for tally in tallies), default=0.0)


def range_over(frame: "pd.DataFrame", policy: str, group: str, when: str, column: str) -> Sequence[float]:
    """The smallest and the largest number of a column over the structures that have something to take away."""
    of = frame[
        (frame["policy"] == policy) & (frame["group"] == group) & (frame["when"] == when) & ~frame["idle"].astype(bool)
    ]
    return (float(of[column].min()), float(of[column].max())) if len(of) else ()
