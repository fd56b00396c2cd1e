"""Fuzz the readers of files and folders for a bounded time: what is no error of ours is kept.

They are those of the hostile corpus (.mdl, XMILE, TOML, CSV, units, checks), and a study, its rows, a catalogue of
policies, a table for ``new-study``, names of loops, ``report.json``, findings with their page, NetCDF of draws and of
results, runs of Vensim's (``.vdf``), and calls of ``cipark assist``.

With atheris installed (``pip install atheris``; it is no dependency) libFuzzer looks for inputs that reach new lines of
this package. Without it inputs are mutated blindly. The seeds are the cases of tests/shared/hostile_corpus.py. Of each
place in the code that raises, the first input is written to the folder of findings, with the traceback beside it; it
becomes a case of the corpus once it is mended.

    python tools/fuzz_readers.py --seconds 600 --findings findings
"""

import copy
import hashlib
import importlib.util
import io
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "shared"))
#: Bytes of a text and of any input, seconds and MiB that one may take.
LONGEST, LARGEST, SLOW, MEMORY = 4096, 2**18, 10, 2048
#: What a blind mutation puts in.
TOKENS = (b"(", b")", b"\n", b"~", b"|", b"[", b"]", b"\0", b"1e999", b'"', b"<", b"&")
ROWS = "time,left\n1,22\n2,37\n3,50\n"
LOOPS = '[[loop]]\nname = "wear"\nthrough = ["level"]\navoiding = ["rate"]\npolarity = "B"\n'
#: Findings that are read, beside those that are tried.
GOOD_FINDINGS = "good.zip"
#: Values for any place of a JSON text.
PIECES = (
    *(
        None,
        True,
        0,
        -1,
        0.5,
        1e308,
        10**400,
        float("nan"),
        "",
        "a",
        "/etc/passwd",
        "../x",
        "a=b=/etc",
        "a\0b",
        "\ud800",
    ),
    *(
        "--output=/x",
        "~/x",
        "1 + 1",
        "<b>",
        "x" * 5000,
        [],
        ["a"],
        [["/etc/passwd"]],
        {"a": 1},
        {"array": 0},
        {"array": -1},
    ),
)
SHEET = "# note\ndate;level;total\n2020-01-01;1,5;20\n2020-02-01;1,4;19\n2020-03-01;1,3;18\n"


def _study(content: bytes, folder: Path, _: Any) -> None:
    from calibration.study.problem import read_problem

    (folder / "problem.toml").write_bytes(content)
    (folder / "left.csv").write_text(ROWS, encoding="utf-8")
    read_problem(folder)


def _rows(content: bytes, folder: Path, _: Any) -> None:
    from small_study import STUDY

    from calibration.study.problem import read_problem

    (folder / "problem.toml").write_text(STUDY, encoding="utf-8")
    (folder / "left.csv").write_bytes(content)
    read_problem(folder)


def _policies(content: bytes, folder: Path, _: Any) -> None:
    from cipark_sd.analysis.experiments.catalogue import read_catalogue
    from cipark_sd.language.read.model_file import read_model

    (folder / "policies.toml").write_bytes(content)
    read_catalogue(folder / "policies.toml", read_model(folder / "leaving.mdl"))


def _loops(content: bytes, folder: Path, model: Any) -> None:
    from cipark_sd.analysis.sensitivities.loops import read_loops

    (folder / "m.loops.toml").write_bytes(content)
    read_loops(folder / "m.loops.toml", model)


def _sheet(content: bytes, folder: Path, _: Any) -> None:
    from calibration.new_study.columns import read_axis
    from calibration.new_study.table import read_sheet

    (folder / "sheet.csv").write_bytes(content)
    read_axis(read_sheet(folder / "sheet.csv"), None, None)


def _page(content: bytes, folder: Path, _: Any) -> None:
    from cipark_sd.pages.page import read_page, render

    (folder / "report.json").write_bytes(content)
    render([(read_page(folder), folder)])


def _zip(content: bytes, folder: Path, _: Any) -> None:
    """Findings as they come; where they are read, their page is written once more."""
    from undrawn import undraw

    from calibration.report.findings import FILE
    from calibration.report.output import write_again

    undraw()
    (folder / FILE).write_bytes(content)
    write_again(folder, False)


def _findings(content: bytes, folder: Path, model: Any) -> None:
    """The text of an archive of findings whose arrays are good."""
    made = io.BytesIO()
    with zipfile.ZipFile(folder / GOOD_FINDINGS) as good, zipfile.ZipFile(made, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, content if name == "content.json" else good.read(name))
    _zip(made.getvalue(), folder, model)


def _draws(content: bytes, folder: Path, _: Any) -> None:
    from cipark_sd.commands.sensitivity.target import read_draws

    (folder / "draws.nc").write_bytes(content)
    read_draws(folder / "draws.nc")


def _result(content: bytes, folder: Path, _: Any) -> None:
    from cipark_sd.data.results import load

    (folder / "run.nc").write_bytes(content)
    load(folder / "run.nc")


def _vdf(content: bytes, folder: Path, _: Any) -> None:
    from cipark_sd.language.read.model_file import read_vdf

    (folder / "run.vdf").write_bytes(content)
    read_vdf(folder / "run.vdf", role="the run", where="fuzz")


def _book(content: bytes, folder: Path, _: Any) -> None:
    """A workbook as a table, and as what a model reads; anything but an archive is the text of its sheet."""
    from cipark_sd.base.errors import CiparkError
    from cipark_sd.base.spreadsheets import table_bytes
    from cipark_sd.language.read.external_files import read_externals
    from cipark_sd.language.read.model_file import read_model

    (folder / "book.xlsx").write_bytes(content if content.startswith(b"PK") else _book_of(content))
    with suppress(CiparkError):
        table_bytes(folder / "book.xlsx")
    read_externals(read_model(folder / "book.mdl"))


def _assist(content: bytes, folder: Path, _: Any) -> None:
    """A call, of which no word may lead out of the folder."""
    from cipark_sd.commands.assist import command_line

    try:
        name, values = json.loads(content)
        known = isinstance(name, str) and isinstance(values, dict)
    except (ValueError, TypeError, RecursionError):
        return
    if known:
        for word in command_line(folder, name, values):
            parts = word.split("=")
            for path in ("=".join(parts[k:]) for k in range(len(parts))):
                # by another route than the check: what the system makes of it
                if not Path(os.path.realpath(folder / path)).is_relative_to(folder):
                    raise AssertionError(f"{word!r} leads out of the folder")


#: Readers beside those of the corpus.
MORE: dict[str, Callable[[bytes, Path, Any], None]] = {
    "zip": _zip,
    "findings": _findings,
    "draws": _draws,
    "result": _result,
    "vdf": _vdf,
    "book": _book,
    "assist": _assist,
    "study": _study,
    "rows": _rows,
    "policies": _policies,
    "loops": _loops,
    "sheet": _sheet,
    "page": _page,
}


def _good(folder: Path) -> list[tuple[str, bytes]]:
    """Good inputs of these, beside which the folder has what they need."""
    from small_study import MODEL, POLICIES, STUDY, rival

    from cipark_sd.pages.blocks import FirstScreen, Folded, Listing, Page, Paragraph, Section, Table
    from cipark_sd.pages.page import write_page

    (folder / "leaving.mdl").write_text(MODEL, encoding="utf-8")
    texts = (Paragraph("p", True), Listing(("a",)), Table(("a", "b"), (("1", "2"),), "c"))
    blocks = (FirstScreen("s", "t", "1", "n", "a", "l"), *texts, Folded("f", texts))
    write_page(Page("t", "i", (Section("s", blocks),)), folder)
    studies = sorted(ROOT.glob("calibration/studies/*/*.toml"))
    return [
        *_good_of_a_fit(folder),
        *_good_calls(),
        *_good_books(folder),
        *(("vdf", path.read_bytes()) for path in _recorded_runs() if path.stat().st_size < LARGEST),
        ("study", (STUDY + rival("M1", "pace = 2")).encode()),
        ("policies", POLICIES.encode()),
        ("rows", ROWS.encode()),
        ("loops", LOOPS.encode()),
        ("sheet", SHEET.encode()),
        ("page", (folder / "report.json").read_bytes()),
        *(("study" if path.stem == "problem" else "policies", _shortened(path.read_bytes())) for path in studies),
    ]


def _good_of_a_fit(folder: Path) -> list[tuple[str, bytes]]:
    """What a fit leaves, a run, and draws with all that a group can have."""
    import numpy as np
    import xarray as xr
    from command_line import cipark
    from undrawn import undraw

    from calibration.report.findings import FILE
    from cipark_sd import bundled, save, simulate
    from cipark_sd.data.results import write_netcdf

    undraw()
    out = folder / "fit"
    cipark("calibrate", "flu_1978", "--fast", "--no-profiles", "-o", out)
    shutil.copy(out / FILE, folder / GOOD_FINDINGS)
    save(simulate(bundled("core.mdl"), save=["Residents"]), folder / "core.nc")
    group = xr.Dataset(
        {"a": (("chain", "draw"), np.ones((2, 30))), "b": (("chain", "draw", "c"), np.ones((2, 30, 2)))},
        {"c": ["x", "y"]},
    )
    tree = xr.DataTree.from_dict({"/posterior": group})
    write_netcdf(tree, folder / "ours.nc")
    group.to_netcdf(
        folder / "theirs.nc",
        engine="h5netcdf",
        group="posterior",
        encoding={"a": {"zlib": True}},
        unlimited_dims=["draw"],
    )
    with zipfile.ZipFile(out / FILE) as archive:
        text = archive.read("content.json")
    return [
        ("zip", (out / FILE).read_bytes()),
        ("findings", text),
        ("page", (out / "report.json").read_bytes()),
        *(("draws", (folder / name).read_bytes()) for name in ("ours.nc", "theirs.nc")),
        *(("result", (folder / name).read_bytes()) for name in ("core.nc", "theirs.nc")),
    ]


def _good_calls() -> list[tuple[str, bytes]]:
    """A call of each tool with all of its arguments, each of its type."""
    from cipark_sd.commands.assist import TOOLS, _schema_of

    def value(kind: dict[str, Any]) -> Any:
        good = {"string": "a", "boolean": True, "integer": 1, "number": 0.5}
        return [value(kind["items"])] if kind["type"] == "array" else kind.get("enum", [good[kind["type"]]])[0]

    calls = [[name, {key: value(kind) for key, kind in _schema_of(name)["properties"].items()}] for name in TOOLS]
    return [("assist", json.dumps(call).encode()) for call in calls]


def _good_books(folder: Path) -> list[tuple[str, bytes]]:
    """A workbook, and the text of its sheet."""
    from small_study import MODEL

    constant = "rate = GET DIRECT CONSTANTS('book.xlsx', 'Sheet', 'B2') ~~|\n"
    model = MODEL.replace("rate = 0.2 ~ 1/year ~ |", constant)
    (folder / "book.mdl").write_text(model, encoding="utf-8")
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>0.{n}</v></c></row>' for n in range(1, 5))
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'.encode()
    return [("book", _book_of(sheet)), ("book", sheet)]


def _book_of(sheet: bytes) -> bytes:
    """A workbook of one sheet, whose text this is."""
    import openpyxl

    made, written = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(made)
    with zipfile.ZipFile(made) as archive, zipfile.ZipFile(written, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, sheet if name.startswith("xl/worksheets/") else archive.read(name))
    return written.getvalue()


def _recorded_runs() -> list[Path]:
    """Runs of Vensim's that come with the examples of ema_workbench, where it is installed."""
    spec = importlib.util.find_spec("ema_workbench")
    return [path for folder in (spec and spec.submodule_search_locations) or () for path in Path(folder).rglob("*.vdf")]


def _shortened(content: bytes) -> bytes:
    """The first tables of a TOML file, on the model that is there."""
    content = re.sub(rb'(?m)^(file|study|bundled) = "[^"\n]*"', b'file = "leaving.mdl"', content)
    return content if len(content) < LONGEST else content[: content.rindex(b"\n[[", 0, LONGEST)]


class Fuzzer:
    """Readers, and what they did that they should not."""

    def __init__(self, findings: Path, only: Collection[str] = ()) -> None:
        from hostile_corpus import _READERS, good_model

        self.findings = findings
        self.readers = tuple(name for name in (*sorted(_READERS), *MORE) if not only or name in only)
        self.folder = Path(tempfile.mkdtemp(prefix="cipark-fuzz-")).resolve()
        self.model = good_model(self.folder)
        self.good = _good(self.folder)
        self.count = 0
        self.places: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Give an input, whose first byte chooses the reader, to that reader."""
        from hostile_corpus import Case, said

        from cipark_sd.base.errors import CiparkError

        if not data:
            return
        self.count += 1
        case = Case("fuzz", self.readers[data[0] % len(self.readers)], data[1:])
        start = time.process_time()
        try:
            if case.reader in MORE:
                with suppress(CiparkError):
                    MORE[case.reader](case.content, self.folder, self.model)
            else:
                said(case, self.folder, self.model)
        except UnicodeDecodeError:
            # expressions and units are texts: their caller has decoded them
            if case.reader not in ("expression", "units"):
                self.keep(case.reader, data, traceback.format_exc())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # a panic of Rust is no Exception
            self.keep(case.reader, data, traceback.format_exc())
        if time.process_time() - start > SLOW:
            self.keep(case.reader, data, f"slower than {SLOW} s")

    def keep(self, reader: str, data: bytes, text: str) -> None:
        """Write the first input of each place."""
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith("File ")]
        place = f"{reader} {lines[-1] if lines else text} {text.splitlines()[-1][:60]}"
        if place in self.places:
            return
        self.places.add(place)
        self.findings.mkdir(parents=True, exist_ok=True)
        name = f"{reader}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        (self.findings / name).write_bytes(data[1:])
        (self.findings / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
        click.echo(f"found: {place}", err=True)

    def seeds(self) -> list[bytes]:
        """Good inputs, and the cases of the corpus that are short."""
        from hostile_corpus import GOOD, Case, cases

        good = [Case("good", reader, text.encode()) for reader, text in GOOD.items()]
        good += [Case("good", reader, content) for reader, content in self.good]
        return [
            bytes([self.readers.index(case.reader)]) + case.content
            for case in (*good, *cases())
            if case.reader in self.readers and len(case.content) < (LARGEST if case.reader in MORE else 2 * LONGEST)
        ]


def blindly(fuzzer: Fuzzer, seconds: float, seed: int) -> None:
    """Mutate seeds at random: bytes, runs of bytes, pieces of other seeds."""
    rng = random.Random(seed)
    seeds = fuzzer.seeds()
    end = time.monotonic() + seconds
    by_reader = {first: [data for data in seeds if data[0] == first] for first in {data[0] for data in seeds}}
    while time.monotonic() < end:
        # each reader as often, however many seeds it has
        data = bytearray(rng.choice(by_reader[rng.choice(sorted(by_reader))]))
        if data[1:2] in (b"{", b"[") and rng.random() < 0.7 and (changed := _in_json(data[1:], rng)):
            fuzzer(data[:1] + changed)
            continue
        for _ in range(rng.randint(1, 6)):
            at = rng.randint(1, max(1, len(data)))
            match rng.randint(0, 4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[at : at + rng.randint(1, 30)]
                case 2:
                    data[at:at] = data[at : at + rng.randint(1, 60)]
                case 3:
                    donor = rng.choice(seeds)
                    start = rng.randrange(len(donor))
                    data[at:at] = donor[start : start + rng.randint(1, 60)]
                case _:
                    data[at:at] = rng.choice(TOKENS)
        fuzzer(bytes(data[:LARGEST]))


def _in_json(text: bytes | bytearray, rng: random.Random) -> bytes | None:
    """A JSON text with a few values that are others; None where the text is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.randint(1, 4)):
        place = content
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.1:
                place[key] = copy.deepcopy(rng.choice(PIECES))
                break
            place = place[key]
    return json.dumps(content).encode()


def guided(findings: Path, corpus: Path, seconds: float, seed: int, only: Collection[str]) -> None:
    """Let libFuzzer look for new lines, and keep the inputs that reach some in the corpus."""
    import atheris

    # what is imported here is instrumented, and nothing else; much of it is imported when it is first needed
    with atheris.instrument_imports(include=["cipark_sd", "calibration"], enable_loader_override=False):
        fuzzer = Fuzzer(findings, only)
        seeds = fuzzer.seeds()
        for data in {data[0]: data for data in reversed(seeds)}.values():
            fuzzer(data)
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds:
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    flags = [f"-max_total_time={seconds:.0f}", f"-max_len={LARGEST}", f"-seed={seed}", f"-rss_limit_mb={MEMORY}"]
    atheris.Setup(
        [sys.argv[0], *flags, f"-timeout={SLOW * 6}", "-verbosity=0", "-print_final_stats=1", str(corpus)], fuzzer
    )
    # it ends the process
    atheris.Fuzz()


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--findings", default="findings", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    help="Folder of inputs that reach new lines; with atheris alone. It grows, and the next call goes on from it.",
)
@click.option("--only", multiple=True, help="One of the readers; repeatable. All of them without it.")
@click.option("--blind", is_flag=True, help="Without atheris, even where it is installed.")
def main(seconds: float, seed: int, findings: Path, corpus: Path | None, only: tuple[str, ...], blind: bool) -> None:
    warnings.simplefilter("ignore")

    findings = findings.resolve()
    if not blind and importlib.util.find_spec("atheris"):
        guided(findings, (corpus or findings / "corpus").resolve(), seconds, seed, only)
    fuzzer = Fuzzer(findings, only)
    blindly(fuzzer, seconds, seed)
    click.echo(f"{fuzzer.count:,} inputs, {len(fuzzer.places)} findings")
    sys.exit(bool(fuzzer.places))


if __name__ == "__main__":
    main()
