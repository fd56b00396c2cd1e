"""What alternatives change against doing nothing, with what they cost and what would change the choice."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from cipark_sd.analysis.experiments.alternatives import Compared, alternatives_table, hangs_on, in_force, measurements
from cipark_sd.analysis.experiments.definition import BASE, Catalogue, Decision, Decisions, Outcome
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.extended import acted, alternatives, paid
from cipark_sd.analysis.experiments.run import time_position
from cipark_sd.base.console import Bars
from cipark_sd.base.naming import override_key
from cipark_sd.base.wording import number
from cipark_sd.commands.policy.about import About, Findings, spread
from cipark_sd.commands.policy.analysis import Analysis, PolicyPart
from cipark_sd.data import estimands
from cipark_sd.pages.blocks import Folded, Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.headline import Bounds, Headline, output

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class DecisionsFound:
    """What alternatives do.

    Parameters
    ----------
    table : DataFrame
        Of :func:`cipark_sd.analysis.experiments.alternatives.alternatives_table`.
    costs : DataFrame
        A row for each alternative that costs something: ``alternative``, ``median``, ``low``, ``high`` of what it has
        cost by then.
    rules : DataFrame
        A row for each rule: ``alternative``, ``rule``, ``share`` of draws in which it was in force at all, ``median``,
        ``low``, ``high`` of how long in these.
    hangs_on, measurements : DataFrame
        Of the functions of those names in :mod:`cipark_sd.analysis.experiments.alternatives`.
    doubts : tuple of str
        Sentences.
    """

    table: "pd.DataFrame"
    costs: "pd.DataFrame"
    rules: "pd.DataFrame"
    hangs_on: "pd.DataFrame"
    measurements: "pd.DataFrame"
    doubts: tuple[str, ...]

    @property
    def bands(self) -> bool:
        """Whether there is more than one draw of a structure, so that there are intervals, chances and classes."""
        return bool((self.table["level_class"] != "").any())


def decided(catalogue: Catalogue) -> Decisions:
    """The decisions of a catalogue that has some."""
    assert catalogue.decisions is not None, "the part is run only where the catalogue has them"
    return catalogue.decisions


#: Numbers in the table of what to measure.
MEASURED = 8
#: A budget has ended a rule that was in force for a shorter time by this share.
CUT = 0.02


def _rows_of(result: DecisionsFound, outcome: str) -> Iterator[dict[str, Any]]:
    """The rows of an outcome, doing nothing first."""
    of = result.table[result.table["outcome"] == outcome]
    return records(of)


def _title_of(about: About, alternative: str) -> str:
    """An alternative in words, after the event that it follows."""
    by_id = {decision.id: decision for decision in decided(about.catalogue).alternatives}
    if alternative not in by_id:
        return "Do nothing"
    decision = by_id[alternative]
    return f"{by_id[decision.under].title}: {decision.title}" if decision.under else decision.title


def outcome_table(result: DecisionsFound, about: About, outcome: str) -> Table:
    """What each alternative changes of one outcome.

    Parameters
    ----------
    outcome : str
        Its id.

    Returns
    -------
    Table
        A row for each alternative but doing nothing, whose level is in the caption.
    """
    decisions = decided(about.catalogue)
    share = f"{decisions.margin:.0%}"
    rows, level, unit = [], "", about.units[outcome]
    for row in _rows_of(result, outcome):
        if row["alternative"] == BASE:
            kind = row["level_class"].replace("informed", "a forecast")
            level = ", ".join(filter(None, (spread(row["level"], row["level_low"], row["level_high"], unit), kind)))
            continue
        change = spread(row["change"], row["change_low"], row["change_high"], unit, sign=True)
        cells = [("alternative", _title_of(about, row["alternative"])), ("change", change)]
        if result.bands:
            cells += [("class", row["change_class"]), (f"P({share} better)", f"{row['better']:.2f}")]
            cells += [("worst structure", f"{row['worst']:.2f} ({row['worst_structure']})")] if about.several else []
            cells += [(f"P({share} worse)", f"{row['worse']:.2f}")]
        rows.append(cells)
    over = f", median (least and most of {len(about.rivals)} structures)" if about.several else ", at the best fit"
    how = f"change{' on the same draws, median (90%)' if result.bands else over}"
    caption = f"{about.titled(outcome)} {about.catalogue.when(decisions.at)}: {level} if nothing is done; {how}"
    return Table.of(rows, caption)


def further_tables(result: DecisionsFound, about: About) -> list[Table]:
    """What alternatives cost, when their rules began, what the changes hang on, and what to measure.

    Returns
    -------
    list of Table
        Without those that have no row.
    """
    tables = (_costs_table, _rules_table, _hangs_table, _measurements_table)
    return [table for make in tables for table in [make(result, about)] if table.rows]


def _costs_table(result: DecisionsFound, about: About) -> Table:
    """What alternatives have cost by the time at which outcomes are read."""
    decisions, money = decided(about.catalogue), about.catalogue.money
    by_id = {decision.id: decision for decision in decisions.alternatives}
    rows = [
        (decision.title, spread(row["median"], row["low"], row["high"]), decision.budget or "none",
         decision.source or "assumed")
        for row in records(result.costs) for decision in [by_id[row["alternative"]]]
    ]  # fmt: skip
    caption = f"Cost {f'[{money}] ' if money else ''}{about.catalogue.when(decisions.at)}, median (90%)"
    return Table(("alternative", "cost", "budget", "source"), tuple(rows), caption)


def _rules_table(result: DecisionsFound, about: About) -> Table:
    """In how many draws rules with a condition act, and those that a budget ends, and when."""
    decisions = decided(about.catalogue)
    by_id = {decision.id: decision for decision in decisions.alternatives}
    rows = []
    for row in records(result.rules):
        decision, place = by_id[row["alternative"]], int(row["rule"]) - 1
        rule = decision.rules[place]
        ended = bool(decision.budget) and row["low"] < (1 - CUT) * (decisions.at - rule.date)
        if rule.when or ended:
            shown = (_rule_text(decision, place, about), f"{row['share']:.0%}", _began_text(row, decision, about))
            rows.append((decision.title, *shown))
    caption = (
        f"Rules: in how many draws they act {about.catalogue.when(decisions.at)} or before, and when: median (90%)"
    )
    return Table(("alternative", "rule", "acts in", "when"), tuple(rows), caption)


def _hangs_table(result: DecisionsFound, about: About) -> Table:
    """What the changes hang on."""
    title = about.catalogue.outcome_by_id[decided(about.catalogue).outcome].title
    rows = [
        (_title_of(about, row["alternative"]), row["input"], f"{row['correlation']:+.2f}")
        for row in records(result.hangs_on)
    ]
    caption = f"What the change of {title} depends on: rank correlation with what was drawn"
    return Table(("alternative", "number", "rank correlation"), tuple(rows), caption)


def _measurements_table(result: DecisionsFound, about: About) -> Table:
    """What it is worth to know a number before choosing."""
    rows = []
    for row in records(result.measurements.head(MEASURED)):
        low = f"{_title_of(about, row['low_option'])} ({row['low']:.0%}) up to {number(row['below'], digits=3)}"
        high = f"{_title_of(about, row['high_option'])} ({row['high']:.0%}) from {number(row['above'], digits=3)}"
        worth = f"{row['value']:.3f} ± {row['error']:.3f}"
        rows.append((row["input"], worth, low, high))
    head = ("number", "right choices more", "best in its lowest third (chance)", "best in its highest third")
    caption = "What it is worth to know a number before choosing: by how much more often the choice would be right"
    return Table(head, tuple(rows), caption)


def records(frame: "pd.DataFrame") -> Iterator[dict[str, Any]]:
    """The rows of a table, by column."""
    for row in frame.to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def _rule_text(decision: Decision, place: int, about: About) -> str:
    """When a rule acts, in the words of the file."""
    rule = decision.rules[place]
    start = f"from {about.catalogue.date(rule.date)}"
    return f"{start}, once {rule.when}" if rule.when else start


def _began_text(row: dict[str, Any], decision: Decision, about: About) -> str:
    """From when on a rule acts in the draws in which it does; of one that a budget may end, how long."""
    if not np.isfinite(row["median"]):
        return "-"
    ends = [row["median"], row["low"], row["high"]]
    if decision.budget:
        return f"for {spread(*ends)} {about.catalogue.time_units}".rstrip()
    at, date = decided(about.catalogue).at, about.catalogue.date
    return f"from {date(at - ends[0])} ({date(at - ends[2])} to {date(at - ends[1])})"


#: The title of the section.
TITLE = "Decisions: change against doing nothing"


def _watched(decisions: Decisions) -> tuple[list[Outcome], list[tuple[Decision, int]], list[Decision]]:
    """What is read beside the outcomes: how long each rule was in force, and what each alternative has cost."""
    rules = [(d, place) for d in decisions.alternatives for place in range(len(d.rules))]
    priced = [decision for decision in decisions.alternatives if decision.priced]
    names = [*(acted(*rule) for rule in rules), *map(paid, priced)]
    return [Outcome(name, name, name) for name in names], rules, priced


def _labels_of(analysis: Analysis) -> dict[str, str]:
    """The names that people write for what is drawn, by override key."""
    return {override_key(parameter.name): parameter.name for parameter in analysis.study.parameters} | {
        override_key(uncertainty.name): uncertainty.title for uncertainty in analysis.catalogue.uncertainties
    }


def _inputs_of(analysis: Analysis, draws: dict[str, Draws]) -> "pd.DataFrame":
    """What was drawn, a row for each structure and draw, under the names that people write."""
    import pandas as pd

    labels = _labels_of(analysis)
    of_rivals = [draws[rival.id].values for rival in analysis.rivals]
    shared = [name for name in of_rivals[0] if all(name in values for values in of_rivals)]
    columns = {labels.get(name, name): np.concatenate([v[name] for v in of_rivals]) for name in shared}
    return pd.DataFrame(columns)


def _rules_frame(runs: "xr.Dataset", rules: list[tuple[Decision, int]], decisions: Decisions) -> "pd.DataFrame":
    import pandas as pd

    at = time_position(runs, decisions.at)
    rows = []
    for decision, place in rules:
        durations = runs[acted(decision, place)].isel(time=at).sel(policy=decision.id).to_numpy()
        share, lasting = in_force(durations)
        facts = {"alternative": decision.id, "rule": place + 1, "share": share}
        rows.append(facts | {"median": lasting.median, "low": lasting.low90, "high": lasting.high90})
    return pd.DataFrame(rows, columns=["alternative", "rule", "share", "median", "low", "high"])


class DecisionsPart(PolicyPart[DecisionsFound]):
    """What is still open, and what each alternative would change."""

    name: ClassVar[str] = "decisions"
    kind: ClassVar[type[DecisionsFound]] = DecisionsFound
    needs = ("decisions", "[[decision]]", "at least one")

    def n_settings(self, catalogue: Catalogue) -> int:
        """All alternatives, and doing nothing."""
        return 1 + len(decided(catalogue).alternatives)

    def compute(self, analysis: Analysis, bars: Bars) -> DecisionsFound:
        """Run all alternatives over the draws, and over draws that have seen no data."""
        import pandas as pd

        catalogue = analysis.catalogue
        decisions, draws = decided(catalogue), analysis.widened(analysis.draws)
        watched, rules, priced = _watched(decisions)
        run = partial(analysis.run, alternatives(decisions), bars, times=(decisions.at,))
        runs = run("decisions", draws=draws, outcomes=[*catalogue.outcomes, *watched])
        prior = None
        if not analysis.about.unseen:
            prior = run("decisions under the priors", draws=analysis.widened(analysis.prior))
        fitted = {rival: d.effective for rival, d in analysis.draws.items() if d.origin != "borrowed"}
        inputs, options = _inputs_of(analysis, draws), [decision.id for decision in decisions.options]
        titles = [uncertainty.title for uncertainty in catalogue.uncertainties]
        table = alternatives_table(
            runs, prior, catalogue.outcomes, decisions, effective=fitted, without_data=inputs[titles]
        )
        if analysis.about.misfit:
            # data that the model does not follow inform nothing
            table = table.replace({column: {"informed": "not decided"} for column in ("level_class", "change_class")})
        main = Compared.of(runs, catalogue.outcome_by_id[decisions.outcome], decisions)
        units = {label: estimands.unit_of(analysis.model, name) for name, label in _labels_of(analysis).items()}
        known = measurements(main, inputs, options, np.random.default_rng(analysis.about.seed))
        costs = [
            {"alternative": d.id, "median": of.median, "low": of.low90, "high": of.high90}
            for d in priced
            for of in [main.summary(Compared.of(runs, Outcome(paid(d), "", ""), decisions).level(d.id))]
        ]
        return DecisionsFound(
            table,
            pd.DataFrame(costs, columns=["alternative", "median", "low", "high"]),
            _rules_frame(runs, rules, decisions),
            hangs_on(main, inputs),
            known.assign(units=[units[name] for name in known["input"]]),
            analysis.doubts(runs),
        )

    def tables(self, findings: Findings) -> "dict[str, pd.DataFrame]":
        """All outcomes of all alternatives, when rules began, costs, what changes hang on, what to measure."""
        result, _ = self.read(findings)
        return {
            "decisions": result.table,
            "decisions_costs": result.costs,
            "decisions_rules": result.rules,
            "decisions_hang_on": result.hangs_on,
            "decisions_measure": result.measurements,
        }

    def headlines(self, findings: Findings) -> Iterator[Headline]:
        """The outcome that is chosen by: its level if nothing is done, and what each alternative changes."""
        result, about = self.read(findings)
        decisions = decided(about.catalogue)
        units = about.units[decisions.outcome]
        events = {decision.id: decision.under for decision in decisions.alternatives}
        over: Literal["mixture", "alike"] = "mixture" if about.weighted else "alike"
        conditions = (f"{len(about.rivals)} structures alike",) if about.several and not about.weighted else ()
        record = partial(about.record, of=over, conditions=conditions, unit=units, kind="median")
        for row in _rows_of(result, decisions.outcome):
            name = "level" if row["alternative"] == BASE else "change"
            ends = row[f"{name}_low"], row[f"{name}_high"]
            bounds = Bounds(*ends, 0.9, "central draws") if np.isfinite(ends).all() else None
            without = about.settings.get(events.get(row["alternative"], ""), "doing nothing")
            settings, against = about.settings[row["alternative"]], "" if name == "level" else without
            estimand = output(about.quantities[decisions.outcome], decisions.at, under=settings, against=against)
            title = "" if name == "level" else _title_of(about, row["alternative"])
            yield from record(estimand, row[name], interval=bounds, title=title)

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """The outcome that is chosen by, what would change the choice, and the other outcomes."""
        result, about = self.read(findings)
        main = decided(about.catalogue).outcome
        beside = tuple(outcome_table(result, about, name) for name in about.catalogue.outcome_by_id if name != main)
        folded = [Folded("The other outcomes", beside)] if beside else []
        tables = (outcome_table(result, about, main), *further_tables(result, about))
        yield Section(TITLE, (*map(Paragraph, result.doubts), *tables, *folded))
