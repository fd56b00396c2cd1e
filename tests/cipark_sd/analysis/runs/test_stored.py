"""Ensembles in folders: the same bits whatever stops them and whoever computes them, and nothing taken for another."""

import contextlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cipark_sd.analysis.runs.design import Drawn, Listed
from cipark_sd.analysis.runs.stored import ABOUT, NoStore, RunStore, check_room, remove, store_of
from cipark_sd.analysis.runs.work import Work, chunk_size
from cipark_sd.analysis.sensitivities.factors import Factor, Factors, Uniform
from cipark_sd.base import checkpoints
from cipark_sd.base.checkpoints import CheckpointWarning
from cipark_sd.base.errors import InvalidValue
from cipark_sd.data.results import load
from cipark_sd.execution.pool import Threads
from cipark_sd.execution.workers import Workers
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.failures import Failures, TooManyFailed

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
    design = Drawn("sobol", N, Factors((Factor("life", Uniform(2, 9)),)), 1)
    return Work(read_model(model_file), design, ("level", "rate"), engine="native")


@pytest.fixture(scope="module")
def never_stopped(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "pool"
    assert run(work, path).total == N
    return path


@pytest.fixture
def copied(never_stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(never_stopped, tmp_path / "s"))


def run(work: Work, path: Path, n: int = 2, *, chunk: int = CHUNK, **more: object) -> Failures:
    store = store_of(work, path, chunk=chunk)
    store.begin({})
    with Threads(n) as pool:
        return store.fill(pool, **more)  # type: ignore[arg-type]


def bits(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def together(path: Path) -> xr.Dataset:
    return xr.concat([load(file) for file in sorted(path.glob("*.nc"))], "run", data_vars="minimal")


def test_a_store_holds_what_an_ensemble_returns(work: Work, never_stopped: Path) -> None:
    stored, draws = together(never_stopped), {"life": work.design.rows(0, N)[:, 0]}
    expected = ensemble(work.model, draws, save=["level", "rate"])
    for name in ("level", "rate"):
        assert stored[name].dims == expected[name].dims
        assert np.array_equal(stored[name].to_numpy(), expected[name].to_numpy())
    assert stored["level"].attrs["units"] == "m"
    assert np.array_equal(stored["draws"].to_numpy()[:, 0], draws["life"])
    for name in ("item", "time", "run"):
        assert stored[name].to_numpy().tolist() == expected[name].to_numpy().tolist()
    assert not stored["run_failed"].any()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::PendingDeprecationWarning")
def test_other_programs_open_it_without_this_package(never_stopped: Path) -> None:
    pytest.importorskip("dask", reason="the extra cluster is not installed")
    with xr.open_mfdataset(f"{never_stopped}/*.nc") as opened:
        assert opened["level"].shape == (N, 11, 2)
        assert np.array_equal(opened["level"].to_numpy(), together(never_stopped)["level"].to_numpy())


@pytest.mark.parametrize(("workers", "chunk"), [(1, 48), (3, 300)])
def test_neither_threads_nor_chunks_change_a_bit(
    work: Work, never_stopped: Path, tmp_path: Path, workers: int, chunk: int
) -> None:
    run(work, tmp_path / "s", workers, chunk=chunk)
    assert together(tmp_path / "s").identical(together(never_stopped))


def test_worker_processes_give_the_same_bits(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    store = store_of(work, tmp_path / "s", chunk=CHUNK)
    store.begin({})
    with Workers(1) as pool:
        store.fill(pool)
    assert bits(tmp_path / "s") == bits(never_stopped)


def stop_at(n: int) -> Callable[[int, int], None]:
    def progress(now: int, total: int) -> None:
        if now >= n:
            raise KeyboardInterrupt

    return progress


def test_what_was_stopped_tells_what_is_complete_and_goes_on_with_the_rest(
    work: Work, never_stopped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with pytest.raises(KeyboardInterrupt):
        run(work, path, progress=stop_at(100))
    assert 96 <= store_of(work, path, chunk=CHUNK).n_complete() < N
    files = {file: file.stat().st_mtime_ns for file in path.glob("*.nc")}
    assert run(work, path).total == N
    assert all(file.stat().st_mtime_ns == before for file, before in files.items())
    assert bits(path) == bits(never_stopped)


def test_parts_make_up_the_whole(work: Work, never_stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    done = [run(work, path, part=(k, 3)).total for k in (1, 2, 3)]
    assert done[0] < done[1] < done[2] == N
    assert bits(path) == bits(never_stopped)


def test_what_another_job_writes_meanwhile_is_counted_and_not_computed_twice(
    work: Work, never_stopped: Path, tmp_path: Path
) -> None:
    path, counts = tmp_path / "s", list[int]()

    def copied(now: int, total: int) -> None:
        counts.append(now)
        if not now:
            for file in sorted(never_stopped.glob("runs-*"))[2 * 2 :]:
                shutil.copy(file, path)

    assert run(work, path, 1, progress=copied).total == N
    assert counts == [0, CHUNK, 2 * CHUNK]


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
    monkeypatch.setattr("cipark_sd.analysis.runs.work.program", lambda: "another")
    with pytest.raises(InvalidValue, match="the version of cipark or of its libraries differs"):
        run(work, never_stopped)


def test_what_would_not_fit_is_refused_before_anything_is_computed(work: Work, tmp_path: Path) -> None:
    large = replace(work, design=replace(work.design, n=2**30))  # type: ignore[type-var]
    with pytest.raises(InvalidValue, match=r"runs is 1073741824, expected one that fits: 285 bytes a run are 306 GB"):
        check_room(tmp_path / "s", large, (1, 1))
    with pytest.raises(InvalidValue, match="--at"):
        run(large, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_too_many_failed_runs_are_an_error_with_their_causes_and_what_is_done_stays(
    model_file: Path, tmp_path: Path
) -> None:
    lives = np.where(np.arange(N) % 10 == 0, -1.0, 5.0)
    work = Work(read_model(model_file), Listed(("life",), lives[:, None]), ("level",), engine="native")
    with pytest.raises(TooManyFailed, match=r"runs failed, which is more than the share of 0\.05") as problem:
        run(work, tmp_path / "s", 1)
    assert "level[b] is not a finite number, earliest at time 0.5" in str(problem.value)
    # as soon as it is certain: more than 15 of 300
    assert 15 < problem.value.failed < 30
    with pytest.raises(TooManyFailed):
        run(work, tmp_path / "s", 1)
    for done in (run(work, tmp_path / "s", allowed=0.1), run(work, tmp_path / "s", allowed=0.1)):
        assert (done.total, done.failed, done.share) == (N, 30, 0.1)
        assert done.lines() == ["30 runs: level[b] is not a finite number, earliest at time 0.5"]
    assert (together(tmp_path / "s")["run_failed"].to_numpy() == (lives < 0)).all()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def junk(file: Path) -> None:
    file.write_bytes(b"junk")


def other_runs(file: Path) -> None:
    shutil.copy(file.with_name("runs-0000002.nc"), file)


def changed(file: Path) -> None:
    content = load(file)
    content["level"][:] = 123
    content.to_netcdf(file, engine="h5netcdf")


def unsigned(file: Path) -> None:
    file.with_suffix(".sig").unlink()


def of_another_user(file: Path) -> None:
    file.with_suffix(".sig").write_bytes(hmac.digest(bytes(32), file.read_bytes(), "sha256"))


def signed_elsewhere(file: Path) -> None:
    for ending in (".nc", ".sig"):
        shutil.copy(file.with_name("runs-0000002.nc").with_suffix(ending), file.with_suffix(ending))


@pytest.mark.parametrize("damage", [cut, junk, other_runs, changed, unsigned, of_another_user, signed_elsewhere])
def test_what_this_user_has_not_signed_is_computed_anew_and_said(
    work: Work, never_stopped: Path, copied: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_sentences", set[str]())
    damage(copied / "runs-0000003.nc")
    with pytest.warns(CheckpointWarning, match="s: what is kept here is not signed by this user"):
        assert run(work, copied).total == N
    assert bits(copied) == bits(never_stopped)


def test_a_folder_in_the_place_of_a_file_is_named(work: Work, copied: Path) -> None:
    (copied / "runs-0000003.nc").unlink()
    (copied / "runs-0000003.nc").mkdir()
    with pytest.raises(NoStore, match=r"runs-0000003\.nc: it is a folder where a file of runs goes: remove it"):
        run(work, copied)


def a_link(file: Path) -> None:
    file.rename(file.parents[1] / "elsewhere")
    file.symlink_to("../elsewhere")


def a_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("damage", [a_link, a_device, a_pipe])
def test_a_link_is_not_followed_and_a_pipe_is_not_waited_for(
    work: Work, never_stopped: Path, copied: Path, damage: Callable[[Path], None]
) -> None:
    damage(copied / "runs-0000003.nc")
    run(work, copied)
    assert bits(copied) == bits(never_stopped)
    damage(copied / ABOUT)
    with pytest.raises(NoStore, match=r"ensemble\.json cannot be read: it is (a link|not a regular file)"):
        run(work, copied)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[1]", "is damaged"),
        (b'{"format": "cipark_sd ensemble 1", "identity": 3}', "is damaged"),
        (b'{"format": "cipark_sd ensemble 2", "identity": {}}', "its format is 'cipark_sd ensemble 2'"),
    ],
)
def test_what_says_nothing_of_its_runs_is_one_sentence(work: Work, copied: Path, content: bytes, message: str) -> None:
    (copied / ABOUT).write_bytes(content)
    with pytest.raises(NoStore, match=message):
        run(work, copied)


def test_a_folder_of_something_else_is_not_written_to_and_an_empty_one_is(work: Work, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(NoStore, match="it is no run store"):
        run(work, tmp_path)
    with pytest.raises(NoStore, match="it is no run store"):
        run(work, tmp_path / "letter.txt")
    (tmp_path / "empty").mkdir()
    assert run(work, tmp_path / "empty").total == N


def test_removing_a_store_leaves_the_files_of_others(copied: Path) -> None:
    (copied / "letter.txt").write_text("dear")
    (copied / "runs-of-mine.nc").write_text("mine")
    remove(copied)
    assert {file.name for file in copied.iterdir()} == {"letter.txt", "runs-of-mine.nc"}
    (copied / "runs-0000001.nc").write_text("of a folder that is no store")
    remove(copied)
    assert (copied / "runs-0000001.nc").exists()


def test_what_a_run_is_said_to_take_is_what_its_file_has(work: Work, never_stopped: Path) -> None:
    stored = together(never_stopped)
    arrays = [
        stored[name] for name in ("level", "rate", "draws", "run_failed", "run_failed_variable", "run_failed_time")
    ]
    assert work.bytes_per_run * N == sum(array.nbytes for array in arrays)


def test_the_size_of_a_chunk_depends_on_the_runs_alone() -> None:
    assert [chunk_size(n, 5000) for n in (10, 1000, 10**5, 10**9)] == [256, 256, 1568, 6720]


COMMAND = ["ensemble", "pool.mdl", "--runs", "60000", "--variables", "level,rate", "--vary", "life=2:9", "-o", "s"]
MAIN = "from cipark_sd.commands.cli import main; main()"
# bytecode would be cut off as well, and be read by the next process
LIMITED = (
    "import resource, sys; sys.dont_write_bytecode = True;"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY));"
)


def completed(folder: Path, code: str = MAIN) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-c", code, *COMMAND]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def stopped(folder: Path, how: signal.Signals) -> tuple[int, str]:
    """A command that is stopped when it has written two more chunks."""
    store = folder / "s"
    before = len(list(store.glob("*.nc")))
    call = [sys.executable, "-c", "import signal; signal.signal(2, signal.default_int_handler);" + MAIN, *COMMAND]
    with subprocess.Popen(call, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while len(list(store.glob("*.nc"))) < before + 2 and process.poll() is None:
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
    design = Drawn("sobol", 60_000, Factors((Factor("life", Uniform(2.0, 9.0)),)), 1)
    work = Work(read_model(tmp_path / "pool.mdl"), design, ("level", "rate"), seed=1, engine="native")
    store: RunStore = store_of(work, tmp_path / "s")
    assert store.n_complete() == 0
    code, errors = stopped(tmp_path, signal.SIGINT)
    if code == 0 and "Exception ignored" in errors:
        # Python drops an interrupt that comes in a callback of a weak reference
        shutil.rmtree(tmp_path / "s")
        code, errors = stopped(tmp_path, signal.SIGINT)
    assert code == 130, errors
    assert f"stopped: {store.n_complete():,} of 60,000 runs are in s; the same command resumes" in errors
    assert 0 < store.n_complete() < store.n_runs
    assert stopped(tmp_path, signal.SIGKILL)[0] == -signal.SIGKILL
    assert 0 < store.n_complete() < store.n_runs
    assert completed(tmp_path).returncode == 0
    assert store.n_complete() == store.n_runs
    files = [of(n).name for n in range(store.n_chunks) for of in (store.file, store.signature)]
    assert {file.name for file in store.path.iterdir()} == {ABOUT, *files}
    for number in (0, store.n_chunks - 1):
        first, last = store.bounds(number)
        assert load(store.file(number)).identical(work.result(first, work.compute(first, last)))
    assert json.loads((store.path / ABOUT).read_text())["command"].startswith("cipark ensemble pool.mdl")
