"""The cache takes nothing from anybody else: whose entries, folder and key they are, and under which key."""

import os
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from counted import exponent, steps

from cipark_sd.base import signatures
from cipark_sd.engines.native import engine as native
from cipark_sd.engines.native import object_code as cache
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are those of POSIX systems")
Write = Callable[..., Path]
KEY = "0" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache and a key of one's own, under a mask that would let the group write."""
    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(cache, "_warned", False)
    before = os.umask(0o002)
    yield tmp_path / "cache"
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_files_are_the_users_alone(folder: Path) -> None:
    cache.keep(KEY, b"content")
    assert cache.cached(KEY) == b"content"
    assert [mode(folder), mode(folder / "kernels")] == [0o700, 0o700]
    assert [mode(folder / "kernels" / KEY), mode(signatures.key_file())] == [0o600, 0o600]
    assert len(signatures.key_file().read_bytes()) == 32
    assert list(signatures.key_file().parent.iterdir()) == [signatures.key_file()]


def test_the_key_does_not_lie_in_the_cache(folder: Path) -> None:
    cache.keep(KEY, b"content")
    assert not signatures.key_file().is_relative_to(folder)


def _other_content(folder: Path) -> None:
    entry = folder / "kernels" / KEY
    entry.write_bytes(entry.read_bytes()[:-1] + b"!")


def _other_key(folder: Path) -> None:
    cache.keep("1" * 64, b"evil")
    os.replace(folder / "kernels" / ("1" * 64), folder / "kernels" / KEY)


def _other_users_key(folder: Path) -> None:
    signatures.key_file().write_bytes(bytes(32))
    signatures._user_key.cache_clear()


def _link(folder: Path) -> None:
    entry = folder / "kernels" / KEY
    entry.rename(folder / "elsewhere")
    entry.symlink_to(folder / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "kernels" / KEY).unlink()
    os.mkfifo(folder / "kernels" / KEY)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (_other_content, "does not bear this user's signature or is damaged"),
    "under another key": (_other_key, "does not bear this user's signature or is damaged"),
    "of another user": (_other_users_key, "does not bear this user's signature or is damaged"),
    "a link": (_link, "is a link"),
    "a pipe": (_pipe, "is not a regular file"),
    "writable entry": (lambda folder: (folder / "kernels" / KEY).chmod(0o620), r"written by other users \(mode 0620\)"),
    "writable kind": (lambda folder: (folder / "kernels").chmod(0o777), r"written by other users \(mode 0777\)"),
    "writable folder": (lambda folder: folder.chmod(0o770), r"written by other users \(mode 0770\)"),
    "readable key": (
        lambda folder: (signatures.key_file().chmod(0o644), signatures._user_key.cache_clear()),
        r"read or written by other users \(mode 0644\)",
    ),
    "short key": (
        lambda folder: (signatures.key_file().write_bytes(b"short"), signatures._user_key.cache_clear()),
        "the key .* is damaged",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_this_users_is_never_loaded_and_said_once(fault: str, folder: Path) -> None:
    cache.keep(KEY, b"content")
    spoil, message = FAULTS[fault]
    spoil(folder)
    with pytest.warns(cache.CacheWarning, match=message):
        assert cache.cached(KEY) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.cached(KEY) is None


@pytest.mark.parametrize("what", ["folder", "entry", "key"])
def test_what_belongs_to_another_user_is_not_used(what: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.keep(KEY, b"content")
    path = {"folder": folder, "entry": folder / "kernels" / KEY, "key": signatures.key_file()}[what]
    signatures._user_key.cache_clear()
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.warns(cache.CacheWarning, match="belongs to another user"):
        assert cache.cached(KEY) is None


def test_nothing_is_written_to_a_folder_of_others(folder: Path) -> None:
    (folder / "kernels").mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.warns(cache.CacheWarning, match="written by other users"):
        cache.keep(KEY, b"content")
    assert list((folder / "kernels").iterdir()) == []


def test_a_run_goes_on_without_a_foreign_kernel_and_puts_its_own_there(
    write_mdl: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(write_mdl("Stock = INTEG(-rate * Stock, 1) ~~| rate = 0.1 ~~|"))
    first = simulate(model)
    (kernel,) = (folder / "kernels").iterdir()
    good = kernel.read_bytes()
    kernel.write_bytes(good[:-8] + bytes(8))
    monkeypatch.setattr(native, "_LOADED", {})
    with pytest.warns(cache.CacheWarning, match="signature"):
        assert simulate(model).identical(first)
    assert kernel.read_bytes() == good
    monkeypatch.setattr(native, "_LOADED", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert simulate(model).identical(first)


def test_without_a_place_for_the_key_only_time_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    cache.keep(KEY, b"content")
    assert cache.cached(KEY) is None


def test_the_least_recently_used_entries_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIMIT", 3 * (100 + 32))
    for age, key in enumerate(("a", "b", "c")):
        cache.keep(key, bytes(100))
        os.utime(folder / "kernels" / key, (1000 + age, 1000 + age))
    assert cache.cached("a") == bytes(100)
    cache.keep("d", bytes(100))
    assert sorted(path.name for path in (folder / "kernels").iterdir()) == ["a", "c", "d"]


def test_writing_an_entry_grows_with_those_that_are_there_and_reading_one_does_not(folder: Path) -> None:
    """A write looks at the size of each entry once, to know whether there are too many."""
    cache.keep(KEY, b"content")
    assert cache.cached(KEY) == b"content"

    def beside(n: int) -> None:
        (folder / "kernels").mkdir(mode=0o700, exist_ok=True)
        for i in range(n):
            (folder / "kernels" / f"{i:064x}").touch()
        cache.keep(KEY, b"content")

    def write(n: int) -> float:
        beside(n)
        return steps(lambda: cache.keep(KEY, b"content"))

    def read(n: int) -> float:
        beside(n)
        return steps(lambda: cache.cached(KEY))

    assert read(10) == read(160)
    shutil.rmtree(folder / "kernels")
    assert exponent(write, 80, 640) < 1.05
