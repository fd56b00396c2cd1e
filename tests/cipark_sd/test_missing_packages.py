"""Each package that only some of the work needs, missing: one line that says which, and how it is installed."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from places import FISHERY, ROOT

Write = Callable[..., Path]
#: By extra: what is imported, and a command that needs it.
CASES = [
    ("loops", "simlin", ("sensitivity", "m.mdl", "--method", "sample", "--rows", "16", "--loops", "0", "-o", "out")),
    ("ema", "ema_workbench", ("policy", str(FISHERY), "--part", "robustness", "-o", "out")),
    ("design", "pymoo", ("policy", str(FISHERY), "--part", "design", "-o", "out")),
    ("wasm", "wasmtime", ("run", "m.mdl", "--engine", "wasm")),
    ("excel", "openpyxl", ("run", "m.mdl", "-o", "out.xlsx")),
    ("cluster", "distributed", ("ensemble", "m.mdl", "--dask", "tcp://127.0.0.1:1", "-o", "s")),
    ("cluster", "dask", ("ensemble", "m.mdl", "--dask", "tcp://127.0.0.1:1", "-o", "s")),
    ("assist", "mcp", ("assist", ".")),
]


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_the_extra_all_has_every_extra_of_users() -> None:
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == EXTRAS.keys() - {"all", "dev", "browser", "docs"}


def test_every_extra_is_here_with_each_of_its_packages() -> None:
    names = {"pysimlin": "simlin", "ema-workbench": "ema_workbench"}
    needed = {
        (extra, names.get(package := re.split("[<>=]", entry)[0], package))
        for extra, entries in EXTRAS.items()
        # no command needs these
        if extra not in ("all", "dev", "browser", "docs", "salib", "widget")
        for entry in entries
    }
    assert {case[:2] for case in CASES} == needed


@pytest.mark.parametrize(("extra", "module", "arguments"), CASES)
def test_without_it_the_command_says_what_to_install_and_writes_nothing(
    extra: str, module: str, arguments: tuple[str, ...], write_mdl: Write
) -> None:
    path = write_mdl("level = INTEG(-rate * level, 1) ~~| rate = 0.1 ~~|", name="m.mdl")
    # a process of its own, in which nothing has been imported yet
    code = f"import sys; sys.modules[{module!r}] = None; from cipark_sd.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=path.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    packages = [re.split("[<>=]", entry)[0] for entry in EXTRAS[extra]]
    install = done.stderr.partition("pip install ")[2]
    assert all(f'"{package}' in install for package in packages), done.stderr
    assert "cipark-sd[" not in done.stderr, "the package is on no index"
    assert len(done.stderr.strip().splitlines()) == 1
    assert not [left for left in path.parent.rglob("*") if left.is_file() and left != path]
