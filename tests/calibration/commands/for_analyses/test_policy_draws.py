"""Where the draws of ``cipark policy`` come from, and that it says so."""

import csv
import json
import shutil

import h5py
import numpy as np
import pytest
import xarray as xr
from left_fit import leave_fit

from calibration.assess.rival_draws import RIVALS, WEIGHTS, draws_file
from calibration.assess.rivals import with_variant
from calibration.commands.for_analyses.draws import PRIOR_DRAWS
from calibration.inference.sample.draws import problem_digest
from calibration.study import STUDIES
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.experiments.draws import Draws, read_file
from cipark_sd.analysis.study import DrawRequest
from cipark_sd.base.checkpoints import sign_files
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands.policy.analysis import draw_source, read_target


@pytest.fixture(scope="module")
def park():
    return read_target(STUDIES / "great_stone")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left_by_calibrate(park, folder, ids=("M0", "M1", "M2"), *, refuted=(), stale=(), rough=()):
    """What ``cipark calibrate --rivals`` leaves, with random numbers for draws."""
    place = folder / RIVALS
    place.mkdir(parents=True)
    rng = np.random.default_rng(1)
    rivals = {rival.id: rival for rival in park.rivals}
    names = park.study.problem.space.names
    for name in ids:
        if name in refuted:
            continue
        theta = park.study.problem.space.from_unit(rng.random((8, len(names)))).reshape(2, 4, -1)
        tree = xr.DataTree.from_dict(
            {"/posterior": xr.Dataset({"theta": (("chain", "draw", "parameter"), theta)}, {"parameter": list(names)})}
        )
        own = with_variant(park.study.problem, Structure(name, "", rivals[name].scenario))
        tree.attrs = {
            "study_digest": "another" if name in stale else problem_digest(own),
            "converged": name not in rough,
        }
        tree.attrs["converged"] = int(tree.attrs["converged"])
        tree.to_netcdf(draws_file(place, name), engine="h5netcdf")
    with (place / WEIGHTS).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("rival", "weight", "refuted"))
        writer.writerows((name, 0 if name in refuted else 0.5, int(name in refuted)) for name in ids)
    sign_files(place, *(path.name for path in place.iterdir()))
    leave_fit(folder, park.study.problem, draws=park.study.problem.space.from_unit(rng.random((8, len(names)))))
    return folder


def found(park, folder, ids=("M0", "M1", "M2"), sources=()):
    rivals = tuple(rival for rival in park.rivals if rival.id in ids)
    source = draw_source(sources, [rival.id for rival in rivals])
    return park.study.draws(DrawRequest(rivals, source, 5, 1, folder, "native", known=park.rivals), Bars())


@pytest.fixture
def optima(monkeypatch):
    """Random values instead of searches, and what was asked for."""
    asked = []

    def made(problem, rivals, fit, seed, **more):
        asked.append((tuple(rival.id for rival in rivals), fit))
        theta = problem.space.from_unit(np.random.default_rng(2).random((1, len(problem.space))))
        values = {p.name: theta[:, i] for i, p in enumerate(problem.space) if p.target == "model"}
        return {rival.id: Draws(rival.id, values, "optimum") for rival in rivals}, ()

    monkeypatch.setattr("calibration.commands.for_analyses.draws.best_fits", made)
    return asked


def test_without_a_posterior_each_rival_runs_at_its_best_fit_and_it_says_how_to_get_more(park, here, optima):
    got = found(park, here / "out")
    assert {draws.origin for draws in got.draws.values()} == {"optimum"}
    assert [len(draws) for draws in got.draws.values()] == [1, 1, 1]
    assert not got.draws["M0"].basis.bands
    assert [ids for ids, _ in optima] == [("M0", "M1", "M2")]
    said = " ".join(got.notes)
    assert "every policy runs at the best fit alone, without intervals and classes" in said
    assert "'cipark calibrate --posterior --rivals' samples the posterior" in said


def test_expectations_are_set_against_draws_of_the_priors(park, here):
    left_by_calibrate(park, here / "cipark-output" / "great_stone")
    got = found(park, here / "out")
    assert {draws.origin for draws in got.prior.values()} == {"prior"}
    assert {len(draws) for draws in got.prior.values()} == {PRIOR_DRAWS} == {300}
    named = found(park, here / "out", sources=("prior",))
    assert named.prior is named.draws


def test_what_a_calibration_has_left_is_taken_up_and_named(park, here):
    left_by_calibrate(park, here / "cipark-output" / "great_stone")
    got = found(park, here / "out")
    assert {draws.origin for draws in got.draws.values()} == {"posterior"}
    assert got.notes == ("The fit is that in cipark-output/great_stone.",)
    assert got.draws["M1"].weight == 0.5
    assert not np.array_equal(got.draws["M0"].values["pool_scale"], got.draws["M1"].values["pool_scale"])


def test_the_output_folder_of_a_calibration_can_be_named(park, here):
    folder = left_by_calibrate(park, here / "elsewhere")
    assert found(park, here / "out", sources=(str(folder),)).notes == (f"Draws: {folder / RIVALS}.",)


def one_posterior(park, here):
    left_by_calibrate(park, here / "x", ids=("M0",))
    path = here / "draws.nc"
    with xr.open_datatree(draws_file(here / "x" / RIVALS, "M0"), engine="h5netcdf") as tree:
        tree.attrs["study_digest"] = problem_digest(park.study.problem)
        tree.to_netcdf(path, engine="h5netcdf")
    return path


def test_beside_the_posterior_of_one_structure_the_others_are_left_out_and_named(park, here, optima):
    space = park.study.problem.space
    drawn = space.from_unit(np.random.default_rng(1).random((8, len(space))))
    leave_fit(here / "cipark-output" / "great_stone", park.study.problem, draws=drawn)
    got = found(park, here / "out")
    assert {name: draws.origin for name, draws in got.draws.items()} == {"M0": "posterior"}
    assert [structure.id for structure in got.structures] == ["M0"]
    assert optima == []
    assert "Not fitted, and so left out: M1, M2. 'cipark calibrate --posterior --rivals' fits them." in got.notes


def test_a_posterior_that_is_named_is_lent_to_the_other_structures(park, here):
    got = found(park, here / "out", sources=(str(one_posterior(park, here)),))
    assert [got.draws[name].origin for name in ("M0", "M1", "M2")] == ["posterior", "borrowed", "borrowed"]


def test_chains_are_worth_what_their_convergence_vouches_for(park, here):
    left_by_calibrate(park, here / "fit", rough=("M1",))
    got = found(park, here / "out", sources=(str(here / "fit"),))
    assert (got.draws["M0"].converged, got.draws["M0"].independent) == (True, 400)
    assert (got.draws["M1"].converged, got.draws["M1"].independent) == (False, 100)


def test_a_rival_that_was_fitted_to_other_data_is_none_of_the_fit_and_no_weights_are_taken(park, here, optima):
    left_by_calibrate(park, here / "cipark-output" / "great_stone", stale=("M1",))
    got = found(park, here / "out")
    assert {name: draws.origin for name, draws in got.draws.items()} == {"M0": "posterior", "M2": "posterior"}
    assert "Not fitted, and so left out: M1." in got.notes[1]
    assert all(np.isnan(draws.weight) for draws in got.draws.values())


def test_the_draws_of_the_study_as_it_stands_are_those_of_the_fit_and_not_of_the_rival_that_it_is(park, here):
    place = left_by_calibrate(park, here / "cipark-output" / "great_stone")
    mine, again = (
        read_file(path).columns["Pool Scale"] for path in (place / "draws.nc", draws_file(place / RIVALS, "M0"))
    )
    taken = found(park, here / "out").draws["M0"].values["pool_scale"]
    assert set(taken) <= set(mine)
    assert not set(taken) & set(again)


def test_a_fit_of_other_data_that_is_named_is_taken_with_a_warning(park, here):
    folder = left_by_calibrate(park, here / "elsewhere", stale=("M1",), rough=("M2",))
    said = " ".join(found(park, here / "out", sources=(str(folder),)).notes)
    assert (
        "Fitted to other data, priors or settings, or to another version of the model, than this study has now: M1"
        in said
    )
    assert "Not converged: M2" in said


def test_a_refuted_rival_is_left_out_and_named(park, here):
    left_by_calibrate(park, here / "cipark-output" / "great_stone", refuted=("M2",))
    got = found(park, here / "out")
    assert [rival.id for rival in got.structures] == ["M0", "M1"]
    assert set(got.draws) == {"M0", "M1"}
    assert "impossible under it for any parameters: M2" in " ".join(got.notes)


def test_the_word_prior_is_no_folder(park, here):
    (here / "prior").mkdir()
    got = found(park, here / "out", sources=("prior",))
    assert {draws.origin for draws in got.draws.values()} == {"prior"}


def test_a_folder_without_draws_is_an_error(park, here):
    (here / "empty").mkdir()
    with pytest.raises(InvalidValue, match=r"a folder with draws-M0\.nc or draws\.nc"):
        found(park, here / "out", sources=("empty",))


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (lambda low, high: high * 1.01, "where its prior has them; sample the posterior again"),
        (lambda low, high: low - 0.01 * abs(low) - 0.01, "1 of 8 draws from"),
        (lambda low, high: high * (1 + 1e-7), ""),
        (lambda low, high: low, ""),
    ],
)
def test_draws_that_the_priors_rule_out_are_refused(park, here, edited, said):
    folder = left_by_calibrate(park, here / "x")
    file = draws_file(folder / RIVALS, "M1")
    space = park.study.problem.space
    parameter = next(p for p in space if p.target == "model" and np.isfinite([p.lower, p.upper]).all())
    with h5py.File(file, "a") as content:
        column = space.names.index(parameter.name)
        content["posterior/theta"][1, 2, column] = edited(parameter.lower, parameter.upper)
    if said:
        with pytest.raises(InvalidValue, match=said) as told:
            found(park, here / "out", sources=(str(folder),))
        assert parameter.name in str(told.value)
        assert str(file) in str(told.value)
    else:
        assert len(found(park, here / "out", sources=(str(folder),)).draws["M1"]) == 5


@pytest.fixture(scope="module")
def later():
    """A study that keeps draws of its four structures beside it, of which the third is the study as it stands."""
    return read_target(STUDIES / "great_stone_later")


KEPT = STUDIES / "great_stone_later" / RIVALS


def asked(later, folder, *sources, ids=()):
    rivals = tuple(rival for rival in later.rivals if not ids or rival.id in ids)
    source = draw_source(sources, [rival.id for rival in rivals])
    return later.study.draws(DrawRequest(rivals, source, 5, 1, folder, "native", known=later.rivals), Bars())


def numbers(got, rival):
    return {name: values.tolist() for name, values in got.draws[rival].values.items()}


def test_draws_that_are_kept_beside_a_study_are_those_of_the_study_as_it_is(later, here):
    """Where this falls after a change that moves no draw, ``python tools/later_draws.py --stamp`` marks them anew."""
    got = asked(later, here / "out")
    assert [structure.id for structure in got.structures] == [rival.id for rival in later.rivals]
    assert {draws.origin for draws in got.draws.values()} == {"posterior"}
    assert got.notes == (f"Draws: {KEPT}, kept with the study.",)
    whole = {rival.id: draws_file(KEPT, rival.id) for rival in later.rivals}
    assert sum(path.stat().st_size for path in whole.values()) < 1.2e6


def left(later, here):
    """What a calibration of the study as it stands leaves: its record and its draws."""
    place = here / "cipark-output" / "great_stone_later"
    leave_fit(place, later.study.problem)
    record = json.loads((place / "fit.json").read_text(encoding="utf-8"))
    (place / "fit.json").write_text(json.dumps(record | {"converged": True}), encoding="utf-8")
    with xr.open_datatree(draws_file(KEPT, "all"), engine="h5netcdf") as tree:
        tree.attrs["study_digest"] = record["study_digest"]
        tree.to_netcdf(place / "draws.nc", engine="h5netcdf")
    sign_files(place, "fit.json", "draws.nc")
    return place


def test_the_same_draws_are_found_by_each_route(later, here):
    kept = asked(later, here / "out")
    named = [f"{rival.id}={draws_file(KEPT, rival.id)}" for rival in later.rivals]
    by_file = asked(later, here / "out", *named)
    by_folder = asked(later, here / "out", str(KEPT.parent))
    rivals = left(later, here) / RIVALS
    shutil.copytree(KEPT, rivals)
    sign_files(rivals, *(path.name for path in rivals.iterdir()))
    after_rivals = asked(later, here / "out")
    assert after_rivals.notes == ("The fit is that in cipark-output/great_stone_later.",)
    for got in (by_file, by_folder, after_rivals):
        for rival in later.rivals:
            assert numbers(got, rival.id) == numbers(kept, rival.id)


def test_what_a_calibration_leaves_is_of_the_study_as_it_stands_and_not_of_the_first_structure(later, here):
    left(later, here)
    got = asked(later, here / "out")
    assert [structure.id for structure in got.structures] == ["all"]
    assert any(
        note.startswith("Not fitted, and so left out: none, none, starts fell, all, starts") for note in got.notes
    )
    alone = asked(later, here / "out", f"all={draws_file(KEPT, 'all')}", ids=("all",))
    assert numbers(got, "all") == numbers(alone, "all")


def test_draws_that_say_they_are_of_another_structure_are_refused(later, here):
    path = draws_file(KEPT, "all")
    with pytest.raises(
        InvalidValue, match=r"the file of 'none' .* these are of 'all': --draws \"all=.*--rivals \"all\""
    ):
        asked(later, here / "out", str(path))
    # what does not say of which it is passes, as draws of another program do
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        del tree.attrs["study_digest"]
        tree.to_netcdf(here / "silent.nc", engine="h5netcdf")
    assert asked(later, here / "out", str(here / "silent.nc")).draws["none"].origin == "posterior"
