"""The page of ``cipark sensitivity``: which assumptions matter, when, how sure that is, and what rests on them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.claims import classify
from cipark_sd.commands.sensitivity.findings import Found, until_sentences
from cipark_sd.commands.sensitivity.ranking import interval, pairs, ranking
from cipark_sd.pages.page import Block, Listing, Page, Paragraph, Picture, Section, Table
from cipark_sd.sensitivity.behaviour import FEWEST, mode_shares
from cipark_sd.sensitivity.loops import leads
from cipark_sd.sensitivity.ranking import NEGLIGIBLE, Moment, gaps, kept_at_half, leaders, negligible, ranked
from cipark_sd.sensitivity.verdicts import choice_sentences, claim_sentences, deciding, evidence_of, plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from cipark_sd.sensitivity.factors import Factors

#: Points of the cube from which quantiles of the constants are read.
_POINTS = 2001


def page(found: Found, tables: "dict[str, pd.DataFrame]", pictures: Sequence[str]) -> Page:
    """The page of what was computed, with the pictures that were drawn."""
    question = found.question
    sections = [
        _rest(found),
        *_headline(found, pictures),
        *_decisions(found, pictures),
        *_reach(found, tables, pictures),
        *_one_at_a_time(found, pictures),
        *_sureness(found, pictures),
        *_loops(found, pictures),
        _constants(question.factors),
        _methods(found),
    ]
    facts = [found.inputs.basis.sentence, f"{question.model.name}, digest {question.model.digest[:12]}"]
    facts += [
        f"{name}: "
        + ", ".join(f"{dataset.attrs[key]} {key}" for key in ("rows", "draws", "runs") if key in dataset.attrs)
        for name, dataset in found.datasets().items()
        if {"rows", "draws", "runs"} & set(dataset.attrs)
    ]
    seeds = sorted({int(dataset.attrs["seed"]) for dataset in found.datasets().values() if "seed" in dataset.attrs})
    facts += [f"seeds {', '.join(map(str, seeds))}"] if seeds else []
    return Page(f"Which assumptions matter: {question.title}", "; ".join(facts), tuple(sections))


def _rest(found: Found) -> Section:
    """What the draws are; set apart for all but those of chains that have converged."""
    basis = found.inputs.basis
    sure = basis.origin == "posterior" and bool(basis.converged)
    first, *more = found.rests_on
    return Section("Basis and assumptions", (Paragraph(first, warning=not sure), *map(Paragraph, more)))


def _headline(found: Found, pictures: Sequence[str]) -> Iterator[Section]:
    """The assumptions that matter at the moments, and when each does."""
    if found.shapley is not None:
        yield Section("The assumptions that matter", tuple(_shapley_blocks(found, found.shapley, pictures)))
    if found.sobol is not None:
        title = "The assumptions that matter" if found.shapley is None else "By variance, with independent constants"
        yield Section(title, tuple(_sobol_blocks(found, found.sobol)))
        yield Section("How that changes over time", tuple(_course_blocks(found.sobol, pictures)))
    elif found.shapley is not None:
        yield Section("How that changes over time", tuple(_shapley_course(found.shapley, pictures)))


def _sobol_blocks(found: Found, indices: "xr.Dataset") -> Iterator[Block]:
    yield Paragraph(
        "A total index of 0.4 says: if all constants but this one were known, 40 % of the variance of the output would "
        "be left; a first index of 0.4 says: if this one were known, the variance would fall by 40 % on average. "
        "Brackets are 95 % intervals. The spread of a constant is what the study thinks possible (last table of this "
        "page), so a constant matters because the model reacts to it and because it is poorly known."
    )
    for output in map(str, indices["output"].to_numpy()):
        for moment in found.moments:
            rows = ranked(indices, output, moment)
            if not rows:
                reason = indices["reason"].sel(output=output).sel(time=moment.time, method="nearest").item()
                yield Paragraph(f"{output}, {moment.label}: no ranking, since {reason}.", warning=True)
                continue
            rows = [row for row in rows if row.high >= NEGLIGIBLE] or rows[:1]
            at = indices.sel(output=output).sel(time=moment.time, method="nearest")
            caption = (
                f"{output}, {moment.label}, {found.over}: mean {float(at['mean']):.3g}, standard deviation "
                f"{float(np.sqrt(at['variance'])):.3g} {at['units'].item()}; single effects make up "
                f"{float(at['S1'].sum()):.0%} of the variance"
            )
            yield ranking(rows, found.tornado, caption)
    yield from pairs(indices, found.moments)


def _course_blocks(indices: "xr.Dataset", pictures: Sequence[str]) -> Iterator[Block]:
    yield Listing(tuple(_leader_sentence(indices, output) for output in map(str, indices["output"].to_numpy())))
    yield from _picture(
        pictures,
        "indices",
        "Shares of the variance over time. Left: what single constants explain, stacked. Right: total indices with "
        "95 % intervals, which are wide where an output has just begun to move and a few runs carry its variance.",
    )
    yield from _picture(
        pictures, "heat-map", "Total indices over time of the constants that are strongest on the whole."
    )
    yield Listing(tuple(_gap_sentence(indices, output) for output in map(str, indices["output"].to_numpy())))


def _shapley_blocks(found: Found, effects: "xr.Dataset", pictures: Sequence[str]) -> Iterator[Block]:
    yield Paragraph(
        "The constants depend on each other, so their shares of the variance are Shapley effects: what knowing a "
        "constant takes from the variance, on average over all orders in which constants can become known. All shares "
        "together make one; intervals are 95 %."
    )
    for output in map(str, effects["output"].to_numpy()):
        for moment in found.moments:
            at = effects.sel(output=output).sel(time=moment.time, method="nearest")
            share, width = at["Sh"].to_numpy(), at["Sh_conf"].to_numpy()
            if np.isnan(share).all():
                yield Paragraph(
                    f"{output}, {moment.label}: no ranking, since the variance is negligible.", warning=True
                )
                continue
            course = effects["Sh"].sel(output=output).transpose("parameter", "time").to_numpy()
            times = effects["time"].to_numpy()
            rows = []
            for place, i in enumerate(np.argsort(-share, kind="stable")[:5], start=1):
                peak = int(np.argmax(np.nan_to_num(course[i], nan=-1.0)))
                told = interval(share[i], max(0.0, share[i] - width[i]), share[i] + width[i])
                name = str(at["parameter"].to_numpy()[i])
                rows.append((str(place), name, told, f"{times[peak]:.6g} ({course[i, peak]:.2f})"))
            deviation = float(np.sqrt(at["variance"]))
            caption = f"{output}, {moment.label}, {found.over}: standard deviation {deviation:.3g} {at['units'].item()}"
            yield Table(("", "constant", "Shapley effect", "largest in"), tuple(rows), caption)
    yield from _picture(pictures, "shapley", "Shapley effects of the ten strongest constants.")


def _shapley_course(effects: "xr.Dataset", pictures: Sequence[str]) -> Iterator[Block]:
    yield Listing(tuple(_leader_sentence(effects, output) for output in map(str, effects["output"].to_numpy())))
    yield from _picture(pictures, "shapley-over-time", "Shapley effects over time.")


def _leader_sentence(effects: "xr.Dataset", output: str) -> str:
    spans = leaders(effects, output)
    told = "; ".join(f"{name} from {start:g} to {end:g}" for start, end, name in spans)
    return f"{output}: the strongest constant is {told}." if spans else f"{output}: no constant leads for long."


def _gap_sentence(indices: "xr.Dataset", output: str) -> str:
    spans = gaps(indices, output)
    if not spans:
        return f"{output} has indices at all times."
    told = "; ".join(f"from {start:g} to {end:g}, since {reason}" for start, end, reason in spans)
    return f"{output} has no indices {told}: a share of next to nothing would be a number without meaning."


def _decisions(found: Found, pictures: Sequence[str]) -> Iterator[Section]:
    if found.choices is not None:
        blocks: list[Block] = [Paragraph(sentence) for sentence in choice_sentences(found.choices)]
        blocks += _picture(pictures, "choices", "How often each alternative is the best, and what decides that.")
        blocks += [_ends_table(found.choices, choice) for choice in map(str, found.choices["choice"].to_numpy())]
        yield Section("How often the best policy changes", tuple(blocks))
    if found.claims is not None:
        blocks = [
            Paragraph(
                "Each claim compares two runs with the same constants; its margin is the difference in the direction "
                "of the claim. The index of a constant is the share of the margin's variance that it explains alone."
            ),
            Listing(tuple(claim_sentences(found.claims))),
            _claims_table(found),
        ]
        blocks += _picture(pictures, "claims", "Which constants move which claim.")
        yield Section("Basis of each claim", tuple(blocks))


def _ends_table(found: "xr.Dataset", choice: str) -> Table:
    """How the shares of the alternatives change with the constants that decide."""
    at = found.sel(choice=choice)
    known = [i for i, best in enumerate(at["best"].to_numpy()) if best >= 0.05]
    titles = [str(found["title"].to_numpy()[i]) for i in known]
    rows = []
    for name, _, _ in deciding(at, count=5):
        low, high = (at[end].sel(parameter=name).to_numpy() for end in ("best_at_low", "best_at_high"))
        rows.append((name, *(f"{low[i]:.0%} to {high[i]:.0%}" for i in known)))
    caption = f"{choice}: how often each is best with the constant in its lowest fifth, to its highest fifth"
    return Table(("constant", *titles), tuple(rows), caption)


def _claims_table(found: Found) -> Table:
    claims = found.claims
    assert claims is not None  # else it is not asked for
    seen, fitted = not found.inputs.unseen, found.inputs.independent is not None
    rows = []
    for place in range(claims.sizes["claim"]):
        at = claims.isel(claim=place)
        low, middle, high = at["margin"].to_numpy()
        evidence = evidence_of(at)
        after = [f"{float(at['true']):.2f}"] if seen else []
        after += [str(evidence.factor)] if fitted else []
        rows.append(
            (
                str(at["claim"].item()),
                str(at["title"].item()),
                str(classify([evidence])),
                f"{evidence.prior.share:.2f}",
                *after,
                f"{middle:.3g} ({low:.3g} to {high:.3g})",
                plain(deciding(at)),
            )
        )
    between = f" and {found.over}" if seen else ""
    between += ", and the Bayes factor between" if fitted else ""
    caption = (
        f"Probabilities under the priors{between}; margins {found.over}: median, and 5 to 95 % of the draws; "
        "constants: index and half of its 95 % interval"
    )
    after_fit = (("P posterior", "Bayes factor") if fitted else ("P after the fit",)) if seen else ()
    head = ("claim", "policy", "class", "P prior", *after_fit)
    return Table((*head, "margin", "moved by"), tuple(rows), caption)


def _reach(found: Found, tables: "dict[str, pd.DataFrame]", pictures: Sequence[str]) -> Iterator[Section]:
    """Fans, measures and modes."""
    if found.sample is None:
        return
    blocks = list(_picture(pictures, "fan", "Median and bands of 50, 75, 90 and 95 % of the runs."))
    drivers = tables["measures_pawn"]
    rows = []
    for line in tables["measures"].to_dict("records"):
        own = drivers[drivers["output"] == line["measure"]].sort_values("median", ascending=False)
        above = own[own["median"] > own["dummy"]]["parameter"].head(3)
        share = line["runs_with_a_value"] / found.sample.sizes["run"]
        # of a measure that most runs do not have, slices say little
        names = ", ".join(map(str, above)) if share > 0.5 else ""
        numbers = (f"{line[p]:.5g}" if share > 0 else "" for p in (5.0, 50.0, 95.0))
        rows.append((str(line["measure"]), *numbers, f"{share:.0%}", names))
    blocks.append(
        Table(
            ("measure", "5 %", "median", "95 %", "runs that have it", "moved most by"),
            tuple(rows),
            "What the runs have in common and what not; the constants are the strongest by PAWN, which looks at the "
            "whole distribution, where they stand out from constants that have nothing to do with the model",
        )
    )
    modes = []
    for shown in mode_shares(found.sample):
        few = shown.share * found.sample.sizes["run"] < FEWEST
        apart = ", ".join(f"{'high' if d > 0 else 'low'} {name}" for name, d in shown.apart)
        interval = f"{shown.share:.1%} ({shown.low:.1%} to {shown.high:.1%})"
        why = apart or ("too few runs to say" if few else "nothing that stands out")
        modes.append((shown.output, shown.mode, interval, why))
    blocks.append(
        Table(
            ("output", "mode", "share of runs", "set apart by"),
            tuple(modes),
            "Modes of behaviour, and what separates them",
        )
    )
    blocks += _pictures(pictures, "scatter_", "The output against its four strongest constants, and these in pairs.")
    yield Section("How far the outputs can go", tuple(blocks))


def _one_at_a_time(found: Found, pictures: Sequence[str]) -> Iterator[Section]:
    blocks: list[Block] = []
    blocks += _picture(pictures, "tornado", "One constant at a time, at its 5 % and its 95 % quantile.")
    blocks += _picture(
        pictures,
        "morris",
        "Screening: how much the output moves as a constant moves by more than half of its distribution, somewhere in "
        "the space of all constants, and how much that depends on where.",
    )
    if blocks:
        yield Section("One constant at a time", tuple(blocks))


def _sureness(found: Found, pictures: Sequence[str]) -> Iterator[Section]:
    """Convergence, screening against indices, failed runs, what is negligible."""
    points: list[str] = []
    blocks: list[Block] = []
    if found.sobol is not None:
        points += list(_width_sentences(found.sobol, found.moments)) + until_sentences(found.sobol)
    if found.morris is not None:
        for output in map(str, found.morris["output"].to_numpy()):
            points += list(_screening_sentences(found, found.morris, output))
    for name, dataset in found.datasets().items():
        if "n_failed" in dataset and int(dataset["n_failed"].max()):
            most = int(dataset["n_failed"].max())
            points.append(f"{name}: up to {most} runs of one output and time failed; they are left out of all sums.")
    if not any(int(dataset["n_failed"].max()) for dataset in found.datasets().values() if "n_failed" in dataset):
        points.append("No run failed.")
    blocks.append(Listing(tuple(points)))
    if found.sobol is not None:
        blocks += _picture(
            pictures,
            "convergence",
            "Total indices with fewer rows of the same design: they should stay in the intervals.",
        )
        small = negligible(found.sobol, found.moments)
        total = found.sobol.sizes["parameter"]
        if small:
            blocks.append(
                Paragraph(
                    f"{len(small)} of {total} constants are negligible: at all the moments and for all outputs above "
                    f"their total index with its interval is under {NEGLIGIBLE:g}, so for these questions they may be "
                    f"fixed: {', '.join(small)}."
                )
            )
        else:
            blocks.append(Paragraph(f"None of the {total} constants is shown to be negligible at all the moments."))
    yield Section("How sure this is", tuple(blocks))


def _width_sentences(indices: "xr.Dataset", moments: Sequence[Moment]) -> Iterator[str]:
    for output in map(str, indices["output"].to_numpy()):
        for moment in moments:
            at = indices["ST_conf"].sel(output=output).sel(time=moment.time, method="nearest").to_numpy()
            if np.isnan(at).all():
                continue
            kept = kept_at_half(indices, output, moment)
            stable = "" if kept is None else f"; {kept[0]} of its first {kept[1]} were that at half the rows already"
            yield f"{output}, {moment.label}: the widest interval of a total index is +-{np.nanmax(at):.3f}{stable}."


def _screening_sentences(found: Found, effects: "xr.Dataset", output: str) -> Iterator[str]:
    for moment in found.moments:
        at = effects.sel(output=output).sel(time=moment.time, method="nearest")
        agreement = float(at["rank_agreement"])
        if not np.isfinite(agreement):
            continue
        told = f"{output}, {moment.label}: the two grids of the screening rank alike ({agreement:.2f})"
        if found.sobol is not None and output in found.sobol["output"]:
            first = {row.name for row in ranked(found.sobol, output, moment)}
            star = at["mu_star"].isel(levels=0).to_numpy()
            names = at["parameter"].to_numpy()
            screened = {str(names[i]) for i in np.argsort(-np.nan_to_num(star), kind="stable")[: len(first)]}
            told += f", and {len(first & screened)} of its first {len(first)} are those by variance"
        yield f"{told}."


def _loops(found: Found, pictures: Sequence[str]) -> Iterator[Section]:
    if found.loops is None:
        return
    draws = found.loops.sizes["run"] - 1
    rows = []
    for lead in leads(found.loops):
        spans = "; ".join(f"{start:g} to {end:g}" for start, end in lead.spans)
        row = [lead.name, spans or "never", f"{lead.largest:.0%} in {lead.at:g}" if lead.largest >= 0.005 else "none"]
        if draws:
            low, middle, high = lead.begins
            row += [f"{lead.share:.0%}", f"{middle:.5g} ({low:.5g} to {high:.5g})" if lead.share > 0 else ""]
        rows.append(tuple(row))
    head = ("loop", "leads", "largest share")
    head_draws = ("leads in draws", "longest lead begins (80 % of these draws)")
    complete = bool(np.asarray(found.loops["complete"]).all())
    blocks: list[Block] = [
        Paragraph(
            "The score of a loop is its share in the change of the stocks that it links (Loops That Matter), so it "
            "says which loop bends the behaviour, not how much it moves an output. A loop leads while its score is the "
            "largest, for half a unit of time at least."
        ),
        Table((*head, *head_draws) if draws else head, tuple(rows), f"The file's own constants, and {draws} draws"),
    ]
    if not complete:
        blocks.append(Paragraph("In some runs the search for loops did not see all of them.", warning=True))
    blocks += _picture(pictures, "loops", "Loops over time, with bands over the draws.")
    yield Section("Leading feedback loops over time", tuple(blocks))


def _constants(factors: "Factors") -> Section:
    """What each constant is thought to be."""
    rng = np.random.default_rng(0)
    shares = factors.joint((rng.permuted(np.tile(np.arange(_POINTS), (len(factors), 1)), axis=1).T + 0.5) / _POINTS)
    low, middle, high = np.percentile(factors.from_unit(shares), (5, 50, 95), axis=0)
    why = [block.why for block in factors.blocks for _ in block.names]
    rows = tuple(
        (name, f"{a:.4g}", f"{b:.4g}", f"{c:.4g}", reason)
        for name, a, b, c, reason in zip(factors.names, low, middle, high, why, strict=True)
    )
    return Section(
        f"Uncertain inputs: {len(factors)} constants", (Table(("constant", "5 %", "median", "95 %", "why"), rows),)
    )


def _methods(found: Found) -> Section:
    told = {
        "sobol": "Sobol indices: Saltelli et al. 2010 (first and total order, outputs relative to their mean), "
        "scrambled Sobol points; intervals by a bootstrap of the rows with Poisson weights.",
        "morris": "Screening: Morris 1991 with the mean absolute effect of Campolongo et al. 2007, on two grids.",
        "sample": "Sample: a Latin hypercube (McKay et al. 1979); PAWN after Pianosi and Wagener 2018 with dummies; "
        "modes after Sterman 2000, set apart by Kolmogorov-Smirnov distances that chance exceeds once in twenty times.",
        "dgsm": "Derivative-based measures: Sobol and Kucherenko 2009.",
        "shapley": "Shapley effects: Song et al. 2016 and Goda 2021, over a Gaussian copula of the draws.",
        "claims": "Claims: correlation ratios over slices of a constant (Pearson 1905; adjusted, Kelley 1935).",
        "choices": "Choices: the index of several outputs together (Gamboa et al. 2014) over the same slices.",
        "loops": "Loops That Matter: Schoenberg et al. 2020, by pysimlin.",
    }
    return Section("How it was computed", (Listing(tuple(told[name] for name in found.datasets() if name in told)),))


def _picture(pictures: Sequence[str], name: str, caption: str) -> list[Block]:
    return [Picture(f"{name}.png", caption)] if f"{name}.png" in pictures else []


def _pictures(pictures: Sequence[str], start: str, caption: str) -> list[Block]:
    return [Picture(name, caption) for name in pictures if name.startswith(start)]
