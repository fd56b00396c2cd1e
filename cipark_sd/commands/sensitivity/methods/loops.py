"""Feedback loops: which one bends the behaviour, and when."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method
from cipark_sd.pages.blocks import Block, Paragraph, Section
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.loops import (
    CommonLead,
    bands,
    common_leads,
    leading,
    loop_dominance,
    read_loops,
    takeovers,
)
from cipark_sd.sensitivities.ranking import dated

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Loops(Method):
    """Loop dominance under the names in the model's .loops.toml, where there is one; asked for by ``--loops``."""

    name: ClassVar[str] = "loops"
    source: ClassVar[str] = "Loops That Matter: Schoenberg et al. 2020, by pysimlin."

    def compute(self, job: Job) -> "dict[str, xr.Dataset]":
        """Scores in the file's own run and over draws."""
        question, n = job.inputs.question, job.request.loop_draws or 0
        origin, factors = question.model.origin, question.factors
        beside = None if origin is None else origin.path.with_name(f"{origin.path.stem}.loops.toml")
        names = read_loops(beside, question.model) if beside is not None and beside.is_file() else ()
        shares = factors.joint(np.random.default_rng([job.request.seed, n]).random((n, len(factors))))
        held = {name: value for name, value in question.scenario.overrides.items() if isinstance(value, float)}
        draws = [held | dict(zip(factors.names, row, strict=True)) for row in factors.from_unit(shares).tolist()]
        return {"loops": loop_dominance(question.model, names, draws=draws, progress=job.progress)}

    def sentences(self, findings: Findings) -> Iterator[str]:
        """Who leads when."""
        scores = findings.results["loops"]
        date = dated(scores)
        spans = [f"{name} from {date(start)} to {date(end)}" for start, end, name in takeovers(scores)]
        yield f"Feedback loops with the largest share of all scores: {'; '.join(spans) or 'none for long'}."
        draws = scores.sizes["run"] - 1
        if draws > 1:
            common = "; ".join(_in_words(lead, date) for lead in common_leads(scores))
            yield f"In most of {draws} draws the leading loop is: {common or 'none for long'}."

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """Scores over time, and in which share of the draws each loop leads."""

        scores = findings.results["loops"]
        over_time = scores[["reinforcing", "balancing"]].to_dataframe().reset_index()
        return {"loops": over_time, "loop_bands": _bands_frame(scores)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Loops over time."""
        from cipark_sd.plotting.loops import plot_loops

        scores = findings.results["loops"]
        yield Drawing("loops", plot_loops, (scores,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Who leads when, and loops over time."""
        scores = findings.results["loops"]
        blocks: list[Block] = [
            Paragraph(
                "The score of a loop is its share in the change of the stocks that it links (Loops That Matter), so it "
                "says which loop bends the behaviour, not how much it moves an output. A loop leads while its score is "
                "the largest, for half a unit of time at least."
            ),
            *map(Paragraph, self.sentences(findings)),
        ]
        if not bool(np.asarray(scores["complete"]).all()):
            blocks.append(Paragraph("In some runs the search for loops did not see all of them.", warning=True))
        blocks += pictures.show("loops", "Loops over time, with bands over the draws.")
        yield Section("Leading feedback loops over time", tuple(blocks))


def _in_words(lead: CommonLead, date: Callable[[float], str]) -> str:
    """A span with the shares of the draws in it."""
    low, high = f"{lead.least:.0%}", f"{lead.most:.0%}"
    of = low if low == high else f"{low} to {high}"
    return f"{lead.name} from {date(lead.start)} to {date(lead.end)} (in {of} of them)"


def _bands_frame(scores: "xr.Dataset") -> "pd.DataFrame":
    """For each loop and time the median and 90 % of its share over the draws, and in how many of them it leads."""
    import pandas as pd

    columns = dict(zip(("low90", "median", "high90", "leads"), (*bands(scores), leading(scores)), strict=True))
    index = pd.MultiIndex.from_product([map(str, scores["loop"].to_numpy()), scores["time"].to_numpy()])
    frame = pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()}, index=index)
    return frame.rename_axis(["loop", "time"]).reset_index()
