"""A real scheduler and real worker processes: the same bits as here, whoever dies, is slow or has another version."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import worker_tasks
from command_line import cipark
from places import ROOT, SHARED
from schedulers import environment, listening_at, started

pytest.importorskip("distributed", reason="the extra cluster is not installed")

from cipark_sd.analysis.runs.design import Drawn
from cipark_sd.analysis.runs.stored import store_of
from cipark_sd.analysis.runs.work import Work
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.execution.cluster import Cluster, ClusterFailed, OtherProgram, check_address
from cipark_sd.execution.pool import Threads
from cipark_sd.language.read.model_file import read_model

Write = Callable[..., Path]
MODEL = "level = INTEG(rate - level / life, 10) ~~| rate = 3 ~~| life = 5 ~~|"


@pytest.mark.parametrize("address", ["tcp://10.0.0.3:8786", "10.0.0.3:8786", "tcp://cluster.example.org:8786"])
def test_another_machine_is_spoken_to_by_tls_alone(address: str) -> None:
    with pytest.raises(InvalidValue, match="expected tls://"):
        check_address(address)


def test_calibrate_refuses_such_an_address_before_it_searches_and_else_takes_the_cluster(tmp_path: Path) -> None:

    from calibration.commands.pipeline import pool_of
    from calibration.commands.settings import Settings

    refused = cipark("calibrate", "flu_1978", "--dask", "tcp://10.0.0.3:1", "-o", tmp_path, code=2)
    assert "expected tls://10.0.0.3:1" in " ".join(refused.output.split())
    assert isinstance(pool_of(Settings(tmp_path, engine="native", dask="tcp://127.0.0.1:1")), Cluster)


@pytest.mark.parametrize(
    "address", ["tls://cluster.example.org:8786", "tcp://127.0.0.1:1", "localhost:8786", "tcp://[::1]:8786"]
)
def test_this_machine_and_tls_are_taken(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address", ["", "local", "http://127.0.0.1:80", "nonsense", "ucx://127.0.0.1:8786", "inproc://x:1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidValue, match="expected tls://HOST:PORT, or tcp://127"):
        check_address(address)


def worker(address: str, **more: object):  # type: ignore[no-untyped-def]
    own = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    return started("dask_worker", address, *own, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler without workers."""
    with started("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as process:
        yield listening_at(process, "tcp")


def squares(n: int, **more: object) -> list[worker_tasks.Square]:
    return [worker_tasks.Square(i, **more) for i in range(n)]  # type: ignore[arg-type]


@pytest.mark.cluster
def test_a_killed_worker_is_made_up_for_a_slow_one_waited_for_and_another_version_refused(
    scheduler: str, tmp_path: Path
) -> None:
    with worker(scheduler) as first, worker(scheduler), Cluster(scheduler) as cluster:
        client = cluster._connected()
        client.wait_for_workers(2, timeout=60)
        answers: dict[int, int] = {}
        for number, answer in cluster.answers(squares(12, slow_first=True, count_in=str(tmp_path))):
            answers[number] = int(answer["value"])
            if len(answers) == 3:
                first.send_signal(signal.SIGKILL)
        assert [answers[i] for i in range(12)] == [i**2 for i in range(12)]
        with pytest.raises(UnknownName, match="did you mean 'rate'"):
            cluster.run([worker_tasks.Misspelt()])
    copy = tmp_path / "other"
    for package in ("cipark_sd", "calibration"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "studies"))
    changed = copy / "cipark_sd" / "base" / "arrays.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# another version\n", encoding="utf-8")
    other = environment(os.pathsep.join([str(copy), str(SHARED)]))
    refused = pytest.raises(OtherProgram, match="runs another version of cipark")
    with worker(scheduler, environ=other), Cluster(scheduler) as cluster, refused:
        # more than the last worker of before would do, were it not gone yet
        cluster.run(squares(40))


@pytest.mark.cluster
def test_no_more_tasks_are_taken_than_are_needed_to_keep_all_busy(scheduler: str) -> None:
    with worker(scheduler), Cluster(scheduler) as cluster:
        taken: list[int] = []

        def tasks() -> Iterator[worker_tasks.Square]:
            for i in range(50):
                taken.append(i)
                yield worker_tasks.Square(i)

        ahead = []
        for number, _ in cluster.answers(tasks()):
            # whoever reads slowly holds the others up
            time.sleep(0.01)
            ahead.append(len(taken) - len(ahead))
            assert number < 50
        assert max(ahead) <= 4
        assert len(ahead) == 50


@pytest.mark.cluster
def test_an_ensemble_on_a_cluster_has_the_bits_of_threads_and_goes_on_when_a_worker_is_killed(
    scheduler: str, write_mdl: Write, tmp_path: Path
) -> None:
    design = Drawn("sobol", 4096, Factors((Factor("life", Uniform(2, 9)),)), 1)
    work = Work(read_model(write_mdl(MODEL)), design, ("level",), engine="native")
    here, there = (store_of(work, tmp_path / name, chunk=128) for name in ("here", "there"))
    here.begin({})
    with Threads(2) as pool:
        here.fill(pool)
    killed: list[int] = []
    with worker(scheduler) as first, worker(scheduler), Cluster(scheduler) as cluster:
        cluster._connected().wait_for_workers(2, timeout=60)

        def progress(done: int, total: int) -> None:
            if done > total // 4 and not killed:
                killed.append(first.pid)
                first.send_signal(signal.SIGKILL)

        there.begin({})
        assert there.fill(cluster, progress=progress).total == 4096
    assert killed
    for number in range(here.n_chunks):
        assert here.file(number).read_bytes() == there.file(number).read_bytes()


@pytest.mark.cluster
def test_a_scheduler_that_is_not_there_or_goes_away_is_one_sentence() -> None:
    with pytest.raises(ClusterFailed, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        Cluster("tcp://127.0.0.1:9").run(squares(1))


@pytest.mark.cluster
def test_self_tests_on_a_cluster_have_the_ranks_of_one_process(scheduler: str, tmp_path: Path) -> None:
    from small_study import small_study

    from calibration.assess.self_test import self_test
    from calibration.inference.sample.convergence import Effort
    from calibration.likelihood.posterior import On

    study, effort = small_study(tmp_path), Effort(walkers=24, most_steps=200, least_steps=200)

    def ranks(pool: Cluster | None) -> np.ndarray:
        rng = np.random.default_rng(3)
        return np.asarray(self_test(study, On("native"), 3, rng, effort=effort, workers=pool).ranks)

    with worker(scheduler), Cluster(scheduler) as cluster:
        assert np.array_equal(ranks(cluster), ranks(None))


def fishery(folder: Path) -> Path:
    shutil.copytree(SHARED / "fishery", folder / "fishery")
    return folder / "fishery"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("command", "options", "results"),
    [
        ("sensitivity", ("--rows", "64", "--resamples", "10"), ("sobol.nc", "sample.nc", "tornado.nc")),
        ("policy", ("--part", "effects", "--part", "attribution", "--runs", "30"), ()),
    ],
)
def test_an_analysis_on_a_cluster_has_the_bits_of_this_process(
    scheduler: str, tmp_path: Path, write_mdl: Write, command: str, options: tuple[str, ...], results: tuple[str, ...]
) -> None:

    target = write_mdl(MODEL) if command == "sensitivity" else fishery(tmp_path)
    with worker(scheduler):
        for place, more in (("here", ()), ("there", ("--dask", scheduler))):
            call = [command, str(target), *options, *more, "-o", str(tmp_path / place)]
            cipark(*call, catch_exceptions=False)
    tables = sorted(path.name for path in (tmp_path / "here").glob("*.csv"))
    assert tables
    for name in (*results, *tables):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


@pytest.mark.parametrize("command", ["sensitivity", "policy"])
def test_an_analysis_refuses_another_machine_without_certificates_before_it_computes(
    tmp_path: Path, write_mdl: Write, command: str
) -> None:

    target = write_mdl(MODEL) if command == "sensitivity" else fishery(tmp_path)
    call = [command, str(target), "--dask", "tcp://10.0.0.3:1", "-o", str(tmp_path / "out")]
    refused = cipark(*call, code=2)
    assert "expected tls://10.0.0.3:1" in " ".join(refused.output.split())
