"""Every function of the languages in random models: engines have the same bits, pysimlin the same numbers, and stocks
change by their flows alone."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import exported
import numpy as np
import pytest
from every_function import STELLA, VENSIM, Template, chosen, stella_variables, vensim_model
from stella import stella
from thorough import share

from cipark_sd.compiler.functions.registry import FUNCTIONS
from cipark_sd.compiler.unroll import unroll
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.expr import Call, walk
from cipark_sd.model.model import Model
from cipark_sd.model.variables import expressions
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.file import Checks
from cipark_sd.verify.checks.run import run_checks

pytestmark = pytest.mark.usefixtures("wasm")

#: More of them for whoever has changed a function or an engine.
MANY = int(os.environ.get("CIPARK_RANDOM_MODELS", share(2, 5)))
#: Of the model's largest number.
ROUNDING = 1e-9
#: A number; and what needs a file of data, and is written to none (the corpus has it).
APART = {"inf", "computed_data"}
Make = Callable[[Path, list[Template], int], Model]


def of_vensim(folder: Path, templates: list[Template], seed: int) -> Model:
    path = folder / f"v{seed}.mdl"
    path.write_text(vensim_model(templates, seed), encoding="utf-8")
    return read_model(path)


def of_stella(folder: Path, templates: list[Template], seed: int) -> Model:
    before, variables = stella_variables(templates, seed)
    return read_model(stella(folder / f"s{seed}.stmx", variables, before=before, dt="0.25", stop="4"))


LANGUAGES = {"vensim": (of_vensim, VENSIM), "stella": (of_stella, STELLA)}


def same_bits(model: Model) -> None:
    """Native, NumPy and WebAssembly have the bits of each other, and stocks change by their flows alone."""
    first, *others = [simulate(model, engine=engine) for engine in ("native", "numpy", "wasm")]
    for other in others:
        for name in first.data_vars:
            np.testing.assert_array_equal(first[name].values, other[name].values, err_msg=f"{other.engine} {name}")
    conserved(model)


def conserved(model: Model) -> None:
    by_numpy = partial(simulate, engine="numpy")
    (found,) = run_checks(model, Checks(), by_numpy, only=["conservation"], progress=lambda name, total: None)
    assert (found.id, found.status) == ("conservation", "pass"), found.findings


def same_numbers(model: Model, path: Path) -> None:
    """pysimlin has the numbers, of what we write for it."""
    (write_mdl if path.suffix == ".mdl" else write_xmile)(model, path)
    ours, theirs = exported.by_numpy(model), exported.by_simlin(path)
    largest = max(1.0, float(ours.abs().to_numpy().max()))
    for name in ours:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=0, atol=ROUNDING * largest, err_msg=str(name))


def test_no_function_is_left_out(tmp_path: Path) -> None:
    used = set()
    for make, templates in LANGUAGES.values():
        model = make(tmp_path, templates, 0)
        for variable in (*model.variables, *unroll(model).variables):
            used |= {part.function for e in expressions(variable) for part in walk(e) if isinstance(part, Call)}
    named = {name for name, row in FUNCTIONS.items() if ":" not in name and row.meaning is not None}
    assert named - used == APART


@pytest.mark.parametrize("language", LANGUAGES)
def test_engines_have_the_same_bits_and_nothing_is_made_or_lost(tmp_path: Path, language: str) -> None:
    make, templates = LANGUAGES[language]
    same_bits(make(tmp_path, templates, 1))


@pytest.mark.parametrize(("language", "ending"), [("vensim", ".xmile"), ("stella", ".mdl")])
def test_pysimlin_has_the_same_numbers(tmp_path: Path, language: str, ending: str) -> None:
    """Of Stella's files by way of Vensim's, in which the limits of non-negative stocks are equations."""
    pytest.importorskip("simlin")
    make, templates = LANGUAGES[language]
    common = [template for template in templates if template.judge == "simlin"]
    same_numbers(make(tmp_path, common, 1), tmp_path / f"again{ending}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 2 + MANY))
def test_many_random_models(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("simlin")
    for (make, templates), ending in zip(LANGUAGES.values(), (".xmile", ".mdl"), strict=True):
        same_bits(make(tmp_path, chosen(templates, seed, 12), seed))
        same_numbers(make(tmp_path, chosen(templates, seed, 12, "simlin"), seed), tmp_path / f"again{ending}")
