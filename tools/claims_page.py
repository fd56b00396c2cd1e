"""The pages of claims, knock-outs and leading loops, from the kept results: claims.md, knockouts.md, loops.md.

    python tools/claims_page.py

A claim whose class is not what its probabilities say is an error: a page must not call built in what its own numbers
leave open.
"""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.base.library import bundled
from cipark_sd.base.timegrid import time_label
from cipark_sd.base.wording import listed
from cipark_sd.commands.policy.about import in_words
from cipark_sd.commands.policy.knockouts import percent
from cipark_sd.language.read.model_file import read_model
from cipark_sd.statements.claims import BUILT_IN, INFORMED, WORDS, as_said

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "results"
CLASSES = ("informed", "undecided", "built in")
Row = Mapping[str, Any]


CATALOGUE = ROOT / "calibration" / "studies" / "great_stone" / "policies.toml"


def full_claims(claims: Iterable[Row]) -> list[dict[str, Any]]:
    """Claims of the full model as the pages of `cipark policy` say them: dates for times, titles for ids.

    Raises
    ------
    KeyError
        For a claim that the catalogue of today does not have.
    """
    catalogue = read_catalogue(CATALOGUE, read_model(bundled("cipark.mdl")))
    words = {
        f"{policy.title}: {expected}": f"{policy.title}: {in_words(expected, catalogue)}"
        for policy in catalogue.policies
        for expected in policy.expected
    }
    return [{**claim, "claim": words[claim["claim"]]} for claim in claims]


def core_claims(core: Row) -> Iterator[dict[str, Any]]:
    """Of the core model: probabilities are ranges over its structures."""
    for claim in core["claims"]:
        than = f"{claim['how']} than {claim['factor']:g} of the residents"
        yield {
            "asked_of": "core",
            "claim": f"{claim['title']}: {than} at the end of {claim['at']}",
            "class": claim["class"],
            "base": None,
            "prior": claim["prior"],
            "posterior": claim["posterior"],
            "structures": claim["structures"],
            "of": len(core["base"]),
        }


def _kind(claim: Row) -> str:
    return next(kind for kind in CLASSES if claim["class"].startswith(kind))


def odds(share: float) -> float:
    """Of a probability."""
    return float("inf") if share == 1 else share / (1 - share)


def faults(claims: Iterable[Row]) -> list[str]:
    """Claims whose class is not what their probabilities allow."""
    wrong = []
    for claim in claims:
        (low, high), kind = claim["prior"], claim["class"]
        if kind.startswith("built in"):
            fine = high <= 1 - BUILT_IN if kind.endswith("against it") else low >= BUILT_IN
        elif kind.startswith("informed"):
            (least, most) = claim["posterior"]
            up, down = odds(least) >= INFORMED * odds(low), odds(most) * INFORMED <= odds(high)
            fine = down if kind.endswith("against it") else up
        else:
            fine = kind == "undecided"
        if not fine:
            wrong.append(f"{claim['claim']}: {kind}, but {claim['prior']} before and {claim['posterior']} after")
    return wrong


def share(values: Sequence[float] | None) -> str:
    """A probability or its range over structures."""
    if not values:
        return "-"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def paragraph(*parts: str) -> list[str]:
    """Lines of a paragraph."""
    return textwrap.wrap(" ".join(parts), 118, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def claims_page(core: Row, park: Row) -> str:
    """The table of claims over the core, the full model and its rivals.

    Raises
    ------
    ValueError
        For a claim whose class is not what its probabilities say.
    """
    claims = [*full_claims(park["claims"]), *core_claims(core)]
    wrong = faults(claims)
    if wrong:
        raise ValueError("\n".join(wrong))
    counts = {
        model: Counter(_kind(claim) for claim in claims if claim["asked_of"] == model) for model in ("full", "core")
    }
    sentences = [
        f"- **{name}**: {sum(counts[model].values())} claims; "
        f"{listed(f'{counts[model][kind]} {WORDS[kind]}' for kind in CLASSES)}."
        for model, name in (("full", "Full model and its rivals"), ("core", "Core model"))
    ]
    lines = [
        "# Claims: informed by the data, not decided by them, assumed by the model",
        "",
        *paragraph(
            "Made by `python tools/claims_page.py` from [park_knockouts.json](park_knockouts.json) and",
            "[core_fit.json](core_fit.json), which come from `python tools/results.py park_knockouts core_fit`.",
            "Each claim has its probability under the priors and after the counts, in the base structure and over",
            "all structures that have the mechanism. *Assumed by the model*: true, or false, in nine of ten draws that",
            "have seen no data under every structure, so that its coming true is no finding. *Informed by the data*:",
            "they move its odds by a factor of three or more under every structure. *Not decided by the data*: all",
            "else. A class is given only where its interval clears the limit.",
        ),
        "",
        *sentences,
        "",
        *paragraph(
            "The full model is asked for signs by most claims, and its equations contain most of these; the core is",
            "asked for a tenth, a quarter or a half, with gains that may be zero. Numbers of firms are conditional",
            "on the structure; of the years after 2019 nothing is known here. [Knock-outs](knockouts.md) ask the",
            "full model for a tenth as well. A claim that is certain wherever the mechanism is there is not decided",
            "where some structure leaves the mechanism out: the last column says how many have it.",
        ),
    ]
    for kind in CLASSES:
        of_kind = [claim for claim in claims if claim["class"].startswith(kind)]
        if not of_kind:
            continue
        rows = []
        for claim in of_kind:
            base = "-" if claim["base"] is None else ", ".join(f"{p:.2f}" for p in claim["base"])
            over = (share(claim["prior"]), share(claim["posterior"]), f"{claim['structures']} of {claim['of']}")
            rows.append((claim["claim"], claim["asked_of"], as_said(claim["class"]), base, *over))
        head = (
            "claim",
            "model",
            "class",
            "base: prior, posterior",
            "over structures: prior",
            "posterior",
            "structures",
        )
        lines += ["", f"## {WORDS[kind].capitalize()}", "", table(head, rows)]
    return "\n".join(lines) + "\n"


def knockouts_page(park: Row) -> str:
    """The table of knock-outs of the full model."""
    verdicts = Counter(row["verdict"] for group in park["groups"] for row in group["rows"])
    whole, undecided = sum(verdicts.values()), verdicts.pop("undecided", 0)
    sentences = "; ".join(f"{as_said(text)} {n}" for text, n in sorted(verdicts.items()))
    lines = [
        "# Mechanisms removed from the park model",
        "",
        *paragraph(
            "Made by `python tools/claims_page.py` from [park_knockouts.json](park_knockouts.json), which is that",
            f"of `cipark calibrate --all` and `{park['command']}`. What is taken away, and what cannot be, is in",
            "[the catalogue's README](../../calibration/studies/great_stone_knockouts/README.md).",
        ),
        "",
        *paragraph(
            "Change of residents in per cent of the same draw with all in place: median and 90 % under the base",
            "structure; in how many of a hundred draws it is a tenth fewer or more, *no effect* between; the",
            f"medians after the counts over all structures that have the mechanism. {park['draws']} draws after the",
            f"counts and {park['prior_draws']} before them, under each of {park['structures']} structures.",
        ),
        "",
        *paragraph(
            f"**Of {whole} mechanisms removed {undecided} are not decided by the data; {sentences}.** What is assumed",
            "says nothing of the world. A loop is removed by a gain of zero, which moves the park's level as well.",
        ),
        "",
        "![Knock-outs of loops and actors](../figures/park_knockouts.png)",
    ]
    for group in park["groups"]:
        rows = []
        for row in group["rows"]:
            texts = []
            for of in (row["prior"], row["posterior"]):
                answers = ", ".join(f"{100 * of[answer]:.0f}" for answer in ("fewer", "none", "more"))
                texts += [f"{percent([of['median']])} ({percent(of['band'])})", answers]
            rows.append((row["title"], *texts, percent(row["medians"]), as_said(row["verdict"])))
        head = ("", "prior", "fewer, none, more", "posterior", "fewer, none, more", "structures", "verdict")
        lines += ["", f"## {group['title']}: residents at the end of {group['year']}", "", table(head, rows)]
    return "\n".join(lines) + "\n"


def month(time: float) -> str:
    """The month in which a decimal year lies."""
    return time_label(time, "Year")[:7]


def loops_page(loops: Row) -> str:
    """Which loop leads when, over draws of the posterior."""
    years = (2014, 2016, 2018, 2020, 2025, 2030)
    spans = []
    for span in loops["spans"]:
        ends = dict.fromkeys(f"{span[end]:.0f}" for end in ("least", "most"))
        spans.append(
            f"- **{span['name']}** from {month(span['start'])} to {month(span['end'])}, "
            f"in {' to '.join(ends)} of a hundred draws."
        )
    rows = []
    for loop in loops["loops"]:
        at_years = (loop[f"y{year}"] for year in years)
        cells = (f"{at['median']:.0f} ({at['low']:.0f} to {at['high']:.0f}), {at['leads']:.0f}" for at in at_years)
        rows.append((loop["name"], *cells))
    lines = [
        "# Which loop leads when",
        "",
        *paragraph(
            "Made by `python tools/claims_page.py` from [park_loops.json](park_loops.json), which is that",
            "of `cipark calibrate --all` and `python tools/results.py park_loops`. Scores are those of",
            "Loops That Matter: the share of a loop in the change of the stocks that it links. They say",
            "which loop bends the course, not how much it moves the number of firms, and a loop with a gain",
            f"near zero has a score near zero. {loops['draws']} draws of the posterior of the base",
            f"structure; the loops that the search tells one by one have {loops['seen']:.0f} % of all",
            "scores.",
        ),
        "",
        "In most draws the leading loop is, for half a year or more:",
        "",
        *spans,
        "",
        "A loop of the theory that leads nowhere is not refuted by that: its gain may be small in most draws.",
        "",
        "![Which loop leads when](../figures/park_dominance.png)",
        "",
        "Share of all scores, %: median and 90 % over the draws, and in how many of a hundred it leads.",
        "",
        table(("loop", *map(str, years)), rows),
    ]
    return "\n".join(lines) + "\n"


def kept_numbers(name: str) -> dict[str, Any]:
    """The numbers of a kept result."""
    numbers: dict[str, Any] = json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))["numbers"]
    return numbers


def main() -> None:
    core, park, loops = kept_numbers("core_fit"), kept_numbers("park_knockouts"), kept_numbers("park_loops")
    (KEPT / "claims.md").write_text(claims_page(core, park), encoding="utf-8")
    (KEPT / "knockouts.md").write_text(knockouts_page(park), encoding="utf-8")
    (KEPT / "loops.md").write_text(loops_page(loops), encoding="utf-8")


if __name__ == "__main__":
    main()
