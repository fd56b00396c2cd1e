"""What ``cipark sensitivity`` has found: facts and one Dataset for each result, which come back from their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cipark_sd.analysis.sensitivities.evaluation import Question
from cipark_sd.analysis.sensitivities.factors import Factors
from cipark_sd.analysis.sensitivities.ranking import Moment
from cipark_sd.base.arrays import Array
from cipark_sd.base.records import of_this_version
from cipark_sd.base.timegrid import time_label
from cipark_sd.data.scenarios import Scenario
from cipark_sd.pages.output import load_result, save_result
from cipark_sd.statements import headline
from cipark_sd.statements.claims import UNSEEN, Basis
from cipark_sd.statements.headline import Details, Headline, date_in

if TYPE_CHECKING:
    import xarray as xr

#: The file of facts; each result is a file ``NAME.nc`` beside it.
FILE = "findings-sensitivity.zip"


@dataclass(frozen=True)
class Inputs:
    """What varies.

    Parameters
    ----------
    question : Question
        With the factors of priors or ranges; after a fit with those that have draws, each by its own quantiles.
    basis : Basis
        What the draws are.
    notes : tuple of str
        Sentences for the head of the page, each of which a reader must know.
    study_digest : str
        Of the study whose data stand behind the draws; empty where none do, or where the draws do not say.
    draws : (n, k), optional
        Of a fit, as they depend on each other; None where priors or ranges are sampled.
    assumed : Factors
        What has no draws and is held with them; independent of them where it is freed.
    freed : Scenario
        What all runs share where it is freed.
    """

    question: Question
    basis: Basis
    notes: tuple[str, ...] = ()
    study_digest: str = ""
    draws: Array | None = None
    assumed: Factors = Factors(())
    freed: Scenario = Scenario()


@dataclass(frozen=True, slots=True)
class ExplainedOutput:
    """An output that is explained: its label, how its estimand is spelt, and what tells it from what was reported."""

    label: str
    quantity: str
    against: str
    unit: str
    aside: str = ""

    def at(self, time: float) -> str:
        """The estimand at a time."""
        return headline.output(self.quantity, time, against=self.against)


@dataclass(frozen=True, eq=False)
class Findings:
    """All that one call has computed, results by name, and what they are of.

    Parameters
    ----------
    study_digest : str
        Of the study whose data stand behind the draws; empty where none do.
    basis : Basis
        What the draws are.
    notes : tuple of str
        Sentences for the head of the page.
    moments : tuple of Moment
        Times at which outputs are ranked.
    constants : tuple of (str, float, float, float, str)
        What is uncertain: the 5%, 50% and 95% quantiles of what each is thought to be, and why.
    failed : tuple of str
        Of each design in which runs failed: how many, and of what.
    n_assumed : int
        How many of the constants have no draws and are held beside them.
    failed_share : float
        The largest share of the runs of a design that failed.
    is_asked : bool
        Whether the first output at the first moment is what somebody has asked about.
    starts : tuple of str
        Of the constants those that are starts of stocks, which are spelt as the stocks are.
    """

    title: str
    model: str
    model_digest: str
    study_digest: str
    seed: int
    version: str
    basis: Basis
    notes: tuple[str, ...]
    moments: tuple[Moment, ...]
    outputs: tuple[ExplainedOutput, ...]
    constants: tuple[tuple[str, float, float, float, str], ...]
    failed: tuple[str, ...] = ()
    failed_share: float = 0.0
    time_units: str = ""
    n_assumed: int = 0
    starts: tuple[str, ...] = ()
    is_asked: bool = False
    results: "Mapping[str, xr.Dataset]" = field(default_factory=dict)

    @property
    def unseen(self) -> bool:
        """Whether no data stand behind what varies."""
        return self.basis.origin in UNSEEN

    @property
    def rests_on(self) -> list[str]:
        """Sentences that stand first on the page and the console: what the draws are, and what they cannot say."""
        return [f"{self.basis.sentence}.", *self.notes]

    @property
    def over(self) -> str:
        """For captions: what the numbers are taken over."""
        of_fit = self.basis.origin == "posterior"
        return f"over {'the draws of the fit' if of_fit else self.basis.name.removeprefix('draws from ')}"

    def of(self, name: str) -> "xr.Dataset | None":
        """A result by its name, None where it was not computed."""
        return self.results.get(name)

    def with_results(self, results: "Mapping[str, xr.Dataset]") -> "Findings":
        """The findings with further results."""
        return replace(self, results={**self.results, **results})

    def over_runs(self, n: int) -> Basis:
        """What ``n`` runs rest on: as many draws of priors or ranges, or all draws of a fit."""
        return replace(self.basis, n=n) if self.unseen else self.basis

    def record(self, estimand: str, number: float, **details: Unpack[Details]) -> Headline:
        """A headline number of this command."""
        return Headline(
            estimand=estimand,
            number=number,
            command="cipark sensitivity",
            model_digest=self.model_digest,
            study_digest=self.study_digest,
            seed=self.seed,
            version=self.version,
            date=date_in(estimand, partial(time_label, units=self.time_units)),
            **details,
        )

    def output(self, label: str) -> ExplainedOutput:
        """An output by its label."""
        return next(output for output in self.outputs if output.label == label)


def save(findings: Findings, folder: Path) -> list[Path]:
    """Write facts and results into a folder, each file whole or not at all.

    Parameters
    ----------
    folder : Path
        One that exists.

    Returns
    -------
    list of Path
        Of a file for each result, and of the facts.
    """
    save_result(findings, folder / FILE, "", {"basis": findings.basis.sentence})
    return [*(folder / f"{name}.nc" for name in findings.results), folder / FILE]


def load(folder: Path) -> Findings:
    """The findings that :func:`save` wrote.

    Raises
    ------
    InvalidValue
        The folder has none, or some that cannot be read.
    """
    path = folder / FILE
    with of_this_version("findings", path):
        findings = load_result(Findings, path, "")
        if findings is None:
            raise ValueError(f"there is no {FILE} in the folder")
    return findings
