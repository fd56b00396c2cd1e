"""The catalogue of policy experiments: a TOML file, read and checked as a whole against a model.

``calibration/studies/great_stone/policies.toml`` shows every table. Everything wrong in a file is reported together.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from cipark_sd.analysis.experiments.decision_tables import DecisionReader
from cipark_sd.analysis.experiments.definition import (
    BASE,
    METRICS,
    ONLY,
    Catalogue,
    Expected,
    Factor,
    KnockoutGroup,
    Knockouts,
    Lever,
    Outcome,
    Policy,
    Structure,
    Uncertainty,
    Way,
)
from cipark_sd.analysis.experiments.extended import of_outcome, with_numbers
from cipark_sd.analysis.sensitivities.ranking import Moment, moment_in
from cipark_sd.base.errors import CiparkError, InvalidValue, MissingFile, raise_all
from cipark_sd.base.inputs import number_in, parsed_toml, toml_text
from cipark_sd.base.naming import base_name, override_key, respelled
from cipark_sd.base.section import Section
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.model import Model

WAYS: tuple[Way, ...] = get_args(Way)
#: Keys of ``[model]``: a study whose model, parameters and rivals are taken, a file, or a model of this package.
MODEL = ("study", "file", "bundled")
#: Beside ``file`` and ``bundled``: files with values of the model's data variables.
SERIES = "series"
#: The file of a catalogue in its folder.
FILE = "policies.toml"


def read_catalogue(path: Path | str, model: Model, moment: Callable[[str], Moment] | None = None) -> Catalogue:
    """The catalogue in a file.

    Parameters
    ----------
    model : Model
        Whose names the file uses; numbers that only the catalogue has need not be in it.
    moment : function of a text, optional
        Of a date or a number by the calendar of a study; without it by the model's unit of time.

    Raises
    ------
    InvalidValue
        When there is no such file or it is not TOML.
    Problems
        For all that is wrong in it, together: names that the model does not have, ids that nothing bears, times
        outside the run, keys that are not known.
    """
    path = Path(path)
    text, content = _read(path)
    reader = _Reader(model, moment or partial(moment_in, model.time.units))
    content = respelled(content, model.by_name)
    catalogue = reader.read(Section(content, "", reader.problems), hashlib.sha256(text.encode()).hexdigest())
    raise_all(str(path), list({problem.fault: problem for problem in reader.problems}.values()))
    return catalogue


def model_named_in(path: Path | str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """What the table ``[model]`` of a catalogue says of the model: one of ``study``, ``file``, ``bundled``, or nothing,
    and the files with values of its data variables.

    Raises
    ------
    InvalidValue, Problems
    """
    path = Path(path)
    problems: list[CiparkError] = []
    section = Section(_read(path)[1], "", problems).table("model")
    named = {key: section.text(key) for key in MODEL if key in section}
    if len(named) > 1:
        problems.append(InvalidValue("its keys", ", ".join(named), "one of " + ", ".join(MODEL), where="[model]"))
    series = section.names(SERIES, expected="a file or a list of files with values of the model's data variables")
    if series and not {"file", "bundled"} & named.keys():
        section.wrong(SERIES, "none where a study has the model: its problem.toml names them")
    raise_all(str(path), problems)
    return named, series


def _read(path: Path) -> tuple[str, dict[str, object]]:
    try:
        text = toml_text(path)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(path, where="policy") from None
    return text, parsed_toml(text, path)


class _Reader(DecisionReader):
    """Reads one file and collects what is wrong in it."""

    def read(self, top: Section, digest: str) -> Catalogue:
        title, note, money = (
            top.text(key, default) for key, default in (("title", self.model.name), ("note", ""), ("money", ""))
        )
        settings = top.table("model").entirely(self.place)
        times = self.times(top, "times")
        first = top.table("headline")
        read: dict[str, Callable[[Section], Any]] = {
            "uncertainty": self.uncertainty, "outcome": self.outcome, "rival": self.rival, "policy": self.policy,
            "factor": self.factor, "variant": self.variant, "lever": self.lever,
        }  # fmt: skip
        tables = {key: self.read_all(top, key, reader) for key, reader in read.items()}
        outcomes: tuple[Outcome, ...] = tables["outcome"]
        headline = self.headline(first, outcomes, times)
        catalogue = Catalogue(
            title=title,
            digest=digest,
            outcomes=outcomes,
            times=times,
            headline=headline,
            beside=first.names("also") if "also" in first else (),
            policies=(Policy(BASE, "nothing is changed"), *tables["policy"]),
            rivals=tables["rival"] or (Structure(ONLY, "the model as it is"),),
            factors=tables["factor"],
            variants=tables["variant"],
            uncertainties=tables["uncertainty"],
            levers=tables["lever"],
            knockouts=top.table("knockouts").entirely(self.knockouts) if "knockouts" in top else None,
            decisions=self.decisions(top, outcomes, headline, times),
            own_rivals=bool(tables["rival"]),
            note=note,
            money=money,
            settings=settings,
            time_units=self.model.time.units,
            dates=tuple(self.dates.items()),
        )
        first.note_unread()
        top.note_unread()
        if not outcomes:
            self.problems.append(InvalidValue("[[outcome]]", "none", "at least one", where=top.where))
        for key, items in tables.items():
            self.once(key, [item.id for item in items])
        self.references(catalogue)
        self.problems += _contradictions(catalogue)
        return catalogue

    def outcome(self, section: Section) -> Outcome:
        id_, title = section.text("id"), section.text("title", "")
        equation = self.equation(section, "equation")
        variable, per = of_outcome(id_) if equation else section.text("variable"), section.text("per", "")
        for name in filter(None, ("" if equation else variable, per)):
            self.output(name, section.where)
        better = section.choice("better", WAYS, "more")
        low, high = section.ends("range", (-math.inf, math.inf))
        units, total, side = section.text("units", ""), section.flag("total"), section.text("side", "")
        if not equation and (units or total or ("variable" in section and "equation" in section)):
            section.wrong("equation", "an equation where there are 'units' or 'total': a variable has its own")
        metric = section.choice("metric", tuple(METRICS)) if "metric" in section else ""
        if metric and per:
            section.wrong("metric", "none beside 'per': divide in an 'equation'")
        return Outcome(
            id_, title or variable, variable, per, better,
            low=low, high=high, equation=equation, units=units, total=total, side=side, metric=metric,
        )  # fmt: skip

    def place(self, section: Section) -> Scenario:
        for key in (*MODEL, SERIES):
            section.raw(key)
        return self.settings(section, "set", "")

    def policy(self, section: Section) -> Policy:
        id_, title, content = section.text("id"), section.text("title"), section.raw("set")
        texts = {}
        if isinstance(content, dict):
            texts = {
                name: value for name, value in content.items() if self.input_of(name) is None and _is_equation(value)
            }
            content = {name: value for name, value in content.items() if name not in texts}
        scenario = self.checked_settings(section, "set", id_, content)
        equations = self.equations(section, "set", texts, constant=True)
        expected = self.read_all(section, "expect", self.expected, name="expectation")
        return Policy(id_, title, scenario, expected, section.text("source", ""), equations)

    def variant(self, section: Section) -> Policy:
        variant = self.policy(section)
        if variant.equations:
            section.wrong("set", "numbers: mechanisms are switched on and off beside them")
        return variant

    def expected(self, section: Section) -> Expected:
        outcome, at, how = section.text("outcome"), self.time(section, "at"), section.choice("is", WAYS)
        return Expected(outcome, at, how, section.text("than", BASE), section.number("factor", 1.0))

    def rival(self, section: Section) -> Structure:
        id_, title = section.text("id"), section.text("title")
        return Structure(id_, title, self.settings(section, "set", id_))

    def factor(self, section: Section) -> Factor:
        id_, title = section.text("id"), section.text("title")
        return Factor(id_, title, self.settings(section, "off", id_), self.settings(section, "on", id_))

    def uncertainty(self, section: Section) -> Uncertainty:
        id_, title = section.text("id"), section.text("title", "")
        name = section.text("name")
        low, high = section.ends("range")
        whole = section.flag("whole")
        if whole and section.sound and not (low.is_integer() and high.is_integer()):
            section.wrong("range", "whole ends, since 'whole' asks for whole numbers between them")
        units, source = section.text("units", ""), section.text("source", "")
        number = Uncertainty(id_, title or name, name, low, high, whole=whole, units=units, source=source)
        self.model = with_numbers(self.model, [number])
        self.constant(name, section.where)
        return number

    def lever(self, section: Section) -> Lever:
        id_, title = section.text("id"), section.text("title", "")
        names = self.some_names(section, "names")
        low, high = section.ends("range")
        base, about = section.number("base") if "base" in section else None, section.text("about", "")
        for name in names:
            self.constant(name, section.where)
        if section.sound and base is not None and not low <= base <= high:
            section.wrong("base", f"a number between {low:g} and {high:g}")
        return Lever(title or id_, names, low, high, about, id=id_, base=base)

    def some_names(self, section: Section, key: str) -> tuple[str, ...]:
        names = section.names(key)
        if not names:
            section.wrong(key, "a name or a list of names")
        return names

    def knockouts(self, section: Section) -> Knockouts:
        outcome, near = section.text("outcome"), section.number("near", 0.1)
        groups = self.read_all(section, "group", self.group, name="group")
        if not 0 < near < 1:
            section.wrong("near", "a share between 0 and 1: a smaller change of the outcome is none")
        if not groups:
            section.wrong("group", "at least one [[knockouts.group]]")
        return Knockouts(outcome, near, groups)

    def group(self, section: Section) -> KnockoutGroup:
        return KnockoutGroup(section.text("title"), self.time(section, "at"), self.some_names(section, "policies"))

    def headline(self, section: Section, outcomes: Sequence[Outcome], times: Sequence[float]) -> tuple[str, float]:
        outcome = section.text("outcome", outcomes[0].id if outcomes else "?")
        return outcome, self.time(section, "at", times[-1] if times else math.nan)

    def references(self, catalogue: Catalogue) -> None:
        """Ids and times that other tables name."""
        outcomes = [outcome.id for outcome in catalogue.outcomes]
        policies = [policy.id for policy in catalogue.policies]
        references: list[tuple[str, str, float]] = [("[headline]", *catalogue.headline)]
        self.known(catalogue.beside, outcomes, "outcome", "[headline], also")
        for policy in catalogue.policies:
            references += [(f"policy {policy.id!r}", e.outcome, e.at) for e in policy.expected]
            self.known([e.than for e in policy.expected], policies, "policy", f"policy {policy.id!r}")
        if catalogue.knockouts is not None:
            for group in catalogue.knockouts.groups:
                where = f"[knockouts] {group.title!r}"
                references.append((where, catalogue.knockouts.outcome, group.at))
                self.known(group.policies, [name for name in policies if name != BASE], "policy", where)
        for where, outcome, at in references:
            self.known([outcome], outcomes, "outcome", where)
            if catalogue.times and math.isfinite(at) and at not in catalogue.times:
                shown = ", ".join(map(catalogue.date, catalogue.times))
                self.problems.append(InvalidValue("at", at, f"one of the times {shown}", where=where))


def _is_equation(value: object) -> bool:
    """Whether a value of a setting is a text that is no number."""
    return isinstance(value, str) and math.isnan(number_in(value))


def _contradictions(catalogue: Catalogue) -> Iterator[CiparkError]:
    """All of a catalogue: what two tables move, factors that switch nothing, comparisons with oneself, odd prices."""
    levers = [(f"lever {lever.id!r}", lever.names) for lever in catalogue.levers]
    unknown = [(f"uncertainty {uncertainty.id!r}", (uncertainty.name,)) for uncertainty in catalogue.uncertainties]
    # a lever is chosen and an uncertainty is not: one number cannot be both
    yield from _claimed((*levers, *unknown), "in one of them: a number is chosen, or it is unknown")
    factors = [
        (f"factor {factor.id!r}", tuple({**factor.off.overrides, **factor.on.overrides}))
        for factor in catalogue.factors
    ]
    yield from _claimed(factors, "in one of them: mechanisms that are switched apart share no constant")
    for factor in catalogue.factors:
        if factor.off.overrides == factor.on.overrides:
            yield InvalidValue(
                "off", dict(factor.off.overrides), "settings that differ from 'on'", where=f"factor {factor.id!r}"
            )
    for policy in catalogue.policies:
        for expected_of in policy.expected:
            if expected_of.than == policy.id and expected_of.factor == 1:
                yield InvalidValue("than", policy.id, "another policy", where=f"policy {policy.id!r}")


def _claimed(tables: Iterable[tuple[str, Iterable[str]]], expected: str) -> Iterator[CiparkError]:
    """Names that more than one table has; a whole variable is in the way of each of its elements."""
    by_base: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for table, names in tables:
        for name in dict.fromkeys(map(override_key, names)):
            by_base[base_name(name)].append((name, table))
    for base, claims in by_base.items():
        whole = any(name == base for name, _ in claims)
        keys = [base] if whole else list(dict.fromkeys(name for name, _ in claims))
        for key in keys:
            owners = list(dict.fromkeys(table for name, table in claims if whole or name == key))
            if len(owners) > 1:
                yield InvalidValue("the constant", key, expected, where=" and ".join(owners))
