"""Feedback loops: which one bends the behaviour, and when."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cipark_sd.commands.sensitivity.findings import Findings
from cipark_sd.commands.sensitivity.methods.base import Job, Method
from cipark_sd.pages.blocks import Block, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.sensitivities.loops import (
    CommonLead,
    bands,
    common_leads,
    leading,
    leads,
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
    sources: ClassVar[Mapping[str, str]] = {"loops": "Loops That Matter: Schoenberg et al. 2020, by pysimlin."}

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
        """Scores over time, and spans in which each loop leads."""
        import pandas as pd

        scores = findings.results["loops"]
        date = dated(scores)
        rows = [
            {
                "loop": lead.name,
                "leads": "; ".join(f"{date(start)} to {date(end)}" for start, end in lead.spans),
                "largest": lead.largest,
                "at": lead.at,
                "share_of_draws": lead.share,
                "begins_10": lead.begins[0],
                "begins_50": lead.begins[1],
                "begins_90": lead.begins[2],
            }
            for lead in leads(scores)
        ]
        over_time = scores[["reinforcing", "balancing"]].to_dataframe().reset_index()
        return {"loops": over_time, "loop_leads": pd.DataFrame(rows), "loop_bands": _bands_frame(scores)}

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Loops over time."""
        from cipark_sd.plotting.loops import plot_loops

        scores = findings.results["loops"]
        yield Drawing("loops", plot_loops, (scores,))

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """Leads, and loops over time."""
        scores = findings.results["loops"]
        blocks: list[Block] = [
            Paragraph(
                "The score of a loop is its share in the change of the stocks that it links (Loops That Matter), so it "
                "says which loop bends the behaviour, not how much it moves an output. A loop leads while its score is "
                "the largest, for half a unit of time at least."
            ),
            *map(Paragraph, list(self.sentences(findings))[1:]),
            _leads_table(scores),
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

    low, middle, high = bands(scores)
    shares, times = leading(scores), scores["time"].to_numpy()
    frames = [
        pd.DataFrame(
            {
                "loop": str(name),
                "time": times,
                "low90": low[i],
                "median": middle[i],
                "high90": high[i],
                "leads": shares[i],
            }
        )
        for i, name in enumerate(scores["loop"].to_numpy())
    ]
    return pd.concat(frames, ignore_index=True)


def _leads_table(scores: "xr.Dataset") -> Table:
    draws, date = scores.sizes["run"] - 1, dated(scores)
    rows = []
    for lead in leads(scores):
        spans = "; ".join(f"{date(start)} to {date(end)}" for start, end in lead.spans)
        largest = f"{lead.largest:.0%} at {date(lead.at)}" if lead.largest >= 0.005 else "none"
        row = [("loop", lead.name), ("leads", spans or "never"), ("largest share", largest)]
        if draws:
            low, middle, high = lead.begins
            begins = f"{date(middle)} ({date(low)} to {date(high)})" if lead.share > 0 else ""
            row += [("leads in draws", f"{lead.share:.0%}"), ("longest lead begins (80 % of these draws)", begins)]
        rows.append(row)
    return Table.of(rows, f"The file's own constants, and {draws} draws")
