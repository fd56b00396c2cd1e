"""An element has one label in all that people read: ``Fast Stock[North East,Big]``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.runs import plot_run
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.course import chains, with_accounts
from cipark_sd.verify.checks.file import Checks
from cipark_sd.verify.checks.run import run_checks

LABEL = "Fast Stock[North East,Big]"
EQUATIONS = """
Region: North East ~~|
Size: Big ~~|
Fast Stock[Region,Size] = INTEG(growth[Region,Size], 1) ~ tons ~ |
growth[Region,Size] = Fast Stock[Region,Size] ^ 9 ~ tons/Year ~ |
Rest[Region,Size] = INTEG(-growth[Region,Size], 1) ~ tons ~ |
"""


def test_an_element_has_one_label_in_messages_tables_and_figures(write_mdl: Callable[..., Path]) -> None:
    model = read_model(write_mdl(EQUATIONS))
    run = simulate(model, save=["Fast Stock"])
    assert str(run.attrs["first_non_finite"]).startswith(f"{LABEL} is inf at time")
    with pytest.warns(RuntimeWarning, match="North East,Big"):
        assert ensemble(model, [{}], save=["Fast Stock"])["run_failed_variable"].item() == LABEL
    outcomes = run_checks(model, Checks(), simulate, progress=lambda name, total: None)
    broken = next(outcome for outcome in outcomes if outcome.id == "finite")
    assert broken.findings[0].claim == "growth[North East,Big] is a finite number"
    (account,) = (stock.label for stock in with_accounts(model, chains(model)).stocks if "enters" in stock.label)
    assert account == f"What enters and leaves {LABEL} + Rest[North East,Big]"
    (line,) = plot_run(run, "Fast Stock").axes[0].get_lines()
    assert line.get_label() == LABEL
