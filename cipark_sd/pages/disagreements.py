"""Where headline records of several folders part: numbers of one estimand, and draws that must not be read together."""

from collections.abc import Sequence
from dataclasses import fields

from cipark_sd.headline import Headline, text_of
from cipark_sd.wording import listed, number, with_unit

#: Fields that may explain why two records of one estimand have different numbers, in the order in which they are told.
_REASONS = {
    "model_digest": "the model",
    "study_digest": "the study (data, priors or scenario)",
    "unit": "the unit",
    "kind": "the kind of estimate",
    "basis": "the draws",
    "conditional_on": "what the number is conditional on",
    "seed": "the seed",
    "version": "the version of the program",
}
assert set(_REASONS) <= {field.name for field in fields(Headline)}


def disagreements(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """A sentence for each estimand of which two folders have different numbers, with what else differs between them.

    Parameters
    ----------
    folders : sequence of name and records
    """
    sentences = []
    by_estimand: dict[str, list[tuple[str, Headline]]] = {}
    for folder, records in folders:
        for record in records:
            by_estimand.setdefault(record.estimand, []).append((folder, record))
    for estimand, pairs in by_estimand.items():
        for group in _differing(pairs):
            # with more digits than an interval carries: in fewer they may be equal
            numbers = "; ".join(
                f"{with_unit(number(record.number), record.unit)} in {folder} ({_conditions(record)})"
                for folder, record in group
            )
            sentences.append(f"{estimand} has several numbers: {numbers}. {_why([record for _, record in group])}")
    return sentences


def _differing(records: Sequence[tuple[str, Headline]]) -> list[list[tuple[str, Headline]]]:
    """Records of one estimand that folders disagree on.

    Estimates of one kind are set beside each other; those of different kinds only where no kind is in all folders.
    """
    kinds: dict[str, list[tuple[str, Headline]]] = {}
    for folder, record in records:
        kinds.setdefault(record.estimate, []).append((folder, record))
    folders = {folder for folder, _ in records}
    groups = [group for group in kinds.values() if len({folder for folder, _ in group}) > 1]
    if not any({folder for folder, _ in group} == folders for group in groups):
        groups = [list(records)] if len(folders) > 1 else []
    return [group for group in groups if len({record.number for _, record in group}) > 1]


def _conditions(record: Headline) -> str:
    return f"{record.estimate}{'; ' if record.conditions else ''}{record.conditions}"


def _why(records: Sequence[Headline]) -> str:
    reasons = [
        words for name, words in _REASONS.items() if len({text_of(getattr(record, name)) for record in records}) > 1
    ]
    if not reasons:
        return (
            "Nothing else that the records hold differs between them, so that one folder is of another state of the "
            "program: run its command again."
        )
    return f"They differ in {listed(reasons)}."


def mixtures(folders: Sequence[tuple[str, Sequence[Headline]]]) -> list[str]:
    """Warnings where folders that are read together rest on different models, studies or kinds of draws."""
    warnings = []
    for words, of in (
        ("models", lambda record: record.model_digest[:12]),
        ("studies (data, priors or scenario)", lambda record: record.study_digest[:12]),
        ("kinds of draws", lambda record: "" if record.basis is None else record.basis.name),
    ):
        where: dict[str, list[str]] = {}
        for folder, records in folders:
            for value in dict.fromkeys(filter(None, map(of, records))):
                where.setdefault(value, []).append(folder)
        if len(where) > 1:
            parts = "; ".join(f"{value} in {listed(names)}" for value, names in where.items())
            warnings.append(f"Numbers here rest on different {words}: {parts}. They are no results of one analysis.")
    return warnings
