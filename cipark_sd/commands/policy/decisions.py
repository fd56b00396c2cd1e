"""What alternatives change against doing nothing, with what they cost and what would change the choice."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from cipark_sd import estimands
from cipark_sd.commands.policy.about import About
from cipark_sd.commands.policy.analysis import Analysis
from cipark_sd.commands.policy.decisions_shown import (
    DecisionsFound,
    decided,
    further_tables,
    outcome_table,
    rows_of,
    title_of,
)
from cipark_sd.commands.policy.part import PolicyPart
from cipark_sd.console import Bars
from cipark_sd.experiments.alternatives import Compared, alternatives_table, hangs_on, in_force, measurements
from cipark_sd.experiments.decisions import Decision, Decisions
from cipark_sd.experiments.definition import BASE, Outcome
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.extended import acted, alternatives, paid
from cipark_sd.experiments.run import time_position
from cipark_sd.headline import Bounds, Headline, output
from cipark_sd.pages.blocks import Folded, Paragraph, Section
from cipark_sd.pages.parts import Pictures
from cipark_sd.scenarios import override_key

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: The title of the section.
TITLE = "Decisions: change against doing nothing"


def _watched(decisions: Decisions) -> tuple[list[Outcome], list[tuple[Decision, int]], list[Decision]]:
    """What is read beside the outcomes: how long each rule was in force, and what each alternative has cost."""
    rules = [(d, place) for d in decisions.alternatives for place in range(len(d.rules))]
    priced = [decision for decision in decisions.alternatives if decision.priced]
    names = [*(acted(*rule) for rule in rules), *map(paid, priced)]
    return [Outcome(name, name, name) for name in names], rules, priced


def labels_of(analysis: Analysis) -> dict[str, str]:
    """The names that people write for what is drawn, by override key."""
    return {override_key(parameter.name): parameter.name for parameter in analysis.study.parameters} | {
        override_key(uncertainty.name): uncertainty.title for uncertainty in analysis.catalogue.uncertainties
    }


def inputs_of(analysis: Analysis, draws: dict[str, Draws]) -> "pd.DataFrame":
    """What was drawn, a row for each structure and draw, under the names that people write."""
    import pandas as pd

    labels = labels_of(analysis)
    of_rivals = [draws[rival.id].values for rival in analysis.rivals]
    shared = [name for name in of_rivals[0] if all(name in values for values in of_rivals)]
    columns = {labels.get(name, name): np.concatenate([v[name] for v in of_rivals]) for name in shared}
    return pd.DataFrame(columns)


def _rules_frame(runs: "xr.Dataset", rules: list[tuple[Decision, int]], decisions: Decisions) -> "pd.DataFrame":
    import pandas as pd

    at = time_position(decisions.at, runs["time"].to_numpy().tolist())
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

    def compute(self, analysis: Analysis, bars: Bars) -> DecisionsFound:
        """Run all alternatives over the draws, and over draws that have seen no data."""
        import pandas as pd

        catalogue, seed = analysis.catalogue, analysis.about.seed
        decisions = decided(catalogue)
        watched, rules, priced = _watched(decisions)
        run = partial(analysis.run, alternatives(decisions), bars, times=(decisions.at,))
        draws = {rival: of_rival.widened(catalogue.uncertainties, seed) for rival, of_rival in analysis.draws.items()}
        runs = run("decisions", draws=draws, outcomes=[*catalogue.outcomes, *watched])
        prior = None
        if not analysis.about.unseen:
            before = {
                rival: of_rival.widened(catalogue.uncertainties, seed) for rival, of_rival in analysis.prior.items()
            }
            prior = run("decisions under the priors", draws=before)
        fitted = {rival: d.effective for rival, d in analysis.draws.items() if d.origin != "borrowed"}
        inputs, options = inputs_of(analysis, draws), [decision.id for decision in decisions.options]
        titles = [uncertainty.title for uncertainty in catalogue.uncertainties]
        table = alternatives_table(
            runs, prior, catalogue.outcomes, decisions, effective=fitted, without_data=inputs[titles]
        )
        if analysis.about.misfit:
            # data that the model does not follow inform nothing
            table = table.replace({column: {"informed": "not decided"} for column in ("level_class", "change_class")})
        main = Compared.of(runs, catalogue.outcome_by_id[decisions.outcome], decisions)
        units = {label: estimands.unit_of(analysis.model, name) for name, label in labels_of(analysis).items()}
        known = measurements(main, inputs, options, np.random.default_rng(seed))
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

    def tables_of(self, result: DecisionsFound, about: About) -> "dict[str, pd.DataFrame]":
        """All outcomes of all alternatives, when rules began, costs, what changes hang on, what to measure."""
        return {
            "decisions": result.table,
            "decisions_costs": result.costs,
            "decisions_rules": result.rules,
            "decisions_hang_on": result.hangs_on,
            "decisions_measure": result.measurements,
        }

    def headlines_of(self, result: DecisionsFound, about: About) -> Iterator[Headline]:
        """The outcome that is chosen by: its level if nothing is done, and what each alternative changes."""
        decisions = decided(about.catalogue)
        units = about.units[decisions.outcome]
        events = {decision.id: decision.under for decision in decisions.alternatives}
        over: Literal["mixture", "alike"] = "mixture" if about.weighted else "alike"
        conditions = (f"{len(about.rivals)} structures alike",) if about.several and not about.weighted else ()
        record = partial(about.record, of=over, conditions=conditions, unit=units, kind="median")
        for row in rows_of(result, decisions.outcome):
            name = "level" if row["alternative"] == BASE else "change"
            ends = row[f"{name}_low"], row[f"{name}_high"]
            bounds = Bounds(*ends, 0.9, "central draws") if np.isfinite(ends).all() else None
            without = about.settings.get(events.get(row["alternative"], ""), "doing nothing")
            settings, against = about.settings[row["alternative"]], "" if name == "level" else without
            estimand = output(about.quantities[decisions.outcome], decisions.at, under=settings, against=against)
            title = "" if name == "level" else title_of(about, row["alternative"])
            yield from record(estimand, row[name], interval=bounds, title=title)

    def sections_of(self, result: DecisionsFound, about: About, pictures: Pictures) -> Iterator[Section]:
        """The outcome that is chosen by, what would change the choice, and the other outcomes."""
        main = decided(about.catalogue).outcome
        others = tuple(outcome_table(result, about, name) for name in about.catalogue.outcome_by_id if name != main)
        folded = [Folded("The other outcomes", others)] if others else []
        tables = (outcome_table(result, about, main), *further_tables(result, about))
        yield Section(TITLE, (*map(Paragraph, result.doubts), *tables, *folded))


PART = DecisionsPart()
