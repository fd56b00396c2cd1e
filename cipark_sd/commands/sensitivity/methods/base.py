"""What a method of sensitivity analysis is: how it is computed, and how what it found is written down."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cipark_sd.checkpoints import Checkpoints
from cipark_sd.commands.sensitivity.findings import Findings, Inputs
from cipark_sd.headline import Bounds, Headline
from cipark_sd.pages.blocks import Block, Section
from cipark_sd.pages.parts import Part, Pictures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from cipark_sd.commands.sensitivity.command import Request
    from cipark_sd.sensitivities.ranking import Moment
    from cipark_sd.sensitivities.response import ModelResponse

#: Runs done and runs planned.
Step = Callable[[int, int], None]
#: Draws for claims and choices, and at least for a sample.
DRAWS = 1024
#: Over time, in sections of several methods.
OVER_TIME = "How that changes over time"


@dataclass(frozen=True, eq=False)
class Job:
    """What a method computes from.

    Parameters
    ----------
    checkpoints : Checkpoints
        Where a design is kept that the same call goes on with.
    progress : function of the runs done and planned
    """

    request: "Request"
    inputs: Inputs
    response: "ModelResponse"
    checkpoints: Checkpoints
    progress: Step


class Method(Part[Findings]):
    """A method with its name in ``--method``.

    Parameters
    ----------
    name : str
    joint : bool
        Whether it goes with constants that depend on each other, as draws of a posterior do.
    default : bool
        Whether it is computed where none is named, with constants that do not depend on each other.
    default_joint : bool
        The same with those that do.
    source : str
        How its result is computed, with its source; empty where that needs no words.
    """

    __slots__ = ()
    name: ClassVar[str]
    joint: ClassVar[bool] = False
    default: ClassVar[bool] = False
    default_joint: ClassVar[bool] = False
    source: ClassVar[str] = ""

    @abstractmethod
    def compute(self, job: Job) -> "Mapping[str, xr.Dataset]":
        """Results by name, each of which becomes a file ``NAME.nc``; without one of its own name nothing is written."""

    def sentences(self, findings: Findings) -> Iterable[str]:
        """What the console and ``summary.txt`` say; by default nothing."""
        return ()

    def sections(self, findings: Findings, pictures: Pictures) -> Iterable[Section]:
        """Sections of the page; of a method that writes files alone none."""
        return ()

    def sureness(self, findings: Findings) -> Iterable[Block]:
        """How sure the results are, where that does not stand beside them."""
        return ()


def at(dataset: "xr.Dataset", moments: "Sequence[Moment]") -> "pd.DataFrame":
    """A table of a Dataset at the computed times next to the moments."""
    return dataset.sel(time=nearest(dataset, moments)).to_dataframe().reset_index()


def nearest(dataset: "xr.Dataset", moments: "Sequence[Moment]") -> list[float]:
    """The computed times next to the moments."""
    import numpy as np

    times = dataset["time"].to_numpy()
    return list(dict.fromkeys(float(times[np.abs(times - moment.time).argmin()]) for moment in moments))


def outputs(dataset: "xr.Dataset") -> list[str]:
    """Labels of the outputs of a Dataset."""
    return [str(label) for label in dataset["output"].to_numpy()]


def over_outputs(findings: Findings, dataset: "xr.Dataset") -> "Iterator[tuple[str, Moment, xr.Dataset]]":
    """Each output at each moment, with what the Dataset has there."""
    for output in outputs(dataset):
        for moment in findings.moments:
            yield output, moment, dataset.sel(output=output).sel(time=moment.time, method="nearest")


def strongest(findings: Findings, effects: "xr.Dataset", share: str) -> Iterator[Headline]:
    """Of each output at each moment the ``share`` of the constant with the largest one."""
    from cipark_sd.sensitivities.ranking import ranked, unranked

    basis = findings.over_runs(int(effects.attrs["rows"]))
    for label, moment, point in over_outputs(findings, effects):
        for row in [] if unranked(point) else ranked(effects, label, moment, count=1):
            estimand = f"{share} of {row.name} for {findings.output(label).at(row.time)}"
            bounds = Bounds(row.low, row.high, 0.95, "bootstrap")
            yield findings.record(estimand, row.total, unit="", kind="index", interval=bounds, basis=basis)


def interval(value: float, low: float, high: float) -> str:
    """Two digits, and three of what is small."""
    digits = 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def leader_sentences(effects: "xr.Dataset") -> Iterator[str]:
    """The strongest constant of each output over time."""
    from cipark_sd.sensitivities.ranking import dated, leaders

    date = dated(effects)
    for output in outputs(effects):
        spans = leaders(effects, output)
        text = "; ".join(f"{name} from {date(start)} to {date(end)}" for start, end, name in spans)
        yield f"{output}: the strongest constant is {text}." if spans else f"{output}: no constant leads for long."
