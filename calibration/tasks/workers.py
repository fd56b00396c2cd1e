"""Independent tasks in worker processes, or one after another in this one: the same answers in the same order.

A task is a value that another process can be sent: a description of what to compute, with the random stream that it is
to be computed with. Its answer depends on nothing else, so neither the number of workers nor the order in which they
finish changes a bit. Each worker computes with one thread. A task that is done is kept at once, whatever happens to the
others; when the user stops, the workers are stopped and what is done is returned.
"""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Protocol

from cipark_sd.checkpoints import NOT_KEPT, Arrays, Checkpoints
from cipark_sd.errors import CiparkError

#: Called with the steps that are done and how many there may be.
Tell = Callable[[int, int], None]
#: Libraries for linear algebra start as many threads as there are processors in each process unless told not to.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
#: Seconds that a worker is given to put away what it writes.
_PATIENCE = 5.0


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


class WorkerDied(CiparkError):
    """A worker process that ended without an answer."""

    def __init__(self, label: str, code: int | None) -> None:
        super().__init__(
            f"the worker process for {label!r} ended by itself (exit code {code}); it may have run out of memory, or a "
            "script that uses this library lacks the line: if __name__ == '__main__'"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: tasks ``completed`` of ``total``, unfinished ones as shares of a task, and what runs."""

    completed: float
    total: int
    running: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """Arrayss in the order of the tasks, None for those that the user did not wait for."""

    answers: tuple[Arrays | None, ...]
    interrupted: bool


OnProgress = Callable[[Progress], None]


class Workers:
    """``n`` processes, started when the first task needs them; with ``n = 0`` tasks are computed in this process.

    Parameters
    ----------
    n : int
    checkpoints : Checkpoints, optional
        Where answers are put and looked for.
    """

    def __init__(self, n: int = 0, checkpoints: Checkpoints = NOT_KEPT) -> None:
        self.n = n
        self.checkpoints = checkpoints
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, tuple[_Worker, int]] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, place: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes; what they were doing is lost, save the chains that they wrote."""
        all_of_them = [*self._idle, *(worker for worker, _ in self._busy.values())]
        self._idle, self._busy = [], {}
        for worker in all_of_them:
            worker.process.terminate()
        for worker in all_of_them:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()

    def run(self, tasks: Sequence[Task], on_progress: OnProgress | None = None) -> Done:
        """Compute what is not kept yet.

        Raises
        ------
        Exception
            Whatever a task raises, as if it had been called here; the others are stopped.
        WorkerDied
        """
        stage = _Stage(tasks, self.checkpoints, on_progress)
        try:
            stage.look()
            if self.n == 0:
                for i in stage.waiting():
                    stage.finish(i, tasks[i](lambda steps, most, i=i: stage.report(i, steps, most)))  # type: ignore[misc]
            else:
                self._share(stage)
        except KeyboardInterrupt:
            self.stop()
            return Done(tuple(stage.answers), True)
        except BaseException:
            self.stop()
            raise
        return Done(tuple(stage.answers), False)

    def _share(self, stage: "_Stage") -> None:
        waiting = stage.waiting()
        while waiting or self._busy:
            while waiting and len(self._busy) < self.n:
                if not self._idle:
                    self._idle.append(_started())
                worker, i = self._idle.pop(), waiting.pop(0)
                self._busy[worker.connection] = worker, i
                stage.report(i, 0, 1)
                worker.connection.send(stage.tasks[i])
            for ready in connection.wait(list(self._busy)):
                self._heard(stage, self._busy[ready])  # type: ignore[index]

    def _heard(self, stage: "_Stage", of: "tuple[_Worker, int]") -> None:
        worker, i = of
        try:
            kind, content = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join(_PATIENCE)
            raise WorkerDied(stage.tasks[i].label, worker.process.exitcode) from None
        match kind:
            case "report":
                stage.report(i, *content)
            case "answer":
                del self._busy[worker.connection]
                self._idle.append(worker)
                stage.finish(i, content)
            case _:
                raise content


class _Stage:
    """Tasks and how far they are."""

    def __init__(self, tasks: Sequence[Task], checkpoints: Checkpoints, on_progress: OnProgress | None) -> None:
        self.tasks = tasks
        self.entries = [checkpoints.entry("task", task.key) for task in tasks]
        self.on_progress = on_progress
        self.answers: list[Arrays | None] = [None] * len(tasks)
        self.running: dict[int, tuple[int, int]] = {}

    def look(self) -> None:
        """Take what is kept."""
        self.answers = [entry.load() for entry in self.entries]
        self._show()

    def waiting(self) -> list[int]:
        return [i for i, answer in enumerate(self.answers) if answer is None]

    def report(self, i: int, steps: int, most: int) -> None:
        self.running[i] = steps, most
        self._show()

    def finish(self, i: int, answer: Arrays) -> None:
        self.entries[i].save(answer)
        self.answers[i] = answer
        self.running.pop(i, None)
        self._show()

    def _show(self) -> None:
        if self.on_progress is not None:
            finished = sum(answer is not None for answer in self.answers)
            part = sum(steps / most for steps, most in self.running.values())
            running = tuple(self.tasks[i].label for i in sorted(self.running))
            self.on_progress(Progress(finished + part, len(self.tasks), running))


@dataclass(frozen=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: connection.Connection


def _started() -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    with _one_thread(), _deaf():
        process.start()
    # the worker has its own end: when it dies, ours ends
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
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
