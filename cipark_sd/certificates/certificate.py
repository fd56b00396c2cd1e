"""``certify(model) -> Certificate``, and the certificate as a file."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from cipark_sd.certificates.compare import SINGLE_PRECISION, TOLERANCE, Pair, compare, reached
from cipark_sd.certificates.round_off import scales
from cipark_sd.certificates.sides import SIMLIN, LeftOut, Question, Side, engine_names, recorded_side, side_of
from cipark_sd.engines.plan import checked, grid_of
from cipark_sd.engines.reference.faults import SIMLIN_FAULTS, Fault, faults_of
from cipark_sd.errors import InvalidValue
from cipark_sd.files import csv_text, write_text
from cipark_sd.model.model import Method, Model
from cipark_sd.results import version
from cipark_sd.scenarios import Scenario

#: The endings of files that :func:`write` writes.
SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Certificate:
    """What the sides have in common and what not.

    Parameters
    ----------
    labels : mapping of str to (str, str)
        Variable and label of each column.
    scales : mapping of str to float
        What differences of a column are a share of.
    rounded : mapping of str to float
        The columns that are only what rounding left, with the scale of what they are made of.
    faults : mapping of Fault to labels of variables
        Known faults of pysimlin that can show in this model's equations.
    """

    question: Question
    sides: tuple[Side, ...]
    left_out: tuple[LeftOut, ...]
    pairs: tuple[Pair, ...]
    scales: Mapping[str, float]
    rounded: Mapping[str, float]
    faults: Mapping[Fault, tuple[str, ...]]

    @property
    def certified(self) -> bool:
        """Whether all agree, but for known faults of pysimlin."""
        return not any(side.failed for side in self.left_out) and all(pair.verdict != "differ" for pair in self.pairs)


def certify(
    model: Model,
    scenario: Scenario = Scenario(),  # noqa: B008  (frozen, and neutral)
    *,
    engines: Sequence[str] | None = None,
    recorded: Path | str | None = None,
    method: Method | None = None,
    tolerance: float = TOLERANCE,
    recorded_tolerance: float | None = None,
    begin: Callable[[str], None] = lambda name: None,
) -> Certificate:
    """Run a model on all engines, on the same step and with the same method, and compare every column.

    Parameters
    ----------
    engines : sequence of str, optional
        Some of ``native``, ``numpy``, ``wasm``, ``pysd``, ``pysimlin``; without it all that are installed.
    recorded : path, optional
        A run from elsewhere: a wide ``.csv`` or ``.tab``, or Vensim's ``.vdf``.
    method : Method, optional
        Without it the file's own.
    tolerance, recorded_tolerance : float
        Shares of a column's scale, between engines and against the recorded run. Without the second, the first one;
        for a ``.vdf`` :data:`SINGLE_PRECISION`.
    begin : callable
        Told of each engine before it runs.

    Raises
    ------
    InvalidValue
        When fewer than two sides are left to be compared.
    UnknownName, ModelFileError, Problems
        For an engine, a file or a scenario that cannot be used.
    """
    names = engine_names(engines)
    question = _question(model, scenario, method)
    extra = recorded_side(question, Path(recorded)) if recorded is not None else None
    sides: list[Side] = []
    left_out: list[LeftOut] = []
    for name in names:
        begin(name)
        match side_of(question, name):
            case Side() as side:
                sides.append(side)
            case LeftOut() as reason:
                left_out.append(reason)
    if extra is not None:
        sides.append(extra)
    if len(sides) < 2 and not any(side.failed for side in left_out):
        reasons = "; ".join(f"{side.name}: {side.reason}" for side in left_out)
        raise InvalidValue(
            "what can be compared",
            [side.name for side in sides],
            "two runs" + (f" ({reasons})" if reasons else ""),
            where="certify",
        )
    rounded = scales(question, _largest(question, sides, keep_zero=True))
    scale = _largest(question, sides) | rounded
    faults = faults_of(model, SIMLIN_FAULTS) if any(side.name == SIMLIN for side in sides) else {}
    concerned = reached(question, {fault: [v.name for v in where] for fault, where in faults.items()})
    pairs = []
    for left, right in combinations(sides, 2):
        # two that run one program: nothing may differ, not even the last bit
        allowed = 0.0 if left.compiled and right.compiled else tolerance
        if right.recorded:
            allowed = recorded_tolerance or (SINGLE_PRECISION if right.single else tolerance)
        faulty = concerned if SIMLIN in (left.name, right.name) else {}
        pairs.append(compare(question, left, right, scale, tolerance=allowed, concerned=faulty))
    labels = {fault: tuple(variable.label for variable in where) for fault, where in faults.items()}
    return Certificate(question, tuple(sides), tuple(left_out), tuple(pairs), scale, rounded, labels)


def _question(model: Model, scenario: Scenario, method: Method | None) -> Question:
    return Question(model, scenario, method, grid_of(model, checked(model, scenario)))


def _largest(question: Question, sides: Sequence[Side], *, keep_zero: bool = False) -> dict[str, float]:
    """The largest finite value of each column on any engine, 1 for a column of zeros unless they are kept."""
    engines = [side for side in sides if not side.recorded]
    largest = {}
    for column in question.labels:
        values = [np.abs(side.columns[column]) for side in engines if column in side.columns]
        top = max((float(v[np.isfinite(v)].max(initial=0.0)) for v in values), default=0.0)
        largest[column] = top if keep_zero else top or 1.0
    return largest


def write(certificate: Certificate, path: Path | str) -> None:
    """Write a certificate as ``.json``, or its columns as ``.csv``, one line a column and pair."""
    path = Path(path)
    text = _csv(certificate) if path.suffix.lower() == ".csv" else json.dumps(as_json(certificate), indent=1) + "\n"
    write_text(path, text)


def as_json(certificate: Certificate) -> dict[str, object]:
    """Everything that a certificate says, in types that JSON has; an infinite difference is the text ``"inf"``."""
    question = certificate.question
    model = question.model
    return {
        "format": "cipark_sd certificate 1",
        "certified": certificate.certified,
        "model": model.name,
        "model_digest": model.digest,
        "scenario": json.loads(question.scenario.to_json()),
        "integration_method": question.method or model.time.method,
        "time_step": question.grid.step,
        "saved_times": len(question.grid.saved_times),
        "cipark_sd_version": version(),
        "sides": [
            {"name": s.name, "version": s.version, "columns": len(s.columns), "remarks": list(s.remarks)}
            for s in certificate.sides
        ],
        "left_out": [
            {"name": side.name, "reason": side.reason, "failed": side.failed} for side in certificate.left_out
        ],
        "known_faults": [
            {
                "id": fault.id,
                "package": fault.package,
                "why": fault.why,
                "variables": list(variables),
            }
            for fault, variables in certificate.faults.items()
        ],
        "round_off": [
            {"column": question.labels[column][1], "compared_on_the_scale_of_its_terms": scale}
            for column, scale in certificate.rounded.items()
        ],
        "pairs": [
            {
                "left": pair.left,
                "right": pair.right,
                "verdict": pair.verdict,
                "tolerance": pair.tolerance,
                "columns": len(pair.differences),
                "apart": len(pair.apart),
                "part_first_in": [question.labels[column][1] for column in pair.first],
                "differences": [_entry(certificate, pair, position) for position in range(len(pair.differences))],
            }
            for pair in certificate.pairs
        ],
    }


def _entry(certificate: Certificate, pair: Pair, position: int) -> dict[str, object]:
    difference = pair.differences[position]
    left, right = difference.values
    return {
        "column": certificate.question.labels[difference.column][1],
        "scale": certificate.scales[difference.column],
        "largest": _plain(difference.largest),
        "at": difference.at,
        "apart_from": difference.apart,
        "left": _plain(left),
        "right": _plain(right),
        "equal_bits": difference.same_bits,
        "known_fault": difference.fault if difference.apart is not None else "",
    }


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _csv(certificate: Certificate) -> str:
    rows = [
        {"left_side": pair.left, "right_side": pair.right, "tolerance": pair.tolerance}
        | _entry(certificate, pair, position)
        for pair in certificate.pairs
        for position in range(len(pair.differences))
    ]
    return csv_text(rows)
