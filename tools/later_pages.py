"""Pages from kept results: score.md, later_years.md, parks.md and the page of the new forecast.

python tools/later_pages.py
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from claims_page import kept_numbers, table

ROOT = Path(__file__).resolve().parent.parent
KEPT, WORDS = ROOT / "docs" / "results", ROOT / "tools" / "pages"
STUDY = ROOT / "calibration" / "studies" / "great_stone_later"
FORECAST = STUDY / "forecast_2026_2032.nc"
Row = Mapping[str, Any]
#: Structures of the full model with one loop, or a group of them, and their gains.
FULL_GAINS = {
    "R3": ("Learning Per Entrant",),
    "R4, R6, R11, R12": ("Owner Gain", "Host Gain", "Partner Gain", "Lobbying Gain"),
    "R5": ("Agglomeration Elasticity",),
    "R5b, R10": ("Reputation Strength", "Fame Reach"),
    "R7": ("Fund Attraction",),
    "R9": ("Return Gain",),
}
#: Loops of the later study, by the structures that have one alone.
LOOPS = tuple(f"R{number}" for number in range(1, 8))
#: Forecasters of the page on the score, with what they are.
FORECASTERS = {
    "mixture": "frozen: mixture of the four core structures",
    "none": "frozen: core, no loop",
    "all": "frozen: core, all loops",
    "none, reform on contacts": "frozen: no loop, reform on contacts",
    "all, reform on contacts": "frozen: all loops, reform on contacts",
    "two rates": "frozen: two rates, its rival",
    "drift since 2016-12-31, dispersion 1.5": "the rate of 2017 to 2019 goes on, dispersion 1.5",
    "drift since 2016-12-31, dispersion 4": "the rate of 2017 to 2019 goes on, dispersion 4",
    "full model of today": "full model of the first study, fitted to 2019",
    "two rates, new study, from 2019": "two rates of the new study, fitted to 2019",
    "none, new study, from 2019": "new model, no loop, fitted to 2019",
    "some never start, new study, from 2019": "full model with what is new, fitted to 2019",
}


def written(name: str, **values: Any) -> str:
    """The words of a page with its numbers and tables in them."""
    return (WORDS / f"{name}.md").read_text(encoding="utf-8").format(**values)


def _band(band: Sequence[float], digits: int = 0) -> str:
    low, *_, high = band
    return f"{band[len(band) // 2]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _value(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def score_page(score: Row) -> str:
    """The frozen forecast on the counts that came, the miss first."""
    residents, working = score["series"]["residents"], score["series"]["working"]
    of = residents["scores"]
    mixture, rival, n = of["mixture"], of["two rates"], len(residents["dates"])
    gap = next(g for g in residents["gaps"] if g["rival"] == "two rates")
    at_work, last = working["scores"]["mixture"], working["observed"][-1]
    loops = of["all"]["mean_crps"] / of["none"]["mean_crps"] - 1
    years = [date[:4] for date in residents["dates"]]
    scores, places, shapes = [], [], []
    for name, entry in of.items():
        crps, held = (f"{value:.1f}" for value in entry["crps"]), (f"{entry[f'inside_{p}']} of {n}" for p in (90, 50))
        scores.append((FORECASTERS[name], *crps, f"**{entry['mean_crps']:.1f}**", _value(entry["energy"]), *held))
        places.append((FORECASTERS[name], *(f"{value:.2f}" for value in entry["pit"])))
        if (r := entry["rises"]) is not None:
            ends = (f"{r[end]:.1f}" for end in ("first", "last"))
            shapes.append((FORECASTERS[name], *ends, _value(r["correlation"], 2), f"{r['steeper']:.2f}"))
    gaps = [
        (FORECASTERS[g["rival"]], f"{g['gap']:+.1f}", f"{g['if_forecast']:.2f}", f"{g['if_rival']:.2f}")
        for g in residents["gaps"]
    ]
    starts = [
        (FORECASTERS[name], *(_band(band) for band in entry["bands"]), f"{entry['pit'][-1]:.3f}")
        for name, entry in working["scores"].items()
    ]
    pairs = zip(working["observed"], working["dates"], strict=True)
    reports = " and ".join(f"{value:.0f} on {date}" for value, date in pairs)
    return written(
        "score",
        years=years,
        last_year=years[-1],
        rival=rival,
        mixture=mixture,
        loops=100 * loops,
        last=last,
        foretold=at_work["bands"][-1][2],
        below=100 * at_work["pit"][-1],
        n=n,
        gap=gap,
        full=of["full model of today"],
        new=of["some never start, new study, from 2019"],
        counted=", ".join(f"{value:.0f}" for value in residents["observed"]),
        sha256=score["sha256"],
        scores=table(("forecast", *years, "mean", "energy", "in 90 %", "in 50 %"), scores),
        places=table(("place of the count", *years), places),
        rises=", ".join(f"{value:.0f}" for value in np.diff(residents["observed"], prepend=60)),
        shapes=table(("rises of a year", "first", "last", "correlation with the real ones", "P(as steep)"), shapes),
        gaps=table(
            ("rival of the mixture", "mixture less rival", "as large if the mixture is true", "if the rival is true"),
            gaps,
        ),
        reports=reports,
        starts=table(("firms at work", *working["dates"], "place of the last count"), starts),
    )


class Differences(dict[str, float]):
    """Differences of log evidence by "a less b", on all rows, or with " to 2019" on those to 2019."""

    def __init__(self, structures: Row) -> None:
        self.structures = structures

    def __missing__(self, key: str) -> float:
        names, to_2019, _ = key.partition(" to 2019")
        first, _, second = names.partition(" less ")
        span = "y2019" if to_2019 else "y2026"
        return float(self.structures[first][span][0] - self.structures[second][span][0])


def _structures(fit: Row) -> str:
    rows = []
    for name, row in fit["structures"].items():
        spans = (f"{row[span][0]:.1f}" if span in row else "-" for span in ("y2019", "y2026"))
        rows.append((name, row["why"], str(row["constants"]), *spans))
    return table(("structure", "what it is", "constants", "to 2019", "to January 2026"), rows)


def _loops(fit: Row) -> str:
    rows = []
    for row in fit["loops"]:
        bands = (_band(band, 2) for band in (fit["prior"][row["gain"]], row["posterior"]))
        name, alone = f"{row['loop']} {row['gain']}", f"{row['alone']:+.1f}"
        rows.append((name, alone, *bands, f"{row['above_zero']:.2f}"))
    return table(("loop", "alone, against none", "gain before", "after, all loops together", "above 0"), rows)


def _rivals(power: Row) -> str:
    """What data sets say of each rival where it is true and where no loop is."""
    rows = []
    for name, row in power["rivals"].items():
        band = f"{row['if_true']:+.1f} ({row['low']:+.1f} to {row['high']:+.1f})"
        counts = (f"{row[key]} of {row['sets']}" for key in ("shown", "ruled_out"))
        rows.append((name, row["size"] or "as the draws have it", band, *counts))
    return table(
        ("rival of none", "how strong", "log evidence if it is true", "shown", "ruled out if none is true"), rows
    )


def _value_of_data(power: Row) -> str:
    """Expected widths of the constants after each further data set, over those before."""
    value = power["value"]
    rows = [(name, *(f"{value[data][name]:.2f}" for data in value)) for name in next(iter(value.values()))]
    return table(("constant", *value), rows)


def _strong_loops(power: Row) -> str:
    """In how many data sets each loop is shown where it is strong, as words."""
    loops = {name: power["rivals"][name] for name in LOOPS}
    sets = next(iter(loops.values()))["sets"]
    shown = (f"{name} in {row['shown']}" for name, row in loops.items())
    return f"{', '.join(shown)} of {sets}"


def _readings(fit: Row, full: Row) -> str:
    reported = fit["working"]["reported"]
    rows = fit["working"]["structures"] | {f"full model, {n}": row for n, row in full["working"].items()}
    lines = [("reported", *(str(number) for number in reported.values()))]
    lines += [(name, *(_band(band) for band in by_date.values())) for name, by_date in rows.items()]
    return table(("firms at work", *reported), lines)


def _full_loops(full: Row) -> str:
    """Loops of the full model: the evidence of each alone, and its gains before and after."""
    columns, alone = (full["prior"], *(facts["after"] for facts in full["spans"].values())), _alone(full)
    rows = []
    for name, gains in FULL_GAINS.items():
        mechanism = full["structures"][name]["why"].removeprefix("no other loop, and ")
        for gain in gains:
            bands = (_band(of[gain], 4 if gain == "Learning Per Entrant" else 2) for of in columns)
            rows.append(
                (*((f"{name}: {mechanism}", f"{alone[name]:+.1f}") if gain == gains[0] else ("", "")), gain, *bands)
            )
    columns_of = ("loop", "alone, against none", "gain", "before", "rows to January 2020", "rows to January 2026")
    return table(columns_of, rows)


def _alone(full: Row) -> dict[str, float]:
    """Log evidence of each loop of the full model, or group of them, less that of none."""
    of = full["structures"]
    return {name: of[name]["evidence"][0] - of["no loop"]["evidence"][0] for name in FULL_GAINS}


def _full_differences(fit: Row, full: Row) -> dict[str, float]:
    """Log evidence of the full model less that of two rates to 2019, on all rows less that of other structures; and of
    fame that no loop makes, against none."""
    of, whole = full["structures"], full["spans"]["y2026"]["evidence"][0]
    core = {name: fit["structures"][name]["y2026"][0] for name in ("two rates", "none")}
    return {
        "to 2019": full["spans"]["y2019"]["evidence"][0] - fit["structures"]["two rates"]["y2019"][0],
        **{name: whole - evidence for name, evidence in core.items()},
        "no loop": whole - of["no loop"]["evidence"][0],
        "fame": of["fame without success"]["evidence"][0] - of["no loop"]["evidence"][0],
    }


def all_loops(fit: Row, loops: Row) -> dict[str, float]:
    """Log evidence of all loops: the bridges, the second route, and the number that covers both with its error."""
    evidence, second = Differences(fit["structures"]), loops["second_route"]["all"]
    bridge = float(np.mean([evidence["all less none"], *loops["bridges"]]))
    middle, apart = (bridge + second[0]) / 2, abs(bridge - second[0]) / 2
    return {"number": middle, "error": max(apart, second[1]), "bridge": bridge, "second": second[0]}


def _constants(fit: Row) -> str:
    shown = ("two rates", "two rates, starts fell", "none", "none, starts fell")
    names = {
        "Reform Effect": "log step at Decree 166",
        "Pandemic Loss": "part of entry lost in the pandemic",
        "Light Decree Effect[Belarusian]": "log step at Decree 215, Belarusian firms",
        "Shock Effect[Chinese]": "log step in March 2022, Chinese firms",
        "Shock Effect[Belarusian]": "log step in March 2022, Belarusian firms",
        "Founding Skill": "skill of the founder against China Merchants",
        "Serious Share": "part of the firms that will start",
        "Dilution": "fall of that part as admission eases",
        "Start Time": "years to start",
        "Starts Step": "log step of starts in March 2022",
        "Leaving Rate": "exits a year",
    }
    rows = []
    for key, words in names.items():
        after = (fit["constants"][name].get(key) for name in shown)
        bands = ("-" if band is None else _band(band, 2) for band in after)
        rows.append((words, _band(fit["prior"][key], 2), *bands))
    return table(("constant", "prior", *shown), rows)


def _forecast_numbers() -> dict[tuple[str, str, int], list[float]]:
    """Quantiles of the new forecast by series, structure and year, nothing being decided."""
    with xr.open_dataset(FORECAST, engine="h5netcdf") as content:
        plain = content.sel(scenario="as fitted").load()
    return {
        (series, str(name), int(year)): np.quantile(
            plain[series].sel(structure=name, year=year), (0.05, 0.5, 0.95), method="inverted_cdf"
        ).tolist()
        for series in ("residents", "working", "share")
        for name in plain["structure"].values
        for year in plain["year"].values
    }


def later_years_page(fit: Row, again: Row, ahead: Row, full: Row, score: Row, power: Row) -> str:
    """What thirteen years decide, what they do not, and what they could not have decided."""
    none = fit["constants"]["none"]
    lost, left, serious = (
        [100 * end for end in none[key]] for key in ("Pandemic Loss", "Leaving Rate", "Serious Share")
    )
    digits = {"working": 0, "residents": 0, "share": 2, "idle": 1, "cover": 2}
    of, at_work = score["series"]["residents"], score["series"]["working"]
    return written(
        "later_years",
        evidence=Differences(fit["structures"]), rows=fit["rows"], lost=lost, left=left, serious=serious,
        slower=np.exp(fit["constants"]["none, starts fell"]["Starts Step"]), structures=_structures(fit),
        constants=_constants(fit), readings=_readings(fit, full), loops=_loops(fit),
        most=max(fit["loops"], key=lambda row: row["alone"]), decisions=next_table(ahead), ahead=ahead,
        compared=f"{len(ahead['structures'])} structures ({', '.join(f'“{t}”' for t in ahead['structures'])})",
        each=ahead["draws"] // len(ahead["structures"]), lowest=_lowest(ahead),
        nothing={key: _band(band, digits[key]) for key, band in ahead["nothing"].items()}, second=again["second_route"],
        together=all_loops(fit, again), bridges=1 + len(again["bridges"]),
        full=full["spans"], chance=of["full"], worse=at_work["full"],
        crps={name: entry["mean_crps"] for name, entry in of["scores"].items()},
        against=_full_differences(fit, full), full_table=_full_loops(full), full_loops=_alone(full),
        working={name: entry["mean_crps"] for name, entry in at_work["scores"].items()},
        at_work=at_work["scores"]["some never start, new study, from 2019"]["bands"][-1],
        rivals=power["rivals"], could=_rivals(power), value_table=_value_of_data(power),
        widths={
            data: {name.removeprefix("Gain[").removesuffix("]"): width for name, width in row.items()}
            for data, row in power["value"].items()
        },
        size=power["rivals"]["R3"]["size"].rpartition(" ")[2], strong=_strong_loops(power),
        checked=sum(row["checked"] for row in power["rivals"].values()),
        off=max(row["off"] or 0.0 for row in power["rivals"].values()),
        best=max(LOOPS, key=lambda name: power["rivals"][name]["shown"]),
        most_shown=max(power["rivals"][name]["shown"] for name in LOOPS),
        weight=max(row["pareto_k"] or 0 for row in full["structures"].values()),
    )  # fmt: skip


def forecast_page() -> str:
    """The new frozen forecast and what would count as a miss."""
    quantiles = _forecast_numbers()
    names = list(dict.fromkeys(name for _, name, _ in quantiles))
    digest = hashlib.sha256(FORECAST.read_bytes()).hexdigest()

    def cell(series: str, name: str, year: int) -> str:
        return _band(quantiles[series, name, year], 2 if series == "share" else 0)

    cells_of = [(series, year) for series in ("residents", "working") for year in (2026, 2028, 2032)]
    cells_of += [("share", year) for year in (2028, 2032)]
    rows = table(
        ("structure", "residents 2026", "2028", "2032", "at work 2026", "2028", "2032", "share 2028", "2032"),
        [(name, *(cell(series, name, year) for series, year in cells_of)) for name in names],
    )
    return written("forecast", digest=digest, rows=rows)


def _signed(band: Sequence[float], digits: int) -> str:
    """A change with its 90 %; what rounds to nothing has no sign."""
    low, middle, high = (f"{value:.{digits}f}" for value in (round(end, digits) + 0.0 for end in band))
    return f"{'+' if float(middle) > 0 else ''}{middle} ({low} to {high})"


def next_table(decisions: Row) -> str:
    """The open decisions: what each changes against doing nothing, on the same draws."""
    words = {"informed": "known", "not decided": "not known", "assumed": "assumed"}
    rows = []
    for row in (row for row in decisions["rows"] if row["kind"] != "under"):
        title = f"*{row['title']}*" if row["kind"] == "event" else row["title"]
        changes = (_signed(row[key], digits) for key, digits in (("working", 0), ("residents", 0), ("money", 2)))
        chances = (f"{100 * row[key]:.0f} %" for key in ("better", "worst"))
        rows.append((title, *changes, *chances, words[row["class"]]))
    head = ("", "at work", "residents", "public money each, MUSD", "5 % more at work", "worst structure", "class")
    return table(head, rows)


def _lowest(decisions: Row) -> str:
    """The option after which the fewest firms are at work, in a sentence; nothing where none is below doing nothing."""
    row = min((row for row in decisions["rows"] if row["kind"] == "option"), key=lambda row: row["working"][1])
    if row["working"][1] >= 0:
        return ""
    note = f" ({row['note'][:1].lower()}{row['note'][1:]})" if row["note"] else ""
    return f"Fewest firms work with “{row['title']}”{note}: {_signed(row['working'], 0)} against doing nothing."


def _against(evidence: Row, name: str, rival: str) -> tuple[str, str]:
    return "{:.2f} ± {:.2f}".format(*evidence[name]), f"{evidence[name][0] - evidence[rival][0]:+.1f}"


def _coefficients(causes: Row) -> dict[str, str]:
    """Word of mouth and trend, alone and together, and what the evidence gains without each, by both routes."""
    joint, words = causes["evidence"]["both"][0], {}
    for key, name, without in (("word", "Word of Mouth", "trend"), ("trend", "Calendar Trend", "word of mouth")):
        words |= {f"{key}_{when}": _band(causes[name][when], 3) for when in ("alone", "both")}
        words[f"no_{key}"] = f"{causes['evidence'][without][0] - joint:+.1f} and {causes[name]['without']:+.1f}"
    return words


def parks_page(parks: Row) -> str:
    """Who converts, over ten parks; word of mouth or the years, over eleven."""
    evidence, causes, left_out = parks["evidence"], parks["causes"], parks["left_out"]
    first = evidence["no difference"]["quadrature"][0]
    differing = []
    for name, row in evidence.items():
        routes = ("{:.2f} ± {:.2f}".format(*row[route]) for route in ("quadrature", "bridge"))
        gain, clean = row["quadrature"][0] - first, row["of one date"][0] - evidence["no difference"]["of one date"][0]
        differing.append((name, *routes, f"{gain:+.1f}", f"{clean:+.1f}"))
    head = ("parks differ by", "quadrature", "bridge", "against no difference", "without doubtful parks")
    kinds = "\n".join(
        f"| {name} | {_band(row['share'], 2)} | {_band(row['years'], 1)} |" for name, row in parks["kinds"].items()
    )
    entry = table(
        ("entry follows", "to 2019", "against neither", "all rows", "against neither"),
        (
            (name, *(value for span in causes for value in _against(causes[span]["evidence"], name, "neither")))
            for name in causes["to 2019"]["evidence"]
        ),
    )
    gain = evidence["kind of estate, both"]["quadrature"][0] - first
    clean = evidence["kind of estate, both"]["of one date"][0] - evidence["no difference"]["of one date"][0]
    great_stone = parks["great_stone"]
    return written(
        "parks", both=gain, factor=np.exp(gain), factor_clean=np.exp(clean), clean=parks["clean"],
        pairs=parks["pairs"], parks=parks["parks"], doubtful=parks["parks"] - parks["clean"],
        evidence=table(head, differing), share=_band(parks["effects"]["share"], 1),
        time=_band(parks["effects"]["time"], 1), kinds=kinds,
        treaty=evidence["agreement between states, both"]["quadrature"][0] - first,
        settled=left_out["settled"], working=left_out["working"], foretold=_band(left_out["foretold"]),
        own_share=_band(great_stone["share"]["own"], 2), parks_share=_band(great_stone["share"]["parks"], 2),
        own_years=_band(great_stone["years"]["own"], 1), parks_years=_band(great_stone["years"]["parks"], 1),
        causes=entry, early=_coefficients(causes["to 2019"]), late=_coefficients(causes["all"]),
    )  # fmt: skip


def main() -> None:
    """Write the pages."""
    pages = {
        KEPT / "score.md": score_page(kept_numbers("later_score")),
        KEPT / "later_years.md": later_years_page(
            *map(kept_numbers, ("later_fit", "later_loops", "later_next", "later_full", "later_score", "later_power"))
        ),
        KEPT / "parks.md": parks_page(kept_numbers("parks")),
        STUDY / "forecast.md": forecast_page(),
    }
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
