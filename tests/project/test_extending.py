"""The recipes of docs/how-to/extending.md work: their code, put where they say, does what they promise."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner, Result
from places import ROOT
from small_study import small_study

from calibration.commands import pipeline
from calibration.commands.settings import Settings
from calibration.report.collect import fit_findings
from calibration.report.findings import Findings
from calibration.report.sections import registry as sections
from calibration.report.sections.base import ReportPart
from cipark_sd.compiler.functions import arithmetic
from cipark_sd.compiler.functions import registry as functions
from cipark_sd.engines import registry
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.pages.output import page_of
from cipark_sd.pages.parts import Pictures
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.structure import check_units

PAGE = (ROOT / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")


def blocks(title: str) -> list[str]:
    """The Python code of a section."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


def faults_of_types(folder: Path, *codes: str) -> str:
    """What mypy says of whole modules."""
    files = [folder / f"recipe_{n}.py" for n in range(len(codes))]
    for file, code in zip(files, codes, strict=True):
        file.write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout


def test_the_types_of_the_recipes_are_right(tmp_path: Path) -> None:
    """Of those that are whole modules; a row alone is none."""
    modules = [code for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "import" in code]
    assert len(modules) == 4
    assert faults_of_types(tmp_path, *modules) == ""
    assert "arg-type" in faults_of_types(tmp_path, modules[2].replace("str(row.label)", "row.label"))


@contextmanager
def added(module: ModuleType, table: str, code: str) -> Iterator[None]:
    """The code at the end of a module; its rows of the table are taken out again."""
    rows = getattr(module, table)
    before = dict(rows)
    exec(compile(code, "extending.md", "exec"), module.__dict__)  # noqa: S102  (our own document)
    try:
        yield
    finally:
        for name in set(rows) - set(before):
            del rows[name]


@pytest.fixture
def recipe_of_a_function() -> Iterator[None]:
    """The row is in the table, and is taken out again."""
    (code,) = blocks("A function of Vensim or XMILE")
    names = dict(vars(arithmetic))
    exec(compile(code, "extending.md", "exec"), names)  # noqa: S102  (our own document)
    tables = functions.FUNCTIONS, functions.IN_VENSIM, functions.IN_XMILE
    before = [dict(table) for table in tables]
    functions.add(names["ROWS"][-1])
    try:
        yield
    finally:
        for table, rows in zip(tables, before, strict=True):
            table.clear()
            table.update(rows)  # type: ignore[arg-type]


@pytest.mark.usefixtures("recipe_of_a_function")
def test_the_function_of_the_recipe_runs_is_checked_and_exported(write_mdl, tmp_path) -> None:
    model = read_model(write_mdl("share = LOGISTIC(effort) ~ Dmnl ~ | effort = 0.5 ~ Dmnl ~ |", final=1))
    expected = 1 / (1 + np.exp(-0.5))
    assert simulate(model, engine="native").share.to_numpy() == pytest.approx(expected, rel=1e-15)
    assert simulate(model, engine="numpy").share.equals(simulate(model, engine="native").share)
    assert check_units(model) == ()
    write_xmile(model, tmp_path / "again.xmile")
    again = read_model(tmp_path / "again.xmile")
    assert simulate(again, engine="native").share.to_numpy() == pytest.approx(expected, rel=1e-15)


@pytest.mark.usefixtures("recipe_of_a_function")
def test_the_rule_of_the_recipe_finds_a_unit_that_is_wrong(write_mdl) -> None:
    model = read_model(write_mdl("share = LOGISTIC(effort) ~ Dmnl ~ | effort = 0.5 ~ people ~ |", final=1))
    assert [finding.variable for finding in check_units(model)] == ["share"]


def test_the_engine_of_the_recipe_gives_the_bits_of_the_others(write_mdl) -> None:
    code, row = blocks("An engine")
    module = ModuleType("cipark_sd.engines.single")
    exec(compile(code, "extending.md", "exec"), module.__dict__)  # noqa: S102  (our own document)
    sys.modules[module.__name__] = module
    try:
        with added(registry, "ENGINES", row):
            assert "single" in registry.names(compiled=True)
            model = read_model(
                write_mdl("s = INTEG(-r * s, 9) ~ ~ | r = 0.1 ~ ~ | n = RANDOM NORMAL(0, 1, 0, 1, 7) ~ ~ |")
            )
            runs = {"r": np.array([0.1, 0.2, 0.5])}
            alone, together = (ensemble(model, runs, save=["s", "n"], engine=name) for name in ("single", "native"))
            assert alone.s.equals(together.s)
            assert alone.n.equals(together.n)
    finally:
        del sys.modules[module.__name__]
        registry.choose.cache_clear()


def extended(module_name: str, code: str, registry: ModuleType, row: str) -> dict[str, object]:
    """The names of a registry with the row of a recipe in place of its own."""
    module = ModuleType(module_name)
    exec(compile(code, "extending.md", "exec"), module.__dict__)  # noqa: S102  (our own document)
    names = {**vars(registry), **vars(module)}
    exec(compile(row, "extending.md", "exec"), names)  # noqa: S102  (our own document)
    return names


def test_the_report_section_of_the_recipe_stands_where_its_row_says(tmp_path) -> None:
    (code,) = blocks("A report section")
    (row,) = re.findall(r"^```\n( +Misfits.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE)
    registry_text, data = Path(sections.__file__).read_text(encoding="utf-8"), "    Data(),\n"
    assert data in registry_text
    names = extended("misfits", code, sections, registry_text.replace(data, data + row))
    small_study(tmp_path)
    settings = Settings(tmp_path, posterior=False, starts=1, engine="native", compare_pysd=False, profiles=False)
    found = Findings(fit_findings(pipeline.calibrate(settings)))
    page = page_of(names["_RESULTS"], found, Pictures(), "t", "i")  # type: ignore[arg-type]
    titles = [section.title for section in page.sections]
    assert titles.index("Largest misfits") == titles.index("The data and the model") + 1
    largest = max(found.fit.rows.query("use == 'fit'").itertuples(), key=lambda row: abs(row.residual))
    (table,) = page.sections[titles.index("Largest misfits")].blocks
    assert table.rows[0] == (largest.label, f"{largest.residual:+.1f}")  # type: ignore[union-attr]
    (added,) = [part for part in names["_RESULTS"] if type(part).__name__ == "Misfits"]  # type: ignore[attr-defined]
    assert added.tables(found)["misfits"].iloc[0].tolist() == [largest.label, largest.residual]
    assert [type(p) for p in names["_RESULTS"] if p is not added] == [type(p) for p in sections._RESULTS]  # type: ignore[attr-defined]


def test_the_option_of_the_recipe_is_offered_read_and_held_to_its_range(write_mdl) -> None:
    module = ModuleType("cipark_sd.commands.final")
    sys.modules[module.__name__] = module
    try:
        exec(compile(blocks("An option of a command")[0], "extending.md", "exec"), module.__dict__)  # noqa: S102
        model = write_mdl("s = INTEG(-r * s, 1) ~ ~ | r = 0.123 ~ ~ |", final=1, step=1)

        def call(*words: str) -> Result:
            return CliRunner().invoke(module.final, [str(model), *words])

        assert call().output == "s: 0.877\n"
        assert call("--digits", "1").output == "s: 0.9\n"
        assert call("--digits", "0").exit_code == 2
        assert "Of each number.  [default: 4; 1<=x<=17]" in " ".join(call("--help").output.split("\n"))
    finally:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("base", [ReportPart])
def test_a_part_that_lacks_a_member_cannot_be_made(base: type) -> None:
    lacking = type("Lacking", (base,), {"__slots__": ()})
    with pytest.raises(TypeError, match="sections"):
        lacking()
