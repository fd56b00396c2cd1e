"""Ensembles in stores: the same bits whatever stops them and whoever computes them, and nothing taken for another."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zarr", reason="the extra store is not installed")

from cipark_sd.checkpoints import CheckpointWarning
from cipark_sd.ensembles import ensemble
from cipark_sd.errors import CiparkError, InvalidValue
from cipark_sd.failures import TooManyFailed
from cipark_sd.frontends.model_file import read_model
from cipark_sd.runs.design import Drawn, Listed
from cipark_sd.runs.stored import check_room, store_runs, tally
from cipark_sd.runs.verify import verify
from cipark_sd.runs.work import REASON, Work, chunk_size
from cipark_sd.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.store.chunks import RunStore
from cipark_sd.store.lock import alone, writing
from cipark_sd.store.schema import MARKS, NoStore
from cipark_sd.tasks.threads import Threads
from cipark_sd.tasks.workers import Workers

# zarr and dask name features of their own that are to change
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::PendingDeprecationWarning")
Write = Callable[..., Path]
MODEL = """
item: a, b ~~|
level[item] = INTEG(rate - level[item] / (life + age[item]), 10) ~ m ~ |
rate = 3 + RANDOM NORMAL(-1, 1, 0, 0.1, 7) ~~|
age[a] = 0 ~~| age[b] = 1 ~~|
life = 5 ~~|
"""
N, CHUNK = 300, 32


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "pool.mdl"
    control = "INITIAL TIME = 0 ~~| FINAL TIME = 5 ~~| TIME STEP = 0.25 ~~| SAVEPER = 0.5 ~~|"
    path.write_text("{UTF-8}\n" + MODEL + control, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def work(model_file: Path) -> Work:
    design = Drawn("lhs", N, Factors((Factor("life", Uniform(2, 9)),)), 1)
    return Work(read_model(model_file), design, ("level", "rate"), engine="native")


@pytest.fixture(scope="module")
def never_stopped(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "pool.zarr"
    assert run(work, path).completed == N
    return path


def run(work: Work, path: Path, n: int = 2, **more: object):  # type: ignore[no-untyped-def]
    with Threads(n) as pool:
        return store_runs(work, path, pool, chunk=CHUNK, **more)  # type: ignore[arg-type]


def bits(path: Path) -> dict[str, bytes]:
    store = RunStore(path)
    return {name: store.read(name, 0, store.n_runs).tobytes() for name in (*store.columns.values(), MARKS)}


def test_a_store_holds_what_an_ensemble_returns(work: Work, never_stopped: Path) -> None:
    stored = RunStore(never_stopped).open()
    draws = {"life": work.design.rows(0, N)[:, 0]}
    expected = ensemble(work.model, draws, save=["level", "rate"])
    for name in ("level", "rate"):
        assert stored[name].dims == expected[name].dims
        assert np.array_equal(stored[name].to_numpy(), expected[name].to_numpy())
        assert stored[name].attrs["units"] == expected[name].attrs["units"] if name == "level" else True
    assert np.array_equal(stored["draws"].to_numpy()[:, 0], draws["life"])
    assert stored["item"].to_numpy().tolist() == ["a", "b"]
    assert stored["time"].to_numpy().tolist() == expected["time"].to_numpy().tolist()
    assert stored["level"].chunks is not None or "dask" not in sys.modules


def test_other_programs_open_it_without_this_package(never_stopped: Path) -> None:
    import xarray as xr
    import zarr

    assert xr.open_zarr(never_stopped, consolidated=True)["level"].shape == (N, 11, 2)
    assert zarr.open_group(never_stopped, mode="r")["level"].chunks == (CHUNK, 11, 2)
    for described in never_stopped.rglob(".zarray"):
        content = json.loads(described.read_text())
        assert content["filters"] is None
        assert np.dtype(content["dtype"]).kind in "fiuU"


@pytest.mark.parametrize(("workers", "chunk"), [(1, 48), (3, 300)])
def test_neither_threads_nor_chunks_change_a_bit(
    work: Work, never_stopped: Path, tmp_path: Path, workers: int, chunk: int
) -> None:
    with Threads(workers) as pool:
        store_runs(work, tmp_path / "s.zarr", pool, chunk=chunk)
    one, two = bits(never_stopped), bits(tmp_path / "s.zarr")
    assert {name: one[name] for name in one if name != MARKS} == {name: two[name] for name in two if name != MARKS}


def test_worker_processes_give_the_same_bits(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    with Workers(1) as pool:
        store_runs(work, tmp_path / "s.zarr", pool, chunk=CHUNK)
    assert bits(tmp_path / "s.zarr") == bits(never_stopped)


def stop_at(n: int) -> Callable[[int, int], None]:
    def progress(now: int, total: int) -> None:
        if now >= n:
            raise KeyboardInterrupt

    return progress


def test_what_was_stopped_opens_tells_what_is_complete_and_goes_on_with_the_rest(
    work: Work, never_stopped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(work, path, progress=stop_at(100))
    store = RunStore(path)
    assert 96 <= store.n_complete() < N
    assert store.open()["level"].shape == (N, 11, 2)
    there = np.repeat(store.complete(), CHUNK)[:N]
    assert np.isfinite(store.read("level", 0, N)[there]).all()
    assert (store.read(REASON, 0, N)[~there] == -1).all()
    marks = {file: file.stat().st_mtime_ns for file in (path / MARKS).glob("*.0")}
    assert run(work, path).completed == N
    assert all(file.stat().st_mtime_ns == before for file, before in marks.items())
    assert bits(path) == bits(never_stopped)


def test_content_without_its_mark_is_computed_anew(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(never_stopped, path)
    # a process that was killed within a chunk: some arrays written, one not, a file unfinished, and no mark
    (path / MARKS / "3.0").unlink()
    (path / "level" / "3.0.0").unlink()
    (path / "rate" / "3.0abc.partial").write_bytes(b"x")
    assert RunStore(path).n_complete() == N - CHUNK
    run(work, path)
    assert bits(path) == bits(never_stopped)
    assert not list(path.rglob("*.partial"))


def test_two_processes_share_a_store_and_do_not_wait_for_each_other(
    work: Work, never_stopped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.zarr"
    counts: list[int] = []
    begun = threading.Barrier(2)

    def one() -> None:
        # two open files of one process hold the lock as two processes do
        computed: list[int] = []

        def progress(now: int, total: int) -> None:
            if not computed:
                # a busy machine may let one end before the other begins
                begun.wait(120)
            computed.append(now)
            time.sleep(0.02)

        run(replace(work), path, 1, progress=progress)
        counts.append(len(computed) - 1)

    both = [threading.Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert bits(path) == bits(never_stopped)
    # at most the chunk where they meet, and those that are under way, are computed twice
    assert len(counts) == 2
    assert sum(counts) <= 10 + 4
    assert min(counts) >= 2


def test_parts_make_up_the_whole(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    done = [run(work, path, part=(k, 3)).completed for k in (1, 2, 3)]
    assert done[0] < done[1] < done[2] == N
    assert bits(path) == bits(never_stopped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 5}, "the seed differs"),
        ({"engine": "numpy"}, "the engine differs"),
        ({"save": ("rate",)}, "the saved variables differs"),
        ({"times": (0.0, 5.0)}, "the saved times differs"),
        ({"method": "rk4"}, "the method differs"),
    ],
)
def test_a_store_of_other_runs_is_not_gone_on_with(
    work: Work, never_stopped: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        run(replace(work, **change), never_stopped)  # type: ignore[arg-type]


def test_another_design_number_of_runs_or_program_is_another_store(
    work: Work, never_stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = replace(work, design=replace(work.design, n=N + 1))  # type: ignore[type-var]
    with pytest.raises(InvalidValue, match=r"the number of runs \(300, asked for 301\) differs"):
        run(more, never_stopped)
    wider = replace(work, design=replace(work.design, factors=Factors((Factor("life", Uniform(2, 10)),))))  # type: ignore[type-var]
    with pytest.raises(InvalidValue, match="the design differs"):
        run(wider, never_stopped)
    monkeypatch.setattr("cipark_sd.runs.work.program", lambda: "another")
    with pytest.raises(InvalidValue, match="the version of cipark or of its libraries differs"):
        run(work, never_stopped)


def test_what_would_not_fit_is_refused_before_anything_is_computed(work: Work, tmp_path: Path) -> None:
    large = replace(work, design=replace(work.design, n=2**31))  # type: ignore[type-var]
    with pytest.raises(InvalidValue, match=r"runs is 2147483648, expected one that fits: 285 bytes a run are 612 GB"):
        check_room(tmp_path / "s.zarr", large.layout({}), (1, 1))
    with pytest.raises(InvalidValue, match="--at"):
        run(large, tmp_path / "s.zarr")
    assert list(tmp_path.iterdir()) == []


def test_too_many_failed_runs_are_an_error_with_their_causes_and_what_is_done_stays(
    model_file: Path, tmp_path: Path
) -> None:
    lives = np.where(np.arange(N) % 10 == 0, -1.0, 5.0)
    work = Work(read_model(model_file), Listed(("life",), lives[:, None]), ("level",), engine="native")
    with pytest.raises(TooManyFailed, match=r"runs failed, which is more than the share of 0\.05") as problem:
        run(work, tmp_path / "s.zarr", 1)
    assert "level[b] is not a finite number, earliest at time 0" in str(problem.value)
    # as soon as it is certain: more than 15 of 300
    assert 15 < problem.value.failed < 30
    with pytest.raises(TooManyFailed):
        run(work, tmp_path / "s.zarr", 1)
    done = run(work, tmp_path / "s.zarr", allowed=0.1)
    assert (done.completed, done.failed, done.share) == (N, 30, 0.1)
    assert tally(RunStore(tmp_path / "s.zarr")).failed == 30


def test_a_damaged_chunk_is_found_dropped_and_computed_anew(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(never_stopped, path)
    shutil.copy(path / "level" / "1.0.0", path / "level" / "2.0.0")
    (path / "rate" / "5.0").write_bytes(b"junk")
    store = RunStore(path)
    checked = verify(store, work, sample=0, chunks=None, seed=1)
    assert checked.damaged == (2, 5)
    with pytest.warns(CheckpointWarning, match="chunk 2 is damaged"):
        assert store.entry("chunk", 2).load() is None
    for number in checked.damaged:
        store.entry("chunk", number).discard()
    run(work, path)
    assert bits(path) == bits(never_stopped)


def test_a_sample_that_is_run_again_sees_a_bit_that_no_digest_can(
    work: Work, never_stopped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(never_stopped, path)
    chunk = RunStore(path).entry("chunk", 0)
    content = {name: np.array(values) for name, values in chunk.load().items()}  # type: ignore[union-attr]
    assert verify(RunStore(path), work, sample=3, chunks=None, seed=1).passed
    content["rate"][:, 3] = np.nextafter(content["rate"][:, 3], 99)
    chunk.save(content)
    checked = verify(RunStore(path), work, sample=40, chunks=None, seed=1)
    assert checked.damaged == ()
    assert checked.different
    assert all(run < CHUNK and name == "rate" for run, name in checked.different)


def test_nothing_is_removed_from_a_store_that_is_written_to(never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(never_stopped, path)
    with writing(path), pytest.raises(NoStore, match="another process writes to the store"):
        RunStore(path).remove()
    with alone(path), pytest.raises(NoStore), alone(path):
        pass
    RunStore(path).remove()
    assert not path.exists()


def test_the_size_of_a_chunk_depends_on_the_runs_alone() -> None:
    assert [chunk_size(n, 5000) for n in (10, 1000, 10**5, 10**9)] == [256, 256, 1568, 6720]


COMMAND = ["ensemble", "pool.mdl", "--runs", "60000", "--variables", "level,rate", "--vary", "life=2:9", "-o", "s.zarr"]
MAIN = "from cipark_sd.cli import main; main()"
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY));"


def completed(folder: Path, code: str = MAIN) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-c", code, *COMMAND]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def stopped(folder: Path, how: signal.Signals) -> tuple[int, str]:
    """A command that is stopped when it has written two more chunks."""
    marks = folder / "s.zarr" / MARKS
    before = len(list(marks.glob("*.0")))
    call = [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler);" + MAIN, *COMMAND]
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while len(list(marks.glob("*.0"))) < before + 2 and process.poll() is None:
            time.sleep(0.001)
        # an interrupt that arrives while Python drops an object is lost, and a person presses again
        for _ in range(20):
            process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=15)
                break
    return process.returncode, errors


@pytest.mark.skipif(os.name == "nt", reason="signals and limits are those of POSIX systems")
def test_a_command_on_a_full_disk_stopped_and_killed_ends_with_the_same_bits(model_file: Path, tmp_path: Path) -> None:
    shutil.copy(model_file, tmp_path / "pool.mdl")
    full = completed(tmp_path, LIMITED + MAIN)
    assert (full.returncode, full.stdout) == (2, ""), full.stderr
    assert "Traceback" not in full.stderr
    assert "File too large" in full.stderr
    store = RunStore(tmp_path / "s.zarr")
    assert store.n_complete() == 0
    code, errors = stopped(tmp_path, signal.SIGINT)
    assert code == 130, errors
    assert f"stopped: {store.n_complete():,} of 60,000 runs are in s.zarr; the same command resumes" in errors
    assert 0 < store.n_complete() < store.n_runs
    assert stopped(tmp_path, signal.SIGKILL)[0] == -signal.SIGKILL
    assert 0 < store.n_complete() < store.n_runs
    assert completed(tmp_path).returncode == 0
    assert store.n_complete() == store.n_runs
    assert not list(store.path.rglob("*.partial"))
    design = Drawn("lhs", 60_000, Factors((Factor("life", Uniform(2.0, 9.0)),)), 1)
    work = Work(read_model(tmp_path / "pool.mdl"), design, ("level", "rate"), seed=1, engine="native")
    assert verify(store, work, sample=20, chunks=None, seed=2).passed


def test_a_newer_store_is_refused_with_a_sentence(never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    shutil.copytree(never_stopped, path)
    content = json.loads((path / ".zmetadata").read_text())
    content["metadata"][".zattrs"] |= {"schema": 2, "cipark_sd_version": "9.1"}
    (path / ".zmetadata").write_text(json.dumps(content))
    with pytest.raises(CiparkError, match=r"schema 2, and this version reads up to 1; it was made by cipark 9\.1"):
        RunStore(path)
