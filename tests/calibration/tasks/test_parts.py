"""Records that are kept come back bit for bit, and only where they belong."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calibration.tasks.kept import code
from calibration.tasks.parts import Parts
from cipark_sd.errors import InvalidValue


@dataclass(frozen=True, eq=False)
class Record:
    theta: np.ndarray
    count: int
    gap: float
    done: bool
    message: str
    missing: float | None


MADE = Record(np.array([0.1, np.nan, -np.inf, 5e-324]), 7, float("inf"), True, "ended: <1>", None)


def never() -> Record:
    raise AssertionError("computed again")


def test_a_record_comes_back_bit_for_bit(tmp_path: Path) -> None:
    Parts(tmp_path, "a").recall(Record, "search 1", lambda: MADE)
    found = Parts(tmp_path, "a").recall(Record, "search 1", never)
    assert found.theta.tobytes() == MADE.theta.tobytes()
    own = (found.count, found.gap, found.done, found.message, found.missing)
    assert own == (7, float("inf"), True, "ended: <1>", None)
    assert [type(value) for value in own] == [int, float, bool, str, type(None)]


@pytest.mark.parametrize(
    ("parts", "name"),
    [("b", "profile x/y"), ("a", "profile x_y"), ("a", "profile x/y" + "z" * 99)],
)
def test_it_is_not_found_under_another_digest_or_name(tmp_path: Path, parts: str, name: str) -> None:
    Parts(tmp_path, "a").recall(Record, "profile x/y", lambda: MADE)
    with pytest.raises(AssertionError, match="again"):
        Parts(tmp_path, parts).recall(Record, name, never)


def test_a_part_of_the_work_has_names_of_its_own(tmp_path: Path) -> None:
    parts = Parts(tmp_path, "a")
    parts.recall(Record, "search 1", lambda: MADE)
    parts.within("joint").recall(Record, "search 1", lambda: MADE)
    assert (parts.count(), parts.within("joint").count()) == (1, 1)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    parts = Parts(tmp_path, "a")
    parts.recall(Record, "search 1", lambda: MADE)
    (path,) = tmp_path.rglob("*.zip")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InvalidValue, match="remove it"):
        parts.recall(Record, "search 1", never)


def test_nothing_is_kept_without_a_folder() -> None:
    parts = Parts(None)
    parts.recall(Record, "search 1", lambda: MADE)
    assert parts.count() == 0
    with pytest.raises(AssertionError, match="again"):
        parts.recall(Record, "search 1", never)


def test_objects_are_refused(tmp_path: Path) -> None:
    @dataclass
    class Odd:
        what: object

    with pytest.raises(TypeError, match="cannot be kept"):
        Parts(tmp_path, "a").recall(Odd, "odd", lambda: Odd(object()))
    assert list(tmp_path.rglob("*.zip")) == []


def test_the_fingerprint_of_the_program_is_one() -> None:
    assert len(code()) == 64
