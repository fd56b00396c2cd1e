"""The page of the decisions, made of findings: its title, its three lines, its table and what to measure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cipark_sd.analysis.experiments.definition import BASE, Decision, Outcome
from cipark_sd.base.wording import first_of, listed, number, rounded, said_date, with_unit, written_unit
from cipark_sd.commands.policy.about import About, Findings, spread
from cipark_sd.commands.policy.decisions import DecisionsFound, decided, further_tables, outcome_table, records
from cipark_sd.pages.blocks import Listing, Section
from cipark_sd.pages.what_next import NONE, Row, Value, WhatNext

#: An alternative that is better in this share of draws under every structure clearly beats doing nothing.
CLEARLY = 0.9
#: Right choices that a measurement has to add, and its Monte Carlo errors that this has to exceed.
WORTH, ERRORS = 0.02, 2.0
#: Chances that differ by less are alike.
TIE = 0.02


def page_of(findings: Findings) -> WhatNext | None:
    """The page; None where no decisions were computed."""
    result = findings.of(DecisionsFound)
    return None if result is None else _First(result, findings.about).page()


@dataclass(frozen=True)
class _First:
    """What the first screen says of a result."""

    result: DecisionsFound
    about: About

    @cached_property
    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows of the table by alternative and outcome."""
        return {(row["alternative"], row["outcome"]): row for row in records(self.result.table)}

    @cached_property
    def main(self) -> Outcome:
        """The outcome that is chosen by."""
        return self.about.catalogue.outcome_by_id[decided(self.about.catalogue).outcome]

    @property
    def improvement(self) -> str:
        """What counts as better: ``5% more firms at work``."""
        return f"{self.share} {self.main.title[:1].lower()}{self.main.title[1:]}"

    @property
    def share(self) -> str:
        """The margin with its direction: ``5% more``."""
        counted = self.unit != self.about.units[self.main.id]
        word = "more" if self.main.better == "more" else "fewer" if counted else "less"
        return f"{decided(self.about.catalogue).margin:.0%} {word}"

    @property
    def unit(self) -> str:
        """The unit of the outcome, in the plural where it is a counted thing."""
        return with_unit("2", self.about.units[self.main.id]).removeprefix("2").strip()

    def page(self) -> WhatNext:
        about, decisions = self.about, decided(self.about.catalogue)
        unit = f" ({self.unit})" if self.unit else ""
        events = [decision for decision in decisions.alternatives if decision.event]
        tables = tuple(outcome_table(self.result, about, name) for name in about.catalogue.outcome_by_id)
        sections = (
            Section("All outcomes", tables),
            Section("Costs, rules and what to measure", tuple(further_tables(self.result, about))),
            Section("Ranges and sources", (Listing(tuple(_ranges(about))),)),
        )
        return WhatNext(
            name=about.catalogue.title,
            subtitle=f"options from {said_date(about.catalogue.date(decisions.date))}",
            title=self.title(),
            lines=(("informed", self.known()), ("not decided", self.unknown()), ("assumed", self.assumed())),
            heading=f"{self.main.title} {self.when()}{unit}: level, and changes from it",
            columns=tuple(column for column, _ in self.cells(None)),
            rows=tuple(map(self.row, (None, *decisions.options, *events))),
            measure=self.measure(),
            limits=self.limits(),
            sections=sections,
            identity=about.identity,
            warning="" if self.result.bands else f"{about.basis}. There is one run of each option, and so no chance.",
        )

    def when(self) -> str:
        """The time at which outcomes are read, in a sentence."""
        day = said_date(self.about.catalogue.date(decided(self.about.catalogue).at))
        return f"on {day}" if " " in day else f"at {day}"

    @property
    def options(self) -> list[tuple[Decision, dict[str, Any]]]:
        """What can be chosen, with its row of the outcome that is chosen by."""
        return [(option, self.rows[option.id, self.main.id]) for option in decided(self.about.catalogue).options]

    def title(self) -> str:
        """The finding in one sentence, and what to measure in another."""
        if not self.result.bands:
            return "One run of each option: no chance can be given"
        clear = [(option, row) for option, row in self.options if row["worst"] >= CLEARLY]
        if clear:
            option, _ = max(clear, key=lambda pair: abs(pair[1]["change"]))
            losers = [o.side for o in self._sides() if self.rows[option.id, o.id]["worse"] > 0.5]
            loss = f", at the cost of {listed(losers)}" if losers else ""
            finding = f"{option.title}: {self.improvement} in at least nine of ten draws{loss}."
        else:
            finding = f"No option has a {CLEARLY:.0%} chance of {self.improvement}{self._closest()}."
        best = self._worth_measuring()
        return finding if best is None else f"{finding} First measure {best['input']}."

    def _closest(self) -> str:
        """The options whose chance is the largest, where it is more than even."""
        most = max((row["better"] for _, row in self.options), default=0.0)
        closest = [option.title for option, row in self.options if row["better"] > max(0.5, most - TIE)]
        return f"; closest: {listed(closest)} ({most:.0%})" if closest else ""

    def known(self) -> str:
        """What the data inform: of what is to come no level, which is a forecast."""
        if self.about.unseen:
            return "There are no data: the draws come from ranges, and nothing here is known."
        if not self.result.bands:
            return "Nothing: one run of each option says what the best fit does, and not how far others lie."
        informed = [option.title for option, row in self.options if self._class(row) == "informed"]
        if informed:
            return f"The data inform the change by {first_of(informed)}. All levels are forecasts."
        return "No effect below: the data only weigh the runs of the model, and all that follows is a forecast."

    def unknown(self) -> str:
        """The level if nothing is done, and what the option nearest to even chances depends on."""
        if not (self.result.bands and self.options):
            return f"The chance of {self.improvement}."
        base = self.rows[BASE, self.main.id]
        ends = base["level"], base["level_low"], base["level_high"]
        level = _minus(spread(*ends, self.about.units[self.main.id])).replace("(", "(90%: ")
        option, _ = min(self.options, key=lambda pair: abs(pair[1]["better"] - 0.5))
        of = self.result.hangs_on
        inputs = [str(row["input"]) for row in records(of[of["alternative"] == option.id])]
        question = f"{self.main.title} if nothing is done: forecast {level}. How much “{option.title}” changes them"
        return (
            f"{question}: no single number decides it."
            if not inputs
            else f"{question}: that depends most on {first_of(inputs)}."
        )

    def assumed(self) -> str:
        """Numbers without a source, and outcomes that rest on numbers without data."""
        catalogue = self.about.catalogue
        without = [uncertainty.title for uncertainty in catalogue.uncertainties if not uncertainty.source]
        resting = [o.title for o in catalogue.outcomes if self.rows[BASE, o.id]["level_class"] == "assumed"]
        words = ["Changes marked as assumed."] if any(self._class(row) == "assumed" for _, row in self.options) else []
        words += [f"Ranges without a source: {first_of(without)}."] if without else []
        if resting and not self.about.unseen:
            verb = "rests" if len(resting) == 1 else "rest"
            words.append(f"{first_of(resting)} {verb} on numbers without data: use it only to compare.")
        return " ".join(words) or "Nothing beyond the priors and the equations."

    def _sides(self) -> list[Outcome]:
        return [outcome for outcome in self.about.catalogue.outcomes if outcome.side]

    def cells(self, decision: Decision | None) -> Iterator[tuple[tuple[str, str], Value]]:
        """The columns of an alternative with their values: change, chance, outcomes beside, and the sides."""
        about, id_ = self.about, BASE if decision is None else decision.id
        of, chances = ("level", False) if decision is None else ("change", self.result.bands)

        def value(outcome: str, *, alone: bool = False) -> Value:
            row = self.rows[id_, outcome]
            ends = (row[of], row[f"{of}_low"], row[f"{of}_high"])
            words = _minus(spread(*ends, about.units[outcome], sign=decision is not None))
            words = words.partition(" (")[0] if alone else words
            # a level to come is a forecast: no data inform it
            forecast = decision is None and row["level_class"] == "informed"
            return words, "not decided" if forecast else self._class(row)

        row = self.rows[id_, self.main.id]
        yield ("Change", "same draws, median (90%)"), value(self.main.id)
        over = f"(worst of {len(about.rivals)} structures)" if about.several else "over all draws"
        yield (f"Chance of {self.share}", over), (self._chance(row), "") if chances else NONE
        for name in decided(about.catalogue).beside:
            yield (about.catalogue.outcome_by_id[name].title, about.units[name] or "change"), value(name, alone=True)
        for side in self._sides():
            gains = (f"{self.rows[id_, side.id]['better']:.0%}", "") if chances else NONE
            yield (f"{side.side[:1].upper()}{side.side[1:]}", "chance to gain"), gains

    def row(self, decision: Decision | None) -> Row:
        """One alternative; None for doing nothing."""
        row = self.rows[BASE if decision is None else decision.id, self.main.id]
        level, values = (row["level"], row["level_low"], row["level_high"]), tuple(v for _, v in self.cells(decision))
        if decision is None:
            return Row("Do nothing", "", level, values, "base")
        return Row(decision.title, self.note(decision), level, values, "event" if decision.event else "option")

    def _chance(self, row: dict[str, Any]) -> str:
        worst = f" ({row['worst']:.0%})" if self.about.several else ""
        return f"{row['better']:.0%}{worst}"

    def _class(self, row: dict[str, Any]) -> str:
        return str(row["level_class"] if row["alternative"] == BASE else row["change_class"])

    def note(self, decision: Decision) -> str:
        """The words of the study, in how many draws a rule acts, and what it costs."""
        parts = [decision.note] if decision.note else []
        ruled = [row for row in records(self.result.rules) if row["alternative"] == decision.id]
        if any(rule.when for rule in decision.rules) and ruled:
            parts.append(f"acts in {max(row['share'] for row in ruled):.0%} of draws")
        for row in records(self.result.costs):
            if row["alternative"] == decision.id:
                money = f" {self.about.catalogue.money}" if self.about.catalogue.money else ""
                known = "" if decision.source else ", assumed"
                parts.append(f"costs {_minus(spread(row['median'], row['low'], row['high']))}{money}{known}")
        return "; ".join(parts)

    def _worth_measuring(self) -> dict[str, Any] | None:
        """The number that is most worth knowing, where knowing it would change the choice."""
        for row in records(self.result.measurements.head(1)):
            if row["value"] >= WORTH and row["value"] > ERRORS * row["error"]:
                return row
        return None

    def measure(self) -> tuple[str, str]:
        """Why a number should be known, or that none would change the choice."""
        row = self._worth_measuring()
        if row is None:
            return "", "No single number here, known exactly, would change the choice."
        width = row["above"] - row["below"]
        low, high = (with_unit(rounded(row[end], width), row["units"]) for end in ("below", "above"))
        titles = {option.id: f"“{option.title}”" for option, _ in self.options}
        first, second = (titles[row[f"{end}_option"]] for end in ("low", "high"))
        none = ", the most of all" if row["high"] <= 0.5 else ""
        return (
            f"Why {row['input']}?",
            f"At {low} or less, {first} has a {row['low']:.0%} chance of {self.improvement}; at {high} or more, "
            f"{'' if second == first else f'{second} has '}{row['high']:.0%}{none}. "
            f"Knowing it corrects {100 * row['value']:.0f} of 100 choices.",
        )

    def limits(self) -> str:
        """How to read the table, and what the numbers rest on."""
        alike = f" The {len(self.about.rivals)} structures count alike."
        counted = "" if self.about.weighted or not self.about.several else alike
        return (
            f"Dashed line: doing nothing. Effects follow from equations, not experiments.{counted} "
            f"Draws: {self.about.label}."
        )


def _ranges(about: About) -> Iterator[str]:
    for uncertainty in about.catalogue.uncertainties:
        units = written_unit(uncertainty.units)
        ends = f"{number(uncertainty.low)} to {number(uncertainty.high)} {units}".rstrip()
        yield f"{uncertainty.title}: {ends}. {uncertainty.source or 'Assumed.'}"


def _minus(text: str) -> str:
    """A number with the minus of a page."""
    return text.replace("-", "−")
