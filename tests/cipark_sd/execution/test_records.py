"""Who computes records: this process, or others where what is left is worth their start."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from cipark_sd.base.checkpoints import NOT_KEPT, Arrays, Checkpoint, Checkpoints
from cipark_sd.execution.pool import WORTH, Pool, RecordTask, Report, Task, nobody, records


@dataclass(frozen=True)
class Made:
    number: int


class Others(Pool):
    """Counts what it is given to compute."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.n_given = 0
        self._room = room

    @property
    def room(self) -> int:
        return self._room

    def stop(self) -> None:
        pass

    def answers(self, tasks: Iterable[Task], report: Report = nobody) -> Generator[tuple[int, Arrays], None, None]:
        for number, task in enumerate(tasks):
            self.n_given += 1
            yield number, task(lambda steps, most: None)


@pytest.mark.parametrize(
    ("work", "wait", "room", "n_given"),
    [
        # of four tasks three are left after the first one
        (WORTH / 3 + 0.01, 0.0, 2, 3),
        (WORTH / 3 - 0.01, 0.0, 2, 0),
        # a machine that does something else makes no work of ours
        (0.01, 100.0, 2, 0),
        # one other process is no faster than this one
        (100.0, 0.0, 1, 0),
    ],
)
def test_others_begin_where_the_work_that_is_left_is_worth_their_start(
    work: float, wait: float, room: int, n_given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked, passed = 0.0, 0.0

    def make(number: int) -> Made:
        nonlocal worked, passed
        worked, passed = worked + work, passed + work + wait
        return Made(number)

    clock = SimpleNamespace(process_time=lambda: worked, monotonic=lambda: passed)
    monkeypatch.setattr("cipark_sd.execution.pool.time", clock)
    pool, seen = Others(room), list[int]()
    tasks = [RecordTask(lambda number=number: make(number), "made", (number,)) for number in range(4)]
    made, interrupted = records(Made, tasks, NOT_KEPT, pool, lambda n_done, record: seen.append(record.number))
    assert made == [Made(number) for number in range(4)]
    assert (seen, interrupted, pool.n_given) == ([0, 1, 2, 3], False, n_given)


def test_what_was_kept_when_the_user_stopped_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come as soon as the file is there."""
    keep = Checkpoints.keep

    def keep_and_stop(self: Checkpoints, record: Arrays, label: str, *parts: object) -> None:
        keep(self, record, label, *parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "keep", keep_and_stop)
    tasks = [RecordTask(lambda number=number: Made(number), "made", (number,)) for number in range(2)]
    checkpoints = Checkpoints(tmp_path)
    assert records(Made, tasks, checkpoints, None, lambda *_: None) == ([Made(0), None], True)
    assert checkpoints.recorded(Made, "made", 0) == Made(0)


def test_so_is_what_a_pool_has_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Checkpoint.save

    def save_and_stop(self: Checkpoint, arrays: Arrays) -> None:
        save(self, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_stop)
    tasks = [RecordTask(lambda number=number: Made(number), "made", (number,)) for number in range(2)]
    pool = Others(1)
    monkeypatch.setattr(pool, "checkpoints", Checkpoints(tmp_path))
    answers, interrupted = pool.run(tasks)
    assert interrupted
    assert [answer is not None for answer in answers] == [True, False]
