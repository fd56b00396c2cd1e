"""All that one call of ``cipark sensitivity`` has computed, and what it says in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.commands.sensitivity.draws import Inputs
from cipark_sd.sensitivity.behaviour import mode_shares
from cipark_sd.sensitivity.loops import takeovers
from cipark_sd.sensitivity.question import Question
from cipark_sd.sensitivity.ranking import Moment, sentences, shapley_sentences
from cipark_sd.sensitivity.verdicts import choice_sentences, claim_sentences

if TYPE_CHECKING:
    import xarray as xr

#: What of each method stands in the one Dataset of all.
_TOGETHER = {
    "sobol": ("S1", "S1_conf", "ST", "ST_conf", "leading", "variance", "mean", "reason", "n_failed"),
    "morris": ("mu", "mu_star", "mu_star_conf", "sigma", "n_failed"),
    "dgsm": ("nu", "bound", "bound_conf", "n_failed"),
    "shapley": ("Sh", "Sh_conf", "n_failed"),
}
#: Results in the order in which they are written.
DATASETS = ("morris", "sobol", "sample", "tornado", "dgsm", "shapley", "claims", "choices", "loops")


@dataclass
class Found:
    """What was computed, and of what inputs."""

    question: Question
    inputs: Inputs
    morris: "xr.Dataset | None" = None
    sobol: "xr.Dataset | None" = None
    sample: "xr.Dataset | None" = None
    tornado: "xr.Dataset | None" = None
    dgsm: "xr.Dataset | None" = None
    shapley: "xr.Dataset | None" = None
    claims: "xr.Dataset | None" = None
    choices: "xr.Dataset | None" = None
    loops: "xr.Dataset | None" = None

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Of the question."""
        return self.question.moments

    @property
    def rests_on(self) -> list[str]:
        """Sentences that stand first on the page and the console: what the draws are, and what they cannot say."""
        told = [f"{self.inputs.basis.sentence}.", *self.inputs.notes]
        if self.inputs.unseen and self.question.decisions.choices and self.claims is not None:
            told.append("Which strategy is best is not asked of the priors: nothing is ranked before a fit.")
        return told

    @property
    def over(self) -> str:
        """For captions: what the numbers are taken over."""
        return f"over {self.inputs.basis.name.removeprefix('draws from ')}"

    def datasets(self) -> "dict[str, xr.Dataset]":
        """All that there are, by name."""
        return {name: found for name in DATASETS if (found := getattr(self, name)) is not None}

    def together(self) -> "xr.Dataset | None":
        """Indices of all methods in one Dataset with dims parameter, (parameter_2,) output, time; None without any.

        Of Morris' screening those of the first count of levels; each method has its own ``n_failed``.
        """
        import xarray as xr

        parts: list[xr.Dataset] = []
        for name, variables in _TOGETHER.items():
            dataset: xr.Dataset | None = getattr(self, name)
            if dataset is not None:
                one = dataset[list(variables)].rename(n_failed=f"n_failed_{name}")
                parts.append(one.isel(levels=0, drop=True) if "levels" in one.dims else one)
        if self.sobol is not None and "S2" in self.sobol:
            second = self.sobol[["S2", "S2_conf"]].rename(pair="parameter")
            parts.append(second.reindex(parameter=self.sobol["parameter"]))
        return xr.merge(parts, compat="no_conflicts", join="exact", combine_attrs="drop") if parts else None

    def sentences(self) -> list[str]:
        """What people read."""
        said: list[str] = []
        if self.shapley is not None:
            said += shapley_sentences(self.shapley, self.moments)
        if self.sobol is not None:
            said += sentences(self.sobol, self.moments)
            said += until_sentences(self.sobol)
        if self.morris is not None:
            said += _agreement_sentences(self.morris, self.moments)
        if self.sample is not None:
            said += _mode_sentences(self.sample)
        if self.choices is not None:
            said += choice_sentences(self.choices)
        if self.claims is not None:
            said += claim_sentences(self.claims)
        if self.loops is not None:
            spans = [f"{name} from {start:.6g} to {end:.6g}" for start, end, name in takeovers(self.loops)]
            said.append(f"Feedback loops with the largest share of all scores: {'; '.join(spans) or 'none for long'}.")
        failed = {name: int(found["n_failed"].max()) for name, found in self.datasets().items() if "n_failed" in found}
        if any(failed.values()):
            counts = ", ".join(f"{name} {count}" for name, count in failed.items() if count)
            said.append(f"Some runs failed and were left out (at most, of any output and time): {counts}.")
        return said


def until_sentences(indices: "xr.Dataset") -> list[str]:
    """Whether the width that was asked for is reached."""
    if "until" not in indices.attrs:
        return []
    facts = indices.attrs
    reached = "reached" if facts["until_reached"] else "not reached"
    return [
        f"Intervals of +-{facts['until']:g} {reached} with {facts['rows']} rows: the widest is +-{facts['widest']:.3f}."
    ]


def _agreement_sentences(effects: "xr.Dataset", moments: Sequence[Moment]) -> Iterator[str]:
    levels = " and ".join(map(str, effects["levels"].to_numpy().tolist()))
    for output in map(str, effects["output"].to_numpy()):
        at = effects["rank_agreement"].sel(output=output)
        lowest = float(np.min([at.sel(time=moment.time, method="nearest") for moment in moments]))
        if lowest != lowest:  # of an output that does not vary there is nothing to rank
            continue
        yield f"{output}: rankings by Morris with {levels} levels agree to {lowest:.2f} (rank correlation)."


def _mode_sentences(drawn: "xr.Dataset") -> Iterator[str]:
    shares = mode_shares(drawn)
    for output in dict.fromkeys(share.output for share in shares):
        parts = []
        for share in (s for s in shares if s.output == output):
            if share.share < 0.005:
                continue
            why = ", ".join(f"{'high' if d > 0 else 'low'} {name}" for name, d in share.apart)
            parts.append(f"{share.mode} {share.share:.0%}" + (f" (told apart by {why})" if why else ""))
        yield f"{output}: {'; '.join(parts)}."
