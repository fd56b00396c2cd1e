"""Worker processes of this machine, or the tasks one after another in this process.

Each worker computes with one thread. When the user stops, the workers are stopped and what is done is returned.
"""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import cast

from cipark_sd.base.checkpoints import NOT_KEPT, Arrays, Checkpoints
from cipark_sd.base.errors import CiparkError
from cipark_sd.execution.pool import ONE_THREAD, Pool, Report, Task, nobody

#: Seconds that a worker is given to put away what it writes.
_PATIENCE = 5.0
#: Our end of the pipe to a process, and the process.
_Worker = tuple[connection.Connection, SpawnProcess]


class WorkerDied(CiparkError):
    """A worker process that ended without an answer."""

    def __init__(self, label: str, code: int | None) -> None:
        super().__init__(
            f"the worker process for {label!r} ended unexpectedly (exit code {code}); it may have run out of memory, "
            "or a script that uses this library lacks the line: if __name__ == '__main__'"
        )


class Workers(Pool):
    """``n`` processes, started when the first task needs them; with ``n = 0`` tasks are computed in this process.

    Parameters
    ----------
    checkpoints
        As for :class:`Pool`.
    """

    def __init__(self, n: int = 0, checkpoints: Checkpoints = NOT_KEPT) -> None:
        super().__init__(checkpoints)
        self.n = n
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, tuple[SpawnProcess, int, Task]] = {}

    @property
    def own_threads(self) -> int | None:
        """One, in a process beside others."""
        return 1 if self.n else None

    @property
    def room(self) -> int:
        """One for each process."""
        return max(self.n, 1)

    def stop(self) -> None:
        """End all processes; what they were doing is lost, save the chains that they wrote."""
        all_of_them = [*self._idle, *((line, process) for line, (process, _, _) in self._busy.items())]
        self._idle, self._busy = [], {}
        for _, process in all_of_them:
            process.terminate()
        for line, process in all_of_them:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
            line.close()

    def answers(self, tasks: Iterable[Task], report: Report = nobody) -> Generator[tuple[int, Arrays], None, None]:
        """As :meth:`Pool.answers`; one task a process is under way.

        Raises
        ------
        WorkerDied
        """
        numbered = enumerate(tasks)
        if self.n == 0:
            for i, task in numbered:
                yield i, task(partial(report, i))
            return
        try:
            while True:
                while len(self._busy) < self.n and (following := next(numbered, None)) is not None:
                    self._send(*following, report)
                if not self._busy:
                    return
                for ready in connection.wait(list(self._busy)):
                    yield from self._heard(cast(connection.Connection, ready), report)
        except BaseException:
            # what is under way belongs to nobody
            self.stop()
            raise

    def _send(self, i: int, task: Task, report: Report) -> None:
        if not self._idle:
            self._idle.append(_started())
        line, process = self._idle.pop()
        self._busy[line] = process, i, task
        report(i, 0, 1)
        line.send(task)

    def _heard(self, line: connection.Connection, report: Report) -> Iterator[tuple[int, Arrays]]:
        process, i, task = self._busy[line]
        try:
            kind, content = line.recv()
        except (EOFError, ConnectionResetError):
            process.join(_PATIENCE)
            raise WorkerDied(task.label, process.exitcode) from None
        match kind:
            case "report":
                report(i, *content)
            case "answer":
                del self._busy[line]
                self._idle.append((line, process))
                yield i, content
            case _:
                raise content


def _started() -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    with _one_thread(), _deaf():
        process.start()
    # the worker has its own end: when it dies, ours ends
    theirs.close()
    return ours, process


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal; those that start here leave it to their parent."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(parent: connection.Connection) -> None:
    """Compute what comes until the parent stops us or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # an exit as after an exception, so that a file that is half written is removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def say(kind: str, content: object) -> None:
        try:
            parent.send((kind, content))
        except OSError:
            # nobody listens any more
            sys.exit(1)

    while True:
        try:
            task = parent.recv()
            answer = task(lambda steps, most: say("report", (steps, most)))
        except EOFError:
            return
        except Exception as problem:
            say("error", _portable(problem))
        else:
            say("answer", answer)


def _portable(problem: Exception) -> Exception:
    """The error as the parent can raise it, with the place where it happened as a note."""
    problem.add_note("".join(traceback.format_exception(problem)))
    try:
        pickle.loads(pickle.dumps(problem))
    except Exception as reason:
        error = RuntimeError(f"{type(problem).__name__}: {problem} (it does not pickle: {reason})")
        error.add_note(problem.__notes__[-1])
        return error
    return problem
