"""Workers of a scheduler of dask.distributed, on this machine or on others.

The scheduler gives a task of a worker that is gone to another one. Each task carries the fingerprint of the program,
and a worker that has another one refuses it: its bits might differ.

Whoever can send a task to a worker can run anything on it, as the user who started the worker. So the scheduler of
another machine is spoken to by TLS, with certificates on both sides. Without them a scheduler of this machine is for a
machine that has one user: every other user reaches the loopback address too.
"""

import ipaddress
import pickle
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

from cipark_sd.base.checkpoints import NOT_KEPT, Arrays, Checkpoints, program
from cipark_sd.base.errors import CiparkError, InvalidValue, MissingPackage
from cipark_sd.execution.pool import Pool, Report, Task, nobody

#: Tasks that wait at each worker beside the one that it computes.
AHEAD = 1
#: Seconds for a scheduler to answer, and for the first worker to come.
CONNECT, FIRST_WORKER = 10.0, 60.0


class OtherProgram(CiparkError):
    """A worker that has another version of cipark or of the libraries that it computes with."""

    def __init__(self, worker: str) -> None:
        super().__init__(
            f"the worker {worker} runs another version of cipark, or of NumPy, SciPy or llvmlite, than this process: "
            "its results might differ in their bits; install the same versions on both"
        )


class ClusterFailed(CiparkError):
    """A cluster that cannot be reached, has no workers or is gone."""


def pool_of(dask: str | None, otherwise: Callable[[], Pool], checkpoints: Checkpoints = NOT_KEPT) -> Pool:
    """The workers of the cluster at an address, or those of this machine where there is none.

    Parameters
    ----------
    dask : where a scheduler listens, as of :class:`Cluster`; None for this machine
    otherwise : makes the pool of this machine
    checkpoints : of the cluster's tasks
    """
    return otherwise() if dask is None else Cluster(dask, checkpoints)


class Cluster(Pool):
    """Workers of dask.distributed.

    Parameters
    ----------
    address : str
        Where a scheduler listens: ``tls://host:8786``, with the certificates in dask's configuration
        (``distributed.comm.tls``), or ``tcp://127.0.0.1:8786`` on a machine that has no other users.
    checkpoints
        As for :class:`Pool`.

    Raises
    ------
    MissingPackage
        Without dask.
    InvalidValue
        For the address of another machine without TLS, and for TLS without certificates.
    """

    def __init__(self, address: str, checkpoints: Checkpoints = NOT_KEPT) -> None:
        super().__init__(checkpoints)
        check_address(address)
        _distributed()
        _check_certificates(address)
        self.address = address
        self._client: Any = None

    def stop(self) -> None:
        """Let go of the cluster."""
        if self._client is not None:
            with suppress(OSError, TimeoutError):
                self._client.close()
        self._client = None

    def answers(self, tasks: Iterable[Task], report: Report = nobody) -> Generator[tuple[int, Arrays], None, None]:
        """As :meth:`Pool.answers`: one task a worker is computed and one waits at it, however many there are.

        Raises
        ------
        OtherProgram, ClusterFailed
        """
        distributed = _distributed()
        client = self._connected()
        numbered = enumerate(tasks)
        under_way: dict[str, tuple[int, Any]] = {}
        finished = distributed.as_completed(loop=client.loop)
        try:
            while True:
                while len(under_way) < self.room and (following := next(numbered, None)) is not None:
                    i, task = following
                    report(i, 0, 1)
                    future = client.submit(_computed, pickle.dumps(task), program(), pure=False)
                    under_way[future.key] = i, future
                    finished.add(future)
                if not under_way:
                    return
                future = next(finished)
                i, _ = under_way.pop(future.key)
                yield i, _answer(distributed, client, future)
        finally:
            if under_way and client.status == "running":
                with suppress(OSError, TimeoutError):
                    client.cancel([future for _, future in under_way.values()])

    @property
    def room(self) -> int:
        """One for each thread of a worker, and one that waits there.

        Raises
        ------
        ClusterFailed
        """
        workers = self._connected().scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(int(worker["nthreads"]) for worker in workers)
        return max(1, threads) * (1 + AHEAD)

    def _connected(self) -> Any:
        distributed = _distributed()
        if self._client is None:
            try:
                self._client = distributed.Client(self.address, timeout=CONNECT, set_as_default=False)
                self._client.wait_for_workers(1, timeout=FIRST_WORKER)
            except TimeoutError:
                waited = self._client is not None
                self.stop()
                reason = (
                    f"the scheduler {self.address} has no workers; start some with: dask worker {self.address}"
                    if waited
                    else f"no scheduler answers at {self.address} within {CONNECT:g} s"
                )
                raise ClusterFailed(reason) from None
            except (OSError, ValueError, RuntimeError, TypeError) as problem:
                self.stop()
                raise ClusterFailed(f"no scheduler answers at {self.address}: {problem}") from None
        return self._client


def check_address(address: str) -> None:
    """Raise unless an address is of this machine, or is spoken to by TLS.

    Raises
    ------
    InvalidValue
    """
    if address.startswith("tls://"):
        return
    kind, _, location = address.rpartition("://")
    host = location.rpartition(":")[0].strip("[]")
    if kind not in ("", "tcp") or not host:
        expected = "tls://HOST:PORT, or tcp://127.0.0.1:PORT on a machine without other users"
        raise InvalidValue("the address of the scheduler", address, expected, where="--dask")
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        expected = (
            f"tls://{location}: anyone who reaches a scheduler without certificates can run code on its workers "
            "(docs/how-to/reliability.md says how to make them)"
        )
        raise InvalidValue("the address of the scheduler", address, expected, where="--dask")


def _check_certificates(address: str) -> None:
    """Raise where TLS is asked for and dask is told of no certificates.

    Raises
    ------
    InvalidValue
    """
    import dask

    needed = [f"distributed.comm.tls.{name}" for name in ("ca-file", "client.cert", "client.key")]
    missing = [name for name in needed if not dask.config.get(name, None)]
    if address.startswith("tls://") and missing:
        expected = f"certificates for it: dask's configuration lacks {', '.join(missing)} (docs/how-to/reliability.md)"
        raise InvalidValue("the address of the scheduler", address, expected, where="--dask")


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingPackage("dask.distributed", "cluster", "--dask") from None
    return distributed


def _computed(task: bytes, expected: str) -> Arrays:
    """What a worker does."""
    if program() != expected:
        from distributed import get_worker

        raise OtherProgram(get_worker().address)
    loaded: Task = pickle.loads(task)
    return dict(loaded(_unheard))


def _unheard(steps: int, most: int) -> None:
    """Steps within a task stay at the worker."""


def _answer(distributed: Any, client: Any, future: Any) -> Arrays:
    try:
        answer: Arrays = future.result()
    except distributed.scheduler.KilledWorker as problem:
        reason = "its workers died one after another; they may have run out of memory"
        raise ClusterFailed(f"a task was given up: {reason} ({problem.last_worker.address})") from None
    except (distributed.client.FutureCancelledError, distributed.comm.CommClosedError) as problem:
        raise ClusterFailed(
            f"the scheduler is gone ({problem}); what is done is kept, and the same command resumes"
        ) from None
    future.release()
    return answer
