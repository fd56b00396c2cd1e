"""Each package that only some of the work needs, missing: one line that says which, and how it is installed."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
from places import ROOT

MODEL = """{UTF-8}
level = INTEG(-rate * level, 1) ~~| rate = 0.1 ~~|
INITIAL TIME = 0 ~~| FINAL TIME = 10 ~~| TIME STEP = 0.25 ~~| SAVEPER = 1 ~~|
"""
#: By extra: what is imported, and a command that needs it.
CASES = [
    ("loops", "simlin", ("sensitivity", "m.mdl", "--method", "sample", "--rows", "16", "--loops", "0", "-o", "out")),
    ("excel", "openpyxl", ("run", "m.mdl", "-o", "out.xlsx")),
    ("cluster", "distributed", ("ensemble", "m.mdl", "--dask", "tcp://127.0.0.1:1", "-o", "s")),
    ("cluster", "dask", ("ensemble", "m.mdl", "--dask", "tcp://127.0.0.1:1", "-o", "s")),
    ("assist", "mcp", ("assist", ".")),
]


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_the_extra_all_has_every_extra_of_users() -> None:
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == EXTRAS.keys() - {
        "all",
        "dev",
        "browser",
        "docs",
        "samplers",
    }


def test_every_extra_is_here_with_each_of_its_packages() -> None:
    names = {"pysimlin": "simlin"}
    needed = {
        (extra, names.get(package := re.split("[<>=]", entry)[0], package))
        for extra, entries in EXTRAS.items()
        # no command needs these; pysimlin has its case as loops
        if extra not in ("all", "dev", "browser", "docs", "samplers", "ema", "salib", "widget", "arviz", "vdf")
        for entry in entries
    }
    assert {case[:2] for case in CASES} == needed


#: All cases in one process, in which a package is as one that has not been imported when its turn comes.
EACH = """
import contextlib, io, json, pathlib, sys
from cipark_sd.commands.cli import main
answers = []
for module, arguments in json.loads(sys.argv[1]):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        del sys.modules[name]
    sys.modules[module] = None
    sys.argv[1:] = arguments
    code, said = None, io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    del sys.modules[module]
    left = [str(path) for path in pathlib.Path().rglob("*") if path.is_file()]
    said.seek(0)
    answers.append((code, said.read(), left))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Of each package's case the exit code, what was said, and the files that are there then."""
    folder = tmp_path_factory.mktemp("missing")
    (folder / "m.mdl").write_text(MODEL, encoding="utf-8")
    cases = [(module, arguments) for _, module, arguments in CASES]
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(cases)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip([module for module, _ in cases], json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("extra", "module"), [case[:2] for case in CASES])
def test_without_it_the_command_says_what_to_install_and_writes_nothing(
    extra: str, module: str, answers: dict[str, tuple[int, str, list[str]]]
) -> None:
    code, said, left = answers[module]
    assert code == 2, said
    packages = [re.split("[<>=]", entry)[0] for entry in EXTRAS[extra]]
    install = said.partition("pip install ")[2]
    assert all(f'"{package}' in install for package in packages), said
    assert "cipark-sd[" not in said, "the package is on no index"
    assert len(said.strip().splitlines()) == 1
    assert left == ["m.mdl"]
