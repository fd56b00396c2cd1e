"""What a catalogue says twice in different ways: a constant that two tables move, a switch that does nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from cipark_sd.errors import CiparkError, InvalidValue
from cipark_sd.experiments.definition import Catalogue
from cipark_sd.scenarios import override_key, split_key


def contradictions(catalogue: Catalogue) -> Iterator[CiparkError]:
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
    for lever in catalogue.levers:
        if lever.cost < 0:
            expected = "0 or more; what saves money has its free value at the other end"
            yield InvalidValue("cost", lever.cost, expected, where=f"lever {lever.id!r}")
    for policy in catalogue.policies:
        for expected_of in policy.expected:
            if expected_of.than == policy.id and expected_of.factor == 1:
                yield InvalidValue("than", policy.id, "another policy", where=f"policy {policy.id!r}")


def _claimed(tables: Iterable[tuple[str, Iterable[str]]], expected: str) -> Iterator[CiparkError]:
    """Names that more than one table has; a whole variable is in the way of each of its elements."""
    by_base: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for table, names in tables:
        for name in dict.fromkeys(map(override_key, names)):
            by_base[split_key(name)[0]].append((name, table))
    for base, claims in by_base.items():
        whole = any(name == base for name, _ in claims)
        keys = [base] if whole else list(dict.fromkeys(name for name, _ in claims))
        for key in keys:
            owners = list(dict.fromkeys(table for name, table in claims if whole or name == key))
            if len(owners) > 1:
                yield InvalidValue("the constant", key, expected, where=" and ".join(owners))
