"""Posteriors of rivals for policy experiments: sampled once, kept, weighted."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from small_study import rival, small_study

from calibration.assess import rivals
from calibration.assess.assessment import Stages, assess
from calibration.assess.rival_draws import RIVALS as KEPT_IN
from calibration.assess.rival_draws import WEIGHTS, draws_file, keep_rivals
from calibration.assess.rivals import compare, fit_rivals, rival_numbers
from calibration.commands.for_analyses.study_draws import draws_for, read_weights
from calibration.inference.sample import moves
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import draw
from calibration.likelihood.posterior import On
from calibration.study.problem import until
from cipark_sd.base.checkpoints import NOT_KEPT, Checkpoints
from cipark_sd.execution.workers import Workers

#: Far from converged: what is tested is what becomes of the draws.
BRIEF = Effort(ensembles=2, walkers=36, block=20, most_steps=40, least_steps=20, sampler="chains")
STRUCTURES = rival("M0") + rival("M1", "pace = 0.5")


def fitted(problem, structures, folder, checkpoints=NOT_KEPT):
    """Fit rivals and keep their draws, without the posterior of the study as it stands."""
    problem, numbers = replace(problem, rivals=tuple(structures)), rival_numbers(problem.method.seed)
    fits, refuted, _ = fit_rivals(problem, On("native"), numbers, effort=BRIEF, workers=Workers(0, checkpoints))
    keep_rivals(problem, fits, refuted, compare(fits), folder)


def test_rivals_are_sampled_once_and_each_has_its_own_draws(tmp_path, monkeypatch):
    monkeypatch.setitem(rivals.fit_rivals.__kwdefaults__, "refit", BRIEF)
    problem = small_study(tmp_path, STRUCTURES)
    structures = problem.rivals
    kept, out = Checkpoints.in_output(tmp_path), tmp_path / "fit"
    fitted(problem, structures, out, kept)
    files = {structure.id: draws_file(out, structure.id) for structure in structures}
    draws = draws_for(problem, structures, files, 20, 1, read_weights(out / WEIGHTS, structures))
    assert {by_rival.origin for by_rival in draws.values()} == {"posterior"}
    assert sum(by_rival.weight for by_rival in draws.values()) == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(draws["M0"].values["rate"], draws["M1"].values["rate"])
    content = [path.read_bytes() for path in files.values()]
    with monkeypatch.context() as never:
        never.setattr(moves, "along_powers", None)
        fitted(problem, structures, out, kept)
    assert [path.read_bytes() for path in files.values()] == content
    other = replace(problem, method=replace(problem.method, seed=2))
    fitted(other, structures, out, kept)
    assert not any(path.read_bytes() == before for path, before in zip(files.values(), content, strict=True))


def test_one_study_has_one_set_of_weights(tmp_path, monkeypatch):
    """Within an assessment and beside it, refits included."""
    monkeypatch.setitem(rivals.fit_rivals.__kwdefaults__, "refit", BRIEF)
    # each term counts as one that importance sampling cannot judge
    monkeypatch.setattr(rivals, "RELIABLE", -np.inf)
    # three terms are as good as eight
    study = until(small_study(tmp_path, STRUCTURES), 3.0)
    density = On("native")(study)
    drawn = draw(density, np.random.default_rng(1), effort=BRIEF, per_chain=100)
    assess(drawn, On("native"), Stages(BRIEF, rivals=True, folder=tmp_path / "calibrate"))
    structures = study.rivals
    fitted(study, structures, tmp_path / "policy")
    tables = [(tmp_path / place / WEIGHTS).read_text() for place in (f"calibrate/{KEPT_IN}", "policy")]
    assert tables[0] == tables[1]
    assert tables[0].startswith("rival,weight,")
    # a structure's draws are its own, whatever others are fitted beside it
    fitted(study, structures[1:], tmp_path / "alone")
    both = [xr.open_datatree(draws_file(tmp_path / place, "M1"), engine="h5netcdf") for place in ("policy", "alone")]
    assert both[0]["posterior"].to_dataset().identical(both[1]["posterior"].to_dataset())
