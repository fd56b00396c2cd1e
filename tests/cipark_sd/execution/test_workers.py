"""Tasks in processes: the same bits as in one, what is done is kept, errors and stops arrive."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import worker_tasks
from command_line import cipark
from places import SHARED
from small_study import rival, small_study
from undrawn import PROGRAM

from calibration.assess.holdout import rolling_origin
from calibration.assess.rivals import fit_rivals
from calibration.assess.self_test import self_test
from calibration.inference.sample.convergence import Effort
from calibration.likelihood.posterior import On
from cipark_sd.base.checkpoints import FOLDER, NOT_KEPT, Checkpoints, digest, stream
from cipark_sd.base.errors import UnknownName
from cipark_sd.execution.workers import WorkerDied, Workers

#: Far from converged: bits and checkpoints ask for no more.
EFFORT = Effort(ensembles=2, walkers=24, block=20, most_steps=80, least_steps=80, sampler="chains")
IMPORTANCE = Effort(ensembles=2, effective=2000.0)
MORE = rival("base") + rival("slow", "pace = 0.5")


@pytest.fixture(autouse=True)
def findable(monkeypatch):
    """Workers find the tasks of this folder."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SHARED), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study(tmp_path_factory.mktemp("study"), MORE)


def squares(n, kept=NOT_KEPT, tasks=5, **more):
    with Workers(n, kept) as workers:
        return workers.run([worker_tasks.Square(i, **more) for i in range(tasks)])


def values(done):
    return [None if answer is None else int(answer["value"]) for answer in done[0]]


def test_answers_stand_in_the_order_of_the_tasks_whoever_finishes_first():
    assert values(squares(0)) == values(squares(2, slow_first=True)) == [0, 1, 4, 9, 16]


def test_an_error_of_a_worker_is_raised_in_the_parent_as_it_was():
    with Workers(1) as workers, pytest.raises(UnknownName, match="did you mean 'rate'") as caught:
        workers.run([worker_tasks.Misspelt()])
    assert caught.value.name == "rat"
    assert "worker_tasks.py" in caught.value.__notes__[-1]


def test_a_worker_that_dies_is_told():
    with Workers(1) as workers, pytest.raises(WorkerDied, match=r"'dying' ended unexpectedly \(exit code 7\)"):
        workers.run([worker_tasks.Dying()])


def test_after_an_error_what_was_done_is_kept(tmp_path):
    kept = Checkpoints(tmp_path)
    tasks = [worker_tasks.Square(0), worker_tasks.Square(1), worker_tasks.Misspelt()]
    with Workers(1, kept) as workers, pytest.raises(UnknownName):
        workers.run(tasks)
    assert [kept.entry("task", task.key).load() is not None for task in tasks] == [True, True, False]


def stop_after(n):
    seen = set()

    def stop(now):
        seen.add(int(now.completed))
        if int(now.completed) >= n:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("n", [0, 1])
def test_after_a_stop_what_is_done_is_returned_and_not_computed_again(tmp_path, n):
    kept = Checkpoints(tmp_path)
    tasks = [worker_tasks.Square(i, count_in=str(tmp_path)) for i in range(4)]
    with Workers(n, kept) as workers:
        part = workers.run(tasks, stop_after(2))
    assert part[1]
    assert values(part) == [0, 1, None, None]
    before = len(list(tmp_path.glob("called-0-*"))) + len(list(tmp_path.glob("called-1-*")))
    with Workers(n, kept) as workers:
        whole = workers.run(tasks)
    assert values(whole) == [0, 1, 4, 9]
    assert before == 2 == len(list(tmp_path.glob("called-0-*"))) + len(list(tmp_path.glob("called-1-*")))


def test_no_process_is_left_after_a_stop():
    with Workers(2) as workers:
        workers.run([worker_tasks.Square(i) for i in range(2)])
        started = [process for _, process in workers._idle]
        assert started
        workers.stop()
    assert not any(process.is_alive() for process in started)


def test_a_key_depends_on_streams_and_on_what_they_spawn():
    one, two = np.random.default_rng([1, 2]).spawn(2)
    assert digest(stream(one)) != digest(stream(two))
    before = stream(one)
    one.spawn(1)
    assert stream(one) != before


def same_fits(one, two):
    return all(
        a.variant.id == b.variant.id
        and np.array_equal(a.theta, b.theta)
        and np.array_equal(a.elpd, b.elpd)
        and (a.log_evidence, a.convergence) == (b.log_evidence, b.convergence)
        for a, b in zip(one[0], two[0], strict=True)
    )


def rivals(study, workers, effort=EFFORT, **more):
    more = {"refit": EFFORT} | more
    return fit_rivals(study, On("native"), np.random.default_rng(1), effort=effort, workers=workers, **more)


def test_rivals_origins_and_data_sets_are_the_same_bits_in_one_process_and_in_two(study):
    def all_of_them(n):
        with Workers(n) as workers:
            return (
                rivals(study, workers, IMPORTANCE),
                rolling_origin(study, On("native"), np.random.default_rng(2), effort=EFFORT, workers=workers),
                self_test(study, On("native"), 3, np.random.default_rng(3), effort=EFFORT, workers=workers),
            )

    here, there = all_of_them(0), all_of_them(2)
    assert same_fits(here[0], there[0])
    assert here[1].scores.equals(there[1].scores)
    assert np.array_equal(here[2].ranks, there[2].ranks)


def test_rivals_go_on_from_chains_that_a_stop_left(study, tmp_path):
    kept = Checkpoints.in_output(tmp_path)
    whole = rivals(study, None)

    def stop(_, now):
        # in the middle of the second rival
        if now.completed > 1.5:
            raise KeyboardInterrupt

    fits, _, interrupted = rivals(study, Workers(0, kept), on_stage=stop)
    assert interrupted
    assert [fit.variant.id for fit in fits] == ["base"]
    assert len(list(kept.folder.glob("chains-*.npz"))) >= 1
    steps = []
    again = rivals(study, Workers(0, kept), on_stage=lambda *told: steps.append(told))
    assert same_fits(again, whole)
    # the first is not computed again, and the second not from its start
    assert min(now.completed for stage, now in steps if stage == "rivals" and now.running) >= 1.5


@pytest.mark.parametrize(("table", "old", "new"), [("left.csv", "85", "86"), ("leaving.mdl", "0.125", "0.25")])
def test_another_table_or_model_takes_nothing_old(tmp_path, table, old, new):
    study = small_study(tmp_path, MORE)
    folder = tmp_path / FOLDER
    rivals(study, Workers(0, Checkpoints(folder)), refit=None)
    n = len(list(folder.glob("task-*")))
    path = tmp_path / table
    path.write_text(path.read_text().replace(old, new))
    from calibration.study.problem import read_problem

    rivals(read_problem(tmp_path), Workers(0, Checkpoints(folder)), refit=None)
    assert len(list(folder.glob("task-*"))) == 2 * n


def tables(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.csv"))}


def words(study, out, workers):
    """A call of the command, with as many steps as weights need that are to be trusted."""
    what = ["--posterior", "--holdout", "--self-test", "2", "--starts", "2"]
    how = ["--fast", "--no-profiles", "--no-compare-pysd", "--no-player", "--workers", str(workers), "-o", str(out)]
    return ["calibrate", str(study), *what, *how]


def calibrate_with_two(study, out):
    program = study / "calibrate.py"
    program.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(program), *words(study, out, 2)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def in_group(group):
    """Whether a process of a group is left; one that has ended may take a moment to be gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_a_command_that_was_stopped_goes_on_and_ends_with_the_same_tables(tmp_path, undrawn_figures):
    """Stopped with two workers, and ended and compared in this process: that two give the bits of one is said above."""
    # origins and data sets are left when the first of the rivals is done
    small_study(tmp_path, MORE)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    stopped = calibrate_with_two(tmp_path, cut)
    deadline = time.monotonic() + 300
    while len(list((cut / FOLDER).glob("task-*.npz"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    # as a terminal does it: Ctrl-C goes to the whole group
    os.killpg(stopped.pid, signal.SIGINT)
    assert stopped.wait(120) == 1
    assert not in_group(stopped.pid)
    left = len(list((cut / FOLDER).glob("task-*.npz")))
    assert cipark(*words(tmp_path, cut, 1), code=None, standalone_mode=False).return_value in (0, 1)
    assert cipark(*words(tmp_path, whole, 1), standalone_mode=False).return_value in (0, 1)
    assert 1 <= left < len(list((cut / FOLDER).glob("task-*.npz")))
    assert tables(cut) == tables(whole)
    assert len(tables(cut)) > 5


KILLED = """
import sys
from pathlib import Path
import worker_tasks
from cipark_sd.execution.workers import Workers
from cipark_sd.base.checkpoints import Checkpoints
if __name__ == "__main__":
    with Workers(2, Checkpoints(Path(sys.argv[1]))) as workers:
        workers.run([*(worker_tasks.Square(i) for i in range(2)), worker_tasks.Endless(), worker_tasks.Endless()])
"""


def test_workers_of_a_process_that_is_killed_end_and_what_is_done_is_kept(tmp_path):
    program, kept = tmp_path / "killed.py", tmp_path / "kept"
    program.write_text(KILLED)
    parent = subprocess.Popen([sys.executable, str(program), str(kept)], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(kept.glob("task-*.npz"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.kill()
    assert parent.wait(60) == -signal.SIGKILL
    assert not in_group(parent.pid)
    assert values(squares(0, Checkpoints(kept), 2)) == [0, 1]
    assert len(list(kept.glob("task-*.npz"))) == 2
