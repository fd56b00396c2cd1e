"""Independent records computed by several processes: kept one by one, the same whoever computes them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from cipark_sd.checkpoints import Arrays, Checkpoints, as_arrays, from_arrays
from cipark_sd.tasks.pool import Pool, Tell

T = TypeVar("T")
#: Seconds of the processor from which on it pays to start other processes, which takes about as long. Those are seconds
#: of work and not of a clock on the wall, so that what else the machine does changes nothing.
WORTH = 4.0


@dataclass(frozen=True, eq=False)
class RecordTask(Generic[T]):
    """One record to compute.

    Parameters
    ----------
    make : function without arguments
        It has to pickle, and what it gives depends on nothing else.
    label : str
    parts : tuple
        All that the record depends on beside the base of the checkpoints.
    """

    make: Callable[[], T]
    label: str
    parts: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """By which nothing is looked up: records are kept under their labels and parts."""
        return self.label

    def __call__(self, tell: Tell) -> Arrays:
        """The record as arrays."""
        return as_arrays(self.make())


def records(
    kind: type[T],
    tasks: Sequence[RecordTask[T]],
    checkpoints: Checkpoints,
    pool: Pool | None,
    on_record: Callable[[int, T], None],
) -> tuple[list[T | None], bool]:
    """The record of each task, and whether the user stopped before all were there: None stands for those that are not.

    What is kept is taken up. The others are computed in this process while little is left to do, and by the ``pool``
    as soon as what is left is worth the start of its processes, of which it has several.

    Parameters
    ----------
    on_record : function of how many records there are and the one that came last
    """
    made = [checkpoints.recorded(kind, task.label, *task.parts) for task in tasks]
    waiting = [i for i, record in enumerate(made) if record is None]
    n_done = 0
    try:
        for record in made:
            if record is not None:
                n_done += 1
                on_record(n_done, record)
        for number, answer in _answers([tasks[i] for i in waiting], pool):
            task, record = tasks[waiting[number]], from_arrays(kind, answer)
            # before it is kept: what a stop finds on the disk is also here
            made[waiting[number]] = record
            checkpoints.keep(answer, task.label, *task.parts)
            n_done += 1
            on_record(n_done, record)
    except KeyboardInterrupt:
        return made, True
    return made, False


def _answers(tasks: Sequence[RecordTask[T]], pool: Pool | None) -> Iterator[tuple[int, Arrays]]:
    """The number and the answer of each task."""
    last = 0.0
    for i, task in enumerate(tasks):
        left = len(tasks) - i
        if pool is not None and pool.room > 1 and left > 1 and last * left > WORTH:
            with closing(pool.answers(tasks[i:])) as answers:
                for number, answer in answers:
                    yield i + number, answer
            return
        begin = time.process_time()
        yield i, task(lambda steps, most: None)
        last = time.process_time() - begin
