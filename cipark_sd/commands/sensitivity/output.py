"""One call of ``cipark sensitivity``: the methods in order, with progress, and the page of what they find.

The page is made of findings alone: no model is run for it and no number drawn.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cipark_sd.analysis.sensitivities.evaluation import Question
from cipark_sd.analysis.sensitivities.ranking import Moment, Ranked, ranked, unranked
from cipark_sd.analysis.sensitivities.response import ModelResponse, model_response
from cipark_sd.analysis.sensitivities.sampled import at_draws, hypercube, sample
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import echo, progress_bars
from cipark_sd.base.files import OUTPUT_FOLDER, output_folder, write_text
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.base.optional import record_in
from cipark_sd.base.timegrid import calendar_years, time_grid, time_label
from cipark_sd.base.wording import in_sentence, is_date, listed, said_date, with_unit, written_unit
from cipark_sd.commands.result import Result, of_folder
from cipark_sd.commands.sensitivity.findings import FILE, ExplainedOutput, Findings, Inputs, load, save
from cipark_sd.commands.sensitivity.methods import registry
from cipark_sd.commands.sensitivity.methods.base import DRAWS, Job, Method, Step, over_outputs, share_bars
from cipark_sd.commands.sensitivity.methods.registry import LOOPS, METHODS
from cipark_sd.commands.sensitivity.methods.sample import fan, fan_chart
from cipark_sd.commands.sensitivity.request import MOST_TIMES, Request
from cipark_sd.commands.sensitivity.target import inputs_of, target_of
from cipark_sd.data import estimands
from cipark_sd.data.described import version
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.execution.cluster import Cluster
from cipark_sd.model.variables import Stock
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, FirstScreen, Listing, Paragraph, Section, Table
from cipark_sd.pages.parts import Drawing, Part, Pictures, Words
from cipark_sd.simulations.failures import MOST_FAILED, share_of

if TYPE_CHECKING:
    import xarray as xr

    from cipark_sd.analysis.sensitivities.factors import Factors
    from cipark_sd.execution.pool import Pool

#: What no index says.
EQUATIONS = "This says what moves the outputs of these equations, and not whether the equations are right."
#: Outputs and drivers in a line, at most; an index that is smaller is none of a driver.
OUTPUTS, DRIVERS, LEAST = 2, 2, 0.05
#: Bars of the first figure, which is read on a phone; of each panel where there are two.
_BARS, _BARS_OF_TWO = 8, 5
#: What the bars are.
BARS = "How much of the uncertainty each constant brings: its share of the variance, with a 95% interval"
#: Results whose shares rank constants.
_RANKING = ("shapley", "sobol")


@dataclass(frozen=True, slots=True)
class First(Part[Findings]):
    """The first screen, from the headline numbers of the parts ``of``."""

    of: tuple[Part[Findings], ...]

    def drawings(self, findings: Findings) -> Iterator[Drawing]:
        """Bars of the output that the title names; where it names none, how far the first one goes."""
        runs = findings.of("sample")
        if rankings := [ranking for ranking in (_leading(findings), _freed(findings)) if ranking]:
            count = _BARS if len(rankings) == 1 else _BARS_OF_TWO
            panels = [(ranking.heading, ranking.rows[:count]) for ranking in rankings]
            yield Drawing("answer", share_bars, panels, assumed=_ranging(findings))
        elif runs is not None and findings.basis.bands:
            yield Drawing("answer", fan_chart, fan(runs), first=True)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """One block; nothing where no method gives a range, a ranking or a reason for having none."""
        ranking, reasons = _leading(findings), list(_unranked(findings))[:OUTPUTS]
        ranges = _ranges(findings)
        if not ranges and not ranking and not reasons:
            return
        doubtful, unseen = not findings.basis.sure, findings.unseen
        shares = [] if ranking is None else [ranking.sentence]
        # a share is computed of the equations: whatever it is over, it is not known of the world
        known, open_ = ([], [*ranges, *shares]) if unseen else (ranges, shares)
        assumed = f"The equations, and how far each of {len(findings.constants)} constants may lie."
        if not unseen:
            held = f", and the values at which {findings.n_assumed} constants are held" if findings.n_assumed else ""
            assumed = f"The equations and the priors of the fit{held}.{_further(findings)}"
        nothing = f"Nothing {'of the world: these numbers use no data' if unseen else 'beyond the report of the fit'}."
        cautions = findings.rests_on[:1] if doubtful else ()
        if findings.failed_share > MOST_FAILED:
            known, open_, reasons = [], ["What moves the outputs, and how far they go."], []
            nothing = "Nothing from so few runs: those that are left are no sample."
            cautions = (*cautions, *findings.failed)
        below = " Below: constants that the fit holds vary as well." if ranking and _freed(findings) else ""
        bars = BARS if ranking else "How far it goes: median and bands"
        yield Section(
            "In short",
            (
                FirstScreen(
                    subject=f"{ranking.question if ranking else 'Which assumptions matter?'} {findings.title}",
                    title=title(findings, ranking, reasons),
                    known=" ".join(known) or nothing,
                    not_known=" ".join([*open_, *reasons]) or "Whether the equations are right.",
                    assumed=assumed,
                    limits=" ".join([*([] if doubtful else findings.rests_on[:1]), EQUATIONS]),
                    cautions=tuple(cautions),
                    warnings=tuple(findings.rests_on[1:]) if doubtful else (),
                    picture=next(pictures.show("answer", f"{bars}, {findings.over}.{below}"), None),
                ),
            ),
        )


@dataclass(frozen=True, slots=True)
class Ranking:
    """The constants that move one output most at one moment, the largest share first."""

    output: str
    date: str
    rows: tuple[Ranked, ...]
    starts: tuple[str, ...]
    #: The constant that alone would narrow the output most; empty where that is not computed.
    alone: str = ""
    #: Whether somebody has asked about the output at this moment.
    is_asked: bool = False
    #: Whether constants that the fit holds vary as well.
    is_freed: bool = False

    def called(self, name: str) -> str:
        """A constant, told from the stock whose start it is."""
        return f"{name} at the start" if name in self.starts else name

    @property
    def heading(self) -> str:
        """Above its bars."""
        return f"{self.named}{'; striped: assumed ranges' * self.is_freed}"

    @property
    def named(self) -> str:
        """The output with its time."""
        return f"{self.output} {self.date}"

    @property
    def question(self) -> str:
        """What a reader asks."""
        return f"What would narrow {self.subject} most?"

    @property
    def subject(self) -> str:
        """The output, and the time that was asked about."""
        return self.named if self.is_asked else self.output

    @property
    def first(self) -> list[str]:
        """Those of which any may have the largest share: their intervals reach that of the first."""
        return [self.called(row.name) for row in self.rows if row.high >= self.rows[0].low]

    @property
    def sentence(self) -> str:
        """The largest shares with their intervals."""
        shown = [row for row in self.rows if row.total >= LEAST][:DRIVERS] or list(self.rows[:1])
        parts = [
            f"{self.called(row.name)} {row.total:.0%} (95%: {row.low:.0%} to {min(row.high, 1.0):.0%})" for row in shown
        ]
        return f"What makes {self.named} uncertain, as shares of its variance: {listed(parts)}."


def _leading(findings: Findings) -> Ranking | None:
    """Of the first output at the first moment that has a ranking; where something was asked of no other."""
    for name in _RANKING:
        for ranking in islice(_rankings(findings, name), 1 if findings.is_asked else None):
            if ranking is not None:
                return ranking
    return None


def _freed(findings: Findings) -> Ranking | None:
    """What the output of the leading ranking is moved by with assumed ranges beside the fit's draws."""
    first = _leading(findings)
    return next((r for r in _rankings(findings, "ranges") if r and first and r.named == first.named), None)


def _rankings(findings: Findings, name: str) -> Iterator[Ranking | None]:
    """Of each output at each moment; None where the constants cannot be ranked."""
    result = findings.of(name)
    for label, moment, point in [] if result is None else over_outputs(findings, result):
        if result is None or unranked(point):
            yield None
            continue
        rows, when = tuple(ranked(result, label, moment, count=_BARS)), _when(moment, findings.time_units)
        details = {"is_asked": findings.is_asked, "is_freed": name == "ranges"}
        yield Ranking(label, when, rows, findings.starts, _narrows_most(point), **details)


def _ranging(findings: Findings) -> frozenset[str]:
    """Constants that vary over what somebody assumed, and no data have seen."""
    freed = findings.of("ranges")
    if findings.unseen or freed is None:
        return frozenset(name for name, *_ in findings.constants if findings.unseen)
    return frozenset(map(str, freed["parameter"].to_numpy()[int(freed.attrs["fitted"]) :]))


def _narrows_most(point: "xr.Dataset") -> str:
    """The constant that alone takes most of the variance away; empty where none takes much, or that is not computed."""
    if "alone" not in point or float(point["alone"].max()) < LEAST:
        return ""
    return str(point["parameter"].to_numpy()[int(point["alone"].to_numpy().argmax())])


def _when(moment: Moment, units: str) -> str:
    """A moment as people write it: a date, or the number after the unit of time."""
    text = moment.label if is_date(moment.label) else time_label(moment.time, units)
    date = said_date(text)
    return f"on {date}" if date != text else f"at {units} {text}" if units else f"at {text}"


def title(findings: Findings, ranking: Ranking | None, reasons: Sequence[str]) -> str:
    """The constant that moves an output most; that none can be named where shares are not known.

    Parameters
    ----------
    ranking : Ranking or None
        Of the output that is spoken of.
    reasons : sequence of str
        Why outputs have no ranking.

    Returns
    -------
    str
        A sentence without its full stop.
    """
    if findings.failed_share > MOST_FAILED:
        return f"No finding: {share_of(findings.failed_share)} of the runs failed"
    if ranking is not None:
        first = ranking.first
        if len(first) > DRIVERS:
            return f"No single constant moves {ranking.subject} most: {len(first)} are about equal"
        if len(first) == 1 and ranking.alone == ranking.rows[0].name and not findings.unseen:
            return f"Knowing {first[0]} would narrow {ranking.subject} most"
        return f"{' or '.join(first)} moves {ranking.subject} most"
    if findings.is_asked and reasons:
        named = f"{findings.outputs[0].label} {_when(findings.moments[0], findings.time_units)}"
        return f"What would narrow {named} most is not known from these runs"
    if reasons:
        return "Which assumption matters most is not known from these runs"
    return f"How far {listed(dict.fromkeys(output.label for output in findings.outputs))} can go"


def _unranked(findings: Findings) -> Iterator[str]:
    """Outputs at whose moments no constant can be named, with the reason."""
    for name in _RANKING:
        result = findings.of(name)
        for label, moment, point in [] if result is None else over_outputs(findings, result):
            if why := unranked(point):
                yield f"{label}, {moment.label}: no ranking, since {why}."


def _ranges(findings: Findings) -> list[str]:
    """How far outputs go at moments, a sentence for each output; nothing of draws that bear no band."""
    runs = findings.of("sample")
    if runs is None or not findings.basis.bands:
        return []
    spans = islice(_spans(findings, fan(runs, (5.0, 50.0, 95.0)).to_dataset()), OUTPUTS)
    sentences = []
    for label, group in groupby(spans, key=itemgetter(0)):
        (when, text), *later = [span[1:] for span in group]
        aside = findings.output(label).aside
        name = f"{label}, {aside}," if aside else label
        sentences.append(f"{name} {when}: {text}{''.join(f'; {date}: {value}' for date, value in later)}.")
    return sentences


def _spans(findings: Findings, bands: "xr.Dataset") -> Iterator[tuple[str, str, str]]:
    """Each output at each moment with its median and how far 90% of the runs reach: label, time, value."""
    for label, moment, point in over_outputs(findings, bands):
        low, middle, high = point["fan"].to_numpy().tolist()
        if np.isfinite([low, middle, high]).all():
            unit = str(point["units"].item())
            value, *ends = (in_sentence(x, high - low, unit) for x in (middle, low, high))
            yield label, _when(moment, findings.time_units), f"{with_unit(value, unit)} (90%: {' to '.join(ends)})"


def _further(findings: Findings) -> str:
    """How far the output of the title goes with the constants that a fit holds over their assumed ranges."""
    freed, first = findings.of("ranges"), _leading(findings)
    spans = [] if freed is None or first is None else _spans(findings, freed)
    texts = (text for label, when, text in spans if first and f"{label} {when}" == first.named)
    return next((f" Over assumed ranges of these, {first.named} would be {text}." for text in texts if first), "")


def _rests(findings: Findings) -> Iterator[Section]:
    """What the draws are; set apart for all but those of chains that have converged."""
    first, *notes = findings.rests_on
    yield Section("Basis and assumptions", (Paragraph(first, warning=not findings.basis.sure), *map(Paragraph, notes)))


def _end(findings: Findings) -> Iterator[Section]:
    """How sure the results are, what each constant is thought to be, and how the results were computed."""
    methods, constants = _methods(findings), findings.constants
    blocks: list[Block] = [block for method in methods for block in method.sureness(findings)]
    yield Section("How sure this is", (Listing(findings.failed or ("No run failed.",)), *blocks))
    rows = tuple((name, *(f"{end:.4g}" for end in ends), why) for name, *ends, why in constants)
    table = Table(("constant", "5%", "median", "95%", "why"), rows)
    yield Section(f"Uncertain inputs: {len(constants)} constants", (table,))
    sources = tuple(method.source for method in methods if method.source)
    yield Section("How it was computed", (Listing(sources),))


def _methods(findings: Findings) -> tuple[Method, ...]:
    return tuple(method for method in (*registry.METHODS, registry.LOOPS) if method.name in findings.results)


def parts(findings: Findings) -> tuple[Part[Findings], ...]:
    """The parts of the page in their order."""
    methods = _methods(findings)
    return (First(methods), Words(_rests), *methods, Words(_end))


def sentences(findings: Findings) -> list[str]:
    """What the console and ``summary.txt`` say."""
    return [*(text for method in _methods(findings) for text in method.sentences(findings)), *findings.failed]


def _write(findings: Findings, folder: Path, *, for_print: bool = False) -> list[Path]:
    """Write everything but the results themselves into a folder that exists, each file whole or not at all.

    Parameters
    ----------
    for_print : bool
        As of :func:`cipark_sd.pages.output.write`.

    Returns
    -------
    list of Path
        Of all files.
    """
    text = "\n\n".join([findings.title, *findings.rests_on, *sentences(findings)]) + "\n"
    written = [write_text(folder / "summary.txt", text)]
    return written + output.write(
        parts(findings),
        findings,
        folder,
        f"Which assumptions matter: {findings.title}",
        _identity(findings),
        draws=findings.basis.label,
        dates=calendar_years(findings.time_units),
        for_print=for_print,
    )


write_again = output.again(FILE, load, _write)


def _identity(findings: Findings) -> str:
    facts = [findings.basis.sentence, f"{findings.model}, digest {findings.model_digest[:12]}"]
    for name, result in findings.results.items():
        counts = [f"{result.attrs[key]} {key}" for key in ("rows", "draws", "runs") if key in result.attrs]
        facts += [f"{name}: {', '.join(counts)}"] if counts else []
    seeds = sorted({int(result.attrs["seed"]) for result in findings.results.values() if "seed" in result.attrs})
    facts += [f"seeds {', '.join(map(str, seeds))}"] if seeds else []
    return "; ".join(facts)


#: Points from which quantiles of the constants are read.
_POINTS = 2001


def answer(request: Request) -> Result:
    """Compute, write and tell.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    pool = None if request.dask is None else Cluster(request.dask)
    study, question = target_of(request)
    folder = output_folder(request.output or OUTPUT_FOLDER / f"{study.name}-sensitivity")
    record_in(folder)
    checkpoints = Checkpoints.in_output(folder, fresh=request.fresh)
    inputs = inputs_of(request, study, question, max(request.rows, DRAWS))
    question = inputs.question
    methods = _chosen_methods(request, joint=inputs.draws is not None)
    allowed = study.allowed if request.allow_failed is None else request.allow_failed
    response = _response(question, request, pool, allowed=allowed)
    sizes = {"uncertain constant": response.names, "output": response.outputs, "time": response.times}
    findings = nothing_yet(request, inputs)
    printed = [f"{question.title}: " + ", ".join(f"{len(n)} {kind}{'s' * (len(n) != 1)}" for kind, n in sizes.items())]
    printed += findings.rests_on
    try:
        with progress_bars() as bars, pool or nullcontext():
            runs = cache(partial(_runs, request, inputs, response, bars.counter("sample, runs")))
            for method in methods:
                progress = bars.counter(f"{method.name}, runs")
                job = Job(
                    inputs,
                    response,
                    runs,
                    checkpoints,
                    progress,
                    request.seed,
                    rows=request.rows,
                    resamples=request.resamples,
                    loop_draws=request.loop_draws or 0,
                )
                findings = findings.with_results(method.compute(job))
        failed = (failures.sentence(design) for design, failures in response.failures.items())
        share = max((failures.share for failures in response.failures.values()), default=0.0)
        findings = replace(findings, failed=tuple(filter(None, failed)), failed_share=share)
        save(findings, folder)
        _write(findings, folder)
    except KeyboardInterrupt:
        resumable = any(method.name == "sobol" for method in methods)
        resume = " The Sobol design so far is kept: the same command resumes." if resumable else ""
        echo(f"\nStopped.{resume}", err=True)
        raise SystemExit(130) from None
    return of_folder(folder, [*printed, *(f"\n{line}" for line in sentences(findings)), ""])


def _runs(request: Request, inputs: Inputs, response: ModelResponse, progress: Step) -> "xr.Dataset":
    """Over each draw of a fit; of priors and ranges as many as are asked for."""
    seed = request.seed + 1
    if inputs.draws is None:
        return sample(response, n=max(request.rows, DRAWS), seed=seed, progress=progress)
    return at_draws(response, inputs.draws, seed=seed, progress=progress)


def _chosen_methods(request: Request, *, joint: bool) -> tuple[Method, ...]:
    """In the order of the page, loops last; ``joint`` where constants depend on each other."""
    usual = [method.name for method in METHODS if (method.joint if joint else method.default)]
    chosen = (method for method in METHODS if method.name in (request.methods or usual))
    return (*chosen, *((LOOPS,) if request.loop_draws is not None else ()))


def nothing_yet(request: Request, inputs: Inputs) -> Findings:
    """Findings without results: what these will be of."""
    question = inputs.question
    return Findings(
        title=question.title,
        model=question.model.name,
        model_digest=question.model.digest,
        study_digest=inputs.study_digest,
        seed=request.seed,
        version=version(),
        basis=inputs.basis,
        notes=inputs.notes,
        moments=question.moments,
        outputs=tuple(
            ExplainedOutput(
                output.label,
                f"{output.metric and f'{output.metric} of '}{estimands.name_in(question.model, output.variable)}",
                estimands.settings(question.model, output.without),
                written_unit(output.units(question.model)),
                question.asides.get(override_key(output.variable), ""),
            )
            for output in question.outputs
        ),
        constants=(*_spreads(question.factors), *_spreads(inputs.assumed)),
        n_assumed=len(inputs.assumed),
        is_asked=question.is_asked,
        time_units=question.model.time.units,
        starts=tuple(
            name for name in question.factors.names if isinstance(question.model.by_name.get(base_name(name)), Stock)
        ),
    )


def _spreads(factors: "Factors") -> list[tuple[str, float, float, float, str]]:
    if not len(factors):
        return []
    quantiles = np.percentile(hypercube(factors, _POINTS, 0), (5, 50, 95), axis=0).tolist()
    why = [block.why for block in factors.blocks for _ in block.names]
    return list(zip(factors.names, *quantiles, why, strict=True))


def _times(question: Question, every: float | None) -> list[float] | None:
    """The times that are analysed, None for all saved ones."""
    if every is not None:
        first, last = question.model.time.initial, question.model.time.final
        grid = time_grid(first, last, every, every, where=f"{question.title}, every")
        return [float(time) for time in grid.times if time <= last + every / 2]
    saved = grid_of(question.model, checked(question.model, question.scenario)).saved_times
    if len(saved) <= MOST_TIMES:
        return None
    chosen = set(np.linspace(0, len(saved) - 1, MOST_TIMES).round().astype(int).tolist())
    chosen |= {int(np.abs(saved - moment.time).argmin()) for moment in question.moments}
    echo(f"note: {len(chosen)} of {len(saved):,} saved times are analysed; --every TIME chooses others", err=True)
    return [float(saved[i]) for i in sorted(chosen)]


def _response(question: Question, request: Request, pool: "Pool | None", *, allowed: float) -> ModelResponse:
    times = _times(question, question.every if request.every is None else request.every)
    how: dict[str, Any] = {"scenario": question.scenario, "workers": request.workers if pool is None else 1}
    response = model_response(question.model, question.factors, question.outputs, times=times, **how)
    return replace(response, pool=pool, allowed=allowed)
