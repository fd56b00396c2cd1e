"""Threads of this process, for tasks that let go of Python's lock while they compute, as compiled runs do."""

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from cipark_sd.checkpoints import NOT_KEPT, Arrays, Checkpoints
from cipark_sd.tasks.pool import Pool, Report, Task, nobody


class Threads(Pool):
    """``n`` threads.

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
