"""A model that was read before is not parsed again, and is the same model."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cipark_sd import cache
from cipark_sd.frontends import via_pysd
from cipark_sd.frontends.via_pysd import read_model
from cipark_sd.model.model import Model
from cipark_sd.model.stored import from_text, to_text

ROOT = Path(__file__).parents[1]
MODEL_FILES = sorted(
    path
    for folder in (ROOT / "models", ROOT / "benchmarks" / "models", ROOT / "tests" / "corpus")
    for path in folder.rglob("*")
    if path.suffix in (".mdl", ".xmile", ".stmx", ".xml")
)
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own."""
    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", False)
    return tmp_path / "cache" / "models"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were parsed, one entry a time."""
    seen: list[Path] = []
    original = via_pysd._parse

    def parse(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
        seen.append(path)
        return original(path, raw, allowed)

    monkeypatch.setattr(via_pysd, "_parse", parse)
    return seen


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_model_comes_back_as_it_was(path: Path) -> None:
    model = via_pysd._parse(path, path.read_bytes())
    # repr() tells numbers exactly, and NaN from anything else
    assert repr(from_text(to_text(model)).__dict__ | {"origin": None}) == repr(_content(model) | {"origin": None})


def _content(model: Model) -> dict[str, object]:
    return {name: value for name, value in model.__dict__.items() if name not in ("by_name", "dimension_by_name")}


def test_the_second_reading_does_not_parse_and_gives_an_equal_model(write_mdl: Write, parsed: list[Path]) -> None:
    path = write_mdl("Stock = INTEG(-rate * Stock, 1) ~~| rate = 0.1 ~~|")
    first = read_model(path)
    second = read_model(path)
    assert len(parsed) == 1
    assert second == first
    assert second.origin == first.origin


def test_the_name_and_place_are_those_of_the_file_at_hand(write_mdl: Write, parsed: list[Path]) -> None:
    text = "rate = 0.1 ~~|"
    read_model(write_mdl(text, name="one.mdl"))
    path = write_mdl(text, name="two.mdl")
    second = read_model(path)
    assert second.name == "two"
    assert second.origin is not None
    assert second.origin.path == path.resolve()
    assert len(parsed) == 1


def test_a_changed_file_is_parsed(write_mdl: Write, parsed: list[Path]) -> None:
    read_model(write_mdl("rate = 0.1 ~~|"))
    changed = read_model(write_mdl("rate = 0.2 ~~|"))
    assert len(parsed) == 2
    assert "0.2" in repr(changed["rate"])


def test_a_changed_external_file_is_seen(write_mdl: Write, parsed: list[Path], tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("1\n2\n", encoding="utf-8")
    path = write_mdl("rate = GET DIRECT CONSTANTS('numbers.csv', ',', 'A2') ~~|")
    first = read_model(path)
    read_model(path)
    assert len(parsed) == 1
    (tmp_path / "numbers.csv").write_text("1\n3\n", encoding="utf-8")
    assert read_model(path).digest != first.digest
    assert len(parsed) == 2


def test_elements_that_stand_in_a_changed_file_are_read_anew(write_mdl: Write, tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("East\nWest\n", encoding="utf-8")
    path = write_mdl("Place: GET DIRECT SUBSCRIPT('places.csv', ',', 'A1', 'A', '') ~~| level[Place] = 1 ~~|")
    assert read_model(path).dimensions[0].element_labels == ("East", "West")
    (tmp_path / "places.csv").write_text("East\nNorth\n", encoding="utf-8")
    assert read_model(path).dimensions[0].element_labels == ("East", "North")


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "another type", "not text", "unknown class"])
def test_a_damaged_entry_is_ignored_and_written_anew(
    damage: str, write_mdl: Write, parsed: list[Path], folder: Path
) -> None:
    path = write_mdl("rate = 0.1 ~~|")
    first = read_model(path)
    (entry,) = folder.iterdir()
    good = entry.read_bytes()

    def signed(body: bytes) -> bytes:
        return cache._signature("models", entry.name, body) + body

    entry.write_bytes(
        {
            "cut": good[:-5],
            "altered": good[:-1] + b"?",
            "empty": b"",
            "another type": signed(b"[0,1,2]"),
            "not text": signed(b"\xff\xfe"),
            "unknown class": signed(b"[99,1]"),
        }[damage]
    )
    unsigned = damage in ("cut", "altered", "empty")
    with pytest.warns(cache.CacheWarning, match="signature or is damaged") if unsigned else contextlib.nullcontext():
        assert read_model(path) == first
    assert len(parsed) == 2
    assert entry.read_bytes() == good


def test_a_folder_that_cannot_be_used_costs_time_only(
    write_mdl: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("CIPARK_CACHE", str(tmp_path / "file"))
    assert read_model(write_mdl("rate = 0.1 ~~|")) == read_model(tmp_path / "model.mdl")


def test_the_least_recently_used_entries_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setitem(cache.LIMITS, "models", 3 * (100 + 32))
    for age, key in enumerate(("a", "b", "c")):
        cache.keep("models", key, bytes(100))
        os.utime(folder / key, (1000 + age, 1000 + age))
    assert cache.kept("models", "a") == bytes(100)
    cache.keep("models", "d", bytes(100))
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c", "d"]


def test_a_second_process_does_not_import_the_parser(write_mdl: Write) -> None:
    path = write_mdl("rate = 0.1 ~~|")
    read_model(path)
    text = (
        "import sys; from cipark_sd.frontends.via_pysd import read_model;"
        f"read_model({str(path)!r}); print('pysd' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
