"""Independent tasks and those who compute them: the same answers whoever it is, and in whatever order they finish.

A task is a value that another process can be sent: a description of what to compute, with the random stream that it is
to be computed with. Its answer depends on nothing else, so neither the number of workers nor the order in which they
finish changes a bit. A task that is done is kept at once, whatever happens to the others. Records are tasks of which
few are worth the start of other processes.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from cipark_sd.base.checkpoints import NOT_KEPT, Arrays, Checkpoints, as_arrays, from_arrays

#: Called with the steps that are done and how many there may be.
Tell = Callable[[int, int], None]
#: The same for the task of a number.
Report = Callable[[int, int, int], None]
#: Libraries for linear algebra start as many threads as there are processors in each process, unless these say one.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
#: Seconds of the processor from which on it pays to start other processes, which takes about as long. Those are seconds
#: of work and not of a clock on the wall, so that what else the machine does changes nothing.
WORTH = 4.0

T = TypeVar("T")


class Task(Protocol):
    """Something to compute; it has to pickle."""

    @property
    def label(self) -> str:
        """For the bar."""

    @property
    def key(self) -> str:
        """A digest of all that the answer depends on."""

    def __call__(self, tell: Tell) -> Arrays:
        """The answer; ``tell`` is called from time to time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: tasks ``completed`` of ``total``, unfinished ones as shares of a task, and what runs."""

    completed: float
    total: int
    running: tuple[str, ...]


OnProgress = Callable[[Progress], None]


def nobody(number: int, steps: int, most: int) -> None:
    """For tasks whose progress is not followed.

    Parameters
    ----------
    number : of the task
    steps, most : how many are done, and how many there may be
    """


class Pool(ABC):
    """Whoever computes tasks.

    Parameters
    ----------
    checkpoints : Checkpoints, optional
        Where :meth:`run` puts answers and looks for them, and tasks what they keep half-way.
    """

    def __init__(self, checkpoints: Checkpoints = NOT_KEPT) -> None:
        self.checkpoints = checkpoints

    @property
    def own_threads(self) -> int | None:
        """Threads that a task may start itself; None for one a processor, where one task is computed at a time."""
        return 1

    @property
    def room(self) -> int:
        """How many tasks are under way at most."""
        return 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, place: TracebackType | None
    ) -> None:
        self.stop()

    @abstractmethod
    def stop(self) -> None:
        """End what was started; what is not done is lost, save the chains that tasks wrote."""

    @abstractmethod
    def answers(self, tasks: Iterable[Task], report: Report = nobody) -> Generator[tuple[int, Arrays], None, None]:
        """The number and the answer of each task, as they finish.

        A task is taken from ``tasks`` when somebody has time for it, and no more of them are under way than is needed
        to keep all busy: memory does not grow with their number, and whoever reads slowly holds them up.

        Raises
        ------
        Exception
            Whatever a task raises, as if it had been called here; the others are stopped.
        """

    def run(
        self, tasks: Sequence[Task], on_progress: OnProgress | None = None
    ) -> tuple[tuple[Arrays | None, ...], bool]:
        """Compute what is not kept yet; when the user stops, what is done is returned.

        Parameters
        ----------
        on_progress : told of each step; None where nobody looks

        Returns
        -------
        tuple of (Arrays or None), bool
            The answers in the order of the tasks, None for those that the user did not wait for, and whether there may
            be such.

        Raises
        ------
        Exception
            As :meth:`answers`.
        """
        entries = [self.checkpoints.entry("task", task.key) for task in tasks]
        made: list[Arrays | None] = [None] * len(tasks)
        running: dict[int, tuple[int, int]] = {}

        def show() -> None:
            if on_progress is not None:
                finished = sum(answer is not None for answer in made)
                part = sum(steps / most for steps, most in running.values())
                labels = tuple(tasks[i].label for i in sorted(running))
                on_progress(Progress(finished + part, len(tasks), labels))

        def report(number: int, steps: int, most: int) -> None:
            running[waiting[number]] = steps, most
            show()

        try:
            made = [entry.load() for entry in entries]
            show()
            waiting = [i for i, answer in enumerate(made) if answer is None]
            with closing(self.answers((tasks[i] for i in waiting), report)) as answers:
                for number, answer in answers:
                    i = waiting[number]
                    # before it is saved: what a stop finds on the disk is also here
                    made[i] = answer
                    entries[i].save(answer)
                    running.pop(i, None)
                    show()
        except KeyboardInterrupt:
            self.stop()
            return tuple(made), True
        except BaseException:
            self.stop()
            raise
        return tuple(made), False


class Threads(Pool):
    """``n`` threads of this process, for tasks that let go of Python's lock while they compute, as compiled runs do.

    Parameters
    ----------
    n : int
        At least 1.
    checkpoints : Checkpoints, optional
        Where answers are put and looked for.
    """

    def __init__(self, n: int, checkpoints: Checkpoints = NOT_KEPT) -> None:
        super().__init__(checkpoints)
        self._executor = ThreadPoolExecutor(n)
        self.n = n

    @property
    def room(self) -> int:
        """One for each thread, and one that waits."""
        return self.n + 1

    def stop(self) -> None:
        """Wait for what is under way, and begin nothing more."""
        self._executor.shutdown(cancel_futures=True)

    def answers(self, tasks: Iterable[Task], report: Report = nobody) -> Generator[tuple[int, Arrays], None, None]:
        """As :meth:`Pool.answers`; beside one task a thread, one waits for the first thread that is free."""
        numbered = enumerate(tasks)
        under_way: dict[Future[Arrays], int] = {}
        try:
            while True:
                while len(under_way) < self.room and (following := next(numbered, None)) is not None:
                    i, task = following
                    under_way[self._executor.submit(task, partial(report, i))] = i
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(future), future.result()
        finally:
            for future in under_way:
                future.cancel()


@dataclass(frozen=True, eq=False)
class ArraysTask:
    """A call that gives arrays; it has to pickle.

    Parameters
    ----------
    compute : function without arguments
    key : str
        Empty where whoever asks keeps the answer, or nobody does.
    """

    compute: Callable[[], Arrays]
    label: str
    key: str = ""

    def __call__(self, tell: Tell) -> Arrays:
        """The arrays."""
        return self.compute()


@dataclass(frozen=True, eq=False)
class RecordTask(Generic[T]):
    """One record to compute.

    Parameters
    ----------
    make : function without arguments
        It has to pickle, and what it gives depends on nothing else.
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
    kind : the class of the records
    checkpoints : where records are kept and looked for
    pool : whoever computes them where they are long; None for this process alone
    on_record : function of how many records there are and the one that came last

    Returns
    -------
    list of (T or None), bool
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
