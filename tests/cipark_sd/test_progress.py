"""Long work from Python is seen: on a terminal, in the cell of a notebook and in a log; or not, where that is asked."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cipark_sd as cp
from cipark_sd.base import console

#: A fit of some tenths of a second.
FIT = "_ = cp.calibrate('nist_rat42', starts=4, profiles=False{})"


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the stream a terminal that the test captures."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)


def fitted(**options: Any) -> object:
    return cp.calibrate("nist_rat42", starts=4, profiles=False, **options)


def test_a_fit_shows_its_searches_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    fitted()
    assert "searches" in capsys.readouterr().err
    fitted(progress=False)
    assert capsys.readouterr().err == ""
    fitted()
    assert "searches" in capsys.readouterr().err


@pytest.mark.parametrize("soon", [0.0, 3.0])
def test_runs_show_a_bar_once_they_take_seconds(
    soon: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    monkeypatch.setattr(console, "SOON", soon)
    draws, ranges = {"Start Time": [1.0, 2.0]}, {"Start Time": (1, 2)}
    cp.ensemble("core", draws, save=["Residents"])
    assert ("runs" in capsys.readouterr().err) == (soon == 0)
    cp.sensitivity("core", ranges, "Residents", n=16)
    assert ("runs" in capsys.readouterr().err) == (soon == 0)
    cp.ensemble("core", draws, save=["Residents"], progress=False)
    cp.sensitivity("core", ranges, "Residents", n=16, progress=False)
    assert capsys.readouterr().err == ""
    seen: list[tuple[int, int]] = []
    cp.ensemble("core", draws, save=["Residents"], progress=lambda *steps: seen.append(steps))
    assert seen[-1] == (2, 2)


def test_what_is_called_within_shares_the_one_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    monkeypatch.setattr(console, "SOON", 0.0)
    with console.progress_bars() as bars:
        with console.progress_bars() as inner:
            assert inner is bars
        cp.ensemble("core", {"Start Time": [1.0, 2.0]}, save=["Residents"])
        assert capsys.readouterr().err == ""
    with console.progress_bars() as later:
        assert later is not bars


def test_the_log_has_what_the_console_says(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="cipark_sd")
    console.echo("warning: row 3 \x1b[31m is left out", err=True)
    console.echo("a result")
    fitted(progress=False)
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records[0] == ("WARNING", "warning: row 3 \\u001b[31m is left out")
    assert ("INFO", "searches: 0 of 4, 0 min") in records
    assert all("a result" not in text for _, text in records)
    # and without a handler Python writes nothing by itself
    assert capsys.readouterr().err == "warning: row 3 \\u001b[31m is left out\n"


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Runs a cell of a notebook; what it shows and updates."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    kernel, client = manager.start_new_kernel(cwd=str(tmp_path_factory.mktemp("kernel")))

    def run(code: str) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("display_data", "update_display_data", "stream", "error"):
                shown.append(message["content"])

        client.execute_interactive(code, output_hook=hear, timeout=120)
        return shown

    yield run
    client.stop_channels()
    kernel.shutdown_kernel(now=True)


@pytest.mark.slow
def test_a_cell_shows_a_bar_that_goes_with_the_work(cell: Callable[[str], list[dict[str, Any]]]) -> None:
    cell("import cipark_sd as cp")
    shown = [content["data"] for content in cell(FIT.format(""))]
    pages = [data["text/html"] for data in shown if "text/html" in data]
    assert any("<progress max='4'" in page and "searches" in page for page in pages)
    assert shown[-1] == {"text/plain": ""}
    assert cell(FIT.format(", progress=False")) == []


def test_a_worker_shows_nothing() -> None:
    """Two processes that draw on one terminal tear each other's lines."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_silent_within)


def _silent_within() -> bool:
    with console.progress_bars() as bars:
        return bars._silent
