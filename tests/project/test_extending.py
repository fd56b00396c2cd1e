"""The recipes of docs/extending.md work: the code that they show is put where they say, and does what they promise."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest
from places import ROOT

from cipark_sd.compiler import functions
from cipark_sd.engines import registry
from cipark_sd.ensemble import ensemble
from cipark_sd.exporters import functions as written
from cipark_sd.exporters.xmile import write_xmile
from cipark_sd.frontends.model_file import read_model
from cipark_sd.model import unit_rules
from cipark_sd.model.unit_check import check_units
from cipark_sd.simulation import simulate

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(title: str) -> list[str]:
    """The Python code of a section."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


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
    meaning, rule, xmile = blocks("A function of Vensim or XMILE")
    with added(functions, "FUNCTIONS", meaning), added(unit_rules, "RULES", rule), added(written, "BUILT_IN", xmile):
        yield


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
