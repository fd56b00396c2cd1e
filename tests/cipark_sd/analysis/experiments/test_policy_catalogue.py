"""The catalogue of policy experiments and the draws they rest on."""

import os
import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from small_study import POLICIES, STUDY, small_study

from calibration.commands.for_analyses.study import CalibrationStudy
from calibration.commands.for_analyses.study_draws import draws_for, draws_from_file, read_weights
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.base.errors import CiparkError, InvalidValue, Problems, UnknownName
from cipark_sd.base.library import bundled
from cipark_sd.commands.policy.analysis import Target, draw_source, read_target
from cipark_sd.commands.sensitivity.target import read_draws
from cipark_sd.data.scenarios import resolve
from cipark_sd.language.read.model_file import read_model

PARK = STUDIES / "great_stone"
GOOD = """
times = [2019.9, 2030]
[[outcome]]
id = "residents"
variable = "Total Residents"
[[policy]]
id = "E1"
title = "No China Merchants"
set = { "SW CMG" = 0 }
"""


@pytest.fixture(scope="module")
def park():
    return read_model(bundled())


@pytest.fixture(scope="module")
def problem():
    return read_problem(PARK)


def written(folder: Path, text: str) -> Path:
    path = folder / "policies.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_experiment_of_the_park_fits_its_model(park):
    catalogue = read_catalogue(PARK / "policies.toml", park)
    for entry in catalogue.policies:
        resolve(park, entry.scenario)
    numbers = {policy.id.rstrip("abcdef") for policy in catalogue.policies}
    assert numbers >= {f"E{n}" for n in range(1, 24)}


@pytest.mark.parametrize("study", sorted(path.parent.name for path in STUDIES.glob("*/policies.toml")))
def test_every_shipped_catalogue_sets_what_its_model_lets_be_set(study):
    target = read_target(STUDIES / study)
    policies = [policy.scenario for policy in target.catalogue.policies]
    for scenario in policies:
        resolve(target.study.model, target.catalogue.settings | scenario)
    assert policies


def test_a_catalogue_without_rivals_takes_those_that_the_study_refits(park, problem):
    rivals = Target(PARK, read_catalogue(PARK / "policies.toml", park), CalibrationStudy(problem)).rivals
    assert [rival.id for rival in rivals] == [f"M{n}" for n in range(14)]


def test_a_catalogues_own_rivals_win(park, problem, tmp_path):
    own = GOOD + '[[rival]]\nid = "A"\ntitle = "x"\n'
    study = Target(tmp_path, read_catalogue(written(tmp_path, own), park), problem)
    assert [rival.id for rival in study.rivals] == ["A"]


def test_every_experiment_of_the_park_has_an_expectation_and_its_section(park):
    catalogue = read_catalogue(PARK / "policies.toml", park)
    assert all(policy.source for policy in catalogue.policies[1:])
    # sanctions after 2019 may cost firms or bring some in place of others, and land may bind or not
    assert {policy.id for policy in catalogue.policies[1:] if not policy.expected} == {"E21b", "E23"}


def test_the_base_comes_first_and_changes_nothing(park, tmp_path):
    catalogue = read_catalogue(written(tmp_path, GOOD), park)
    assert catalogue.policies[0].id == "base"
    assert not catalogue.policies[0].scenario.overrides


def test_without_rivals_the_model_stands_alone(park, tmp_path):
    (rival,) = read_catalogue(written(tmp_path, GOOD), park).rivals
    assert not rival.scenario.overrides


def test_all_mistakes_of_a_catalogue_are_told_at_once(park, tmp_path):
    bad = GOOD.replace("SW CMG", "SW CNG").replace("Total Residents", "Total Resident")
    bad += 'expect = [{ outcome = "firms", at = 2018, is = "fewer" }]\ncolour = "red"\n'
    with pytest.raises(Problems) as caught:
        read_catalogue(written(tmp_path, bad), park)
    message = "\n".join(map(str, caught.value.problems))
    for part in (
        "has no variable 'SW CNG'; did you mean",
        "'Total Resident'",
        "'firms'",
        "2018",
        "'fewer'",
        "'colour'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[[policy]]\nid = "E1"\ntitle = "again"\n', "each id once"),
        ('[[policy]]\nid = "base"\ntitle = "x"\n', "the run without a policy"),
        ('[[policy]]\nid = "E2"\ntitle = "x"\nset = { "TIME STEP" = 1 }\n', "without the time span"),
        ('[[lever]]\nid = "a"\nnames = "Total Residents"\nrange = [0, 1]\nbase = 0\n', "expected a constant"),
        ('[[lever]]\nid = "a"\nnames = "Fund Size"\nrange = [0, 1]\nbase = 3\n', "between 0 and 1"),
        ('[[uncertainty]]\nid = "a"\nname = "Pool Scale"\nrange = [2, 1]\n', "low below high"),
        ('[[uncertainty]]\nid = "a"\nname = "Pool Scale"\nrange = [0.5, 3]\nwhole = true\n', "expected whole ends"),
        ('[[uncertainty]]\nid = "a"\nname = "Pool Scale"\nrange = [1, 2.5]\nwhole = true\n', "expected whole ends"),
        ('[[uncertainty]]\nid = "a"\nname = "Pool Scale"\nrange = [1, 3]\nwhole = 1\n', "expected true or false"),
        ('[headline]\noutcome = "profit"\nat = 2030\n', "has no outcome 'profit'"),
    ],
)
def test_each_mistake_has_its_message(park, tmp_path, more, message):
    with pytest.raises(CiparkError) as caught:
        read_catalogue(written(tmp_path, GOOD + more), park)
    assert message in str(caught.value)


LEVER = '[[lever]]\nid = "{}"\nnames = {}\nrange = [0, 1]\n'
FACTOR = '[[factor]]\nid = "{}"\ntitle = "x"\noff = {{ {} }}\n'


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (LEVER.format("a", '"Fund Size"') + LEVER.format("b", '"fund size"'), "lever 'a' and lever 'b'"),
        (LEVER.format("a", '"Approach Hazard[SOE]"') + LEVER.format("b", '"Approach Hazard"'), "lever 'a' and lever"),
        (
            LEVER.format("a", '"Fund Size"') + '[[uncertainty]]\nid = "u"\nname = "Fund Size"\nrange = [0, 1]\n',
            "a number is chosen, or it is unknown",
        ),
        (FACTOR.format("a", '"SW CMG" = 0') + FACTOR.format("b", '"SW CMG" = 0'), "factor 'a' and factor 'b'"),
        ('[[factor]]\nid = "a"\ntitle = "x"\n', "settings that differ from 'on'"),
        (
            '[[policy]]\nid = "E9"\ntitle = "x"\nset = { "SW CMG" = 0 }\n'
            'expect = [{ outcome = "residents", at = 2030, is = "less", than = "E9" }]\n',
            "expected another policy",
        ),
        ('[[policy]]\nid = "E9"\ntitle = "x"\nset = { "SW CNG" = 0, "Fund Size" = "much" }\n', "'much'"),
        ('[[policy]]\nid = "E9"\ntitle = "x"\nset = { "SW CNG" = 0, "Fund Size" = "much" }\n', "'SW CNG'"),
        ('[[lever]]\nid = "a"\nrange = [0, 1]\n', "a name or a list of names"),
        ('[headline]\noutcome = "residents"\nat = 2030\nalso = ["profit"]\n', "has no outcome 'profit'"),
    ],
)
def test_each_contradiction_is_told(park, tmp_path, more, message):
    with pytest.raises(CiparkError) as caught:
        read_catalogue(written(tmp_path, GOOD + more), park)
    assert message in str(caught.value)


def test_levers_of_two_elements_are_no_contradiction(park, tmp_path):
    two = LEVER.format("a", '"Approach Hazard[SOE]"') + LEVER.format("b", '"Approach Hazard[JOINT]"')
    assert len(read_catalogue(written(tmp_path, GOOD + two), park).levers) == 2


def test_a_catalogue_that_is_not_there_is_a_clear_error(park, tmp_path):
    with pytest.raises(InvalidValue, match="does not exist"):
        read_catalogue(tmp_path / "policies.toml", park)


def test_draws_of_different_lengths_are_refused():
    with pytest.raises(InvalidValue, match="one length"):
        Draws("M0", {"a": np.zeros(3), "b": np.zeros(4)}, "prior")


def test_draws_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidValue, match="finite"):
        Draws("M0", {"a": np.array([1.0, np.nan])}, "prior")


def test_prior_draws_hold_the_models_parameters_and_no_noise(problem):
    draws = draws_for(problem, [Structure("M0", "")], {}, 50, 1)["M0"]
    assert "pool_scale" in draws.values
    assert "entry_dispersion" not in draws.values
    assert draws.origin == "prior"


def test_prior_draws_lie_in_the_bounds(problem):
    draws = draws_for(problem, [Structure("M0", "")], {}, 200, 1)["M0"]
    for parameter in problem.space:
        if parameter.target == "model":
            values = draws.values[parameter.name.lower().replace(" ", "_")]
            assert values.min() >= parameter.lower
            assert values.max() <= parameter.upper


def posterior_file(path, problem, layout):
    rng = np.random.default_rng(3)
    names = problem.space.names
    theta = problem.space.from_unit(rng.random((2, 7, len(names))))
    dims = ("chain", "draw")
    if layout == "by name":
        group = xr.Dataset({name: (dims, theta[..., i]) for i, name in enumerate(names)})
    else:
        group = xr.Dataset({"theta": ((*dims, "parameter"), theta)}, {"parameter": list(names)})
    xr.DataTree.from_dict({"/posterior": group}).to_netcdf(path, engine="h5netcdf")
    return theta


@pytest.mark.parametrize("layout", ["by name", "one array"])
def test_posterior_draws_come_from_either_layout(problem, tmp_path, layout):
    theta = posterior_file(tmp_path / "draws.nc", problem, layout)
    draws = draws_from_file(problem, tmp_path / "draws.nc", "M0")
    position = problem.space.names.index("Pool Scale")
    assert np.array_equal(draws.values["pool_scale"], theta[..., position].reshape(-1))
    assert draws.origin == "posterior"


def test_draws_in_a_table_are_those_of_netcdf_of_which_nobody_says_whether_they_have_converged(problem, tmp_path):
    theta = posterior_file(tmp_path / "draws.nc", problem, "by name")
    table = pd.DataFrame(theta.reshape(-1, theta.shape[-1]), columns=list(problem.space.names))
    table.to_csv(tmp_path / "draws.csv", index=False)
    of_table, of_file = (draws_from_file(problem, tmp_path / f"draws.{ending}", "M0") for ending in ("csv", "nc"))
    assert of_table.values.keys() == of_file.values.keys()
    for name, values in of_file.values.items():
        assert np.array_equal(of_table.values[name], values), name
    assert (of_table.converged, of_table.effective) == (None, of_file.effective)


def test_a_file_without_a_parameter_names_it(problem, tmp_path):
    group = xr.Dataset({"Pool Scale": (("chain", "draw"), np.ones((1, 3)))})
    xr.DataTree.from_dict({"/posterior": group}).to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    with pytest.raises(Problems, match=r"no parameter 'Approach Hazard\[SOE\]'; known: 'pool_scale'"):
        draws_from_file(problem, tmp_path / "draws.nc", "M0")


def test_a_rival_that_was_not_fitted_borrows_and_says_so(problem, tmp_path):
    posterior_file(tmp_path / "draws.nc", problem, "by name")
    rivals = [Structure("M0", ""), Structure("M1", "")]
    draws = draws_for(problem, rivals, {"M0": tmp_path / "draws.nc"}, 10, 1)
    assert (draws["M0"].origin, draws["M1"].origin) == ("posterior", "borrowed")
    assert np.array_equal(draws["M0"].values["pool_scale"], draws["M1"].values["pool_scale"])


def test_an_unknown_rival_in_front_of_a_file_is_an_error():
    with pytest.raises(UnknownName, match="did you mean 'M1'"):
        draw_source(["MM1=x.nc"], ["M0", "M1"])


def test_weights_are_read_by_rival(tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("rival,weight\nM1,0.25\n")
    assert read_weights(path, [Structure("M0", ""), Structure("M1", "")]) == {"M1": 0.25}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"rival,weight\n\xff,1\n", "codec"),
        (b"rival,weight\n" + b"a" * 200_000 + b",1\n", "field larger"),
        (b"name,weight\nM0,1\n", "no column 'rival'"),
        (None, "not a regular file"),
    ],
)
def test_weights_that_cannot_be_read_are_an_error(content, reason, tmp_path):
    path = tmp_path / "weights.csv"
    os.mkfifo(path) if content is None else path.write_bytes(content)
    with pytest.raises(InvalidValue, match=reason):
        read_weights(path, [Structure("M0", "")])


def test_the_weights_that_a_spreadsheet_saves_are_read(tmp_path):
    path = tmp_path / "weights.csv"
    path.write_bytes("\ufeffrival,weight\r\nM0,1\r\n".encode())
    assert read_weights(path, [Structure("M0", "")]) == {"M0": 1.0}


def test_what_a_file_says_of_its_draws_may_be_wrong(problem, tmp_path):
    path = tmp_path / "draws.nc"
    posterior_file(path, problem, "by name")
    with h5py.File(path, "a") as file:
        file.attrs["converged"] = np.array([1, 0])
    with pytest.raises(InvalidValue, match="what the file says of its draws cannot be read"):
        draws_for(problem, [Structure("M0", "")], {"M0": path}, 5, 1)
    with pytest.raises(InvalidValue, match="what the file says of its draws cannot be read"):
        read_draws(path)


def test_a_pipe_holds_no_draws(problem, tmp_path):
    os.mkfifo(tmp_path / "draws.nc")
    with pytest.raises(InvalidValue, match="not a regular file"):
        draws_from_file(problem, tmp_path / "draws.nc", "M0")


def test_wrong_weights_are_told_together(tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("rival,weight\nM7,0.25\nM0,-1\n")
    with pytest.raises(Problems, match="2 problems"):
        read_weights(path, [Structure("M0", "")])


def test_a_policy_sets_numbers_and_equations_of_constants(park, tmp_path):
    text = GOOD.replace('"SW CMG" = 0', '"SW CMG" = 0, "Pool Scale" = "0.8 * Pool Scale"')
    (policy,) = read_catalogue(written(tmp_path, text), park).changes
    assert policy.equations == (("Pool Scale", "0.8 * Pool Scale"),)
    assert dict(policy.scenario.overrides) == {"sw_cmg": 0.0}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"0.8 * Total Residents"', "an equation of constants, which have one value in a run"),
        ('"0.8 * Pol Scale"', "did you mean 'Pool Scale'"),
        ('"0.8 *"', "cannot be read"),
        ('" "', "a number or an equation"),
    ],
)
def test_an_equation_that_is_none_of_constants_is_told(park, tmp_path, value, said):
    text = GOOD.replace('"SW CMG" = 0', f'"Pool Scale" = {value}')
    with pytest.raises(CiparkError, match=re.escape(said)):
        read_catalogue(written(tmp_path, text), park)


def test_a_variant_and_a_metric_of_a_ratio_are_refused(park, tmp_path):
    variant = '[[variant]]\nid = "v"\ntitle = "v"\nset = { "Pool Scale" = "0.8 * Pool Scale" }\n'
    with pytest.raises(CiparkError, match="numbers: mechanisms are switched on and off beside them"):
        read_catalogue(written(tmp_path, GOOD + variant), park)
    ratio = GOOD.replace('"Total Residents"', '"Total Residents"\nper = "Pool Scale"\nmetric = "maximum"')
    with pytest.raises(CiparkError, match="none beside 'per'"):
        read_catalogue(written(tmp_path, ratio), park)
    with pytest.raises(CiparkError, match="time-of-maximum"):
        read_catalogue(
            written(tmp_path, GOOD.replace('"Total Residents"', '"Total Residents"\nmetric = "time-of-maximun"')), park
        )


def test_times_of_a_catalogue_are_dates_by_the_calendar_of_its_study(tmp_path):
    """Of a model that counts years from the end of 2012 on; TOML has dates with quotes and without."""
    small_study(tmp_path)
    dates = '[dates]\nunit = "year"\norigin = "2012-12-31"\n'
    (tmp_path / "problem.toml").write_text(STUDY.replace("[model]", f"{dates}[model]"), encoding="utf-8")
    study = CalibrationStudy(read_problem(tmp_path))
    group = '[knockouts]\noutcome = "left"\n[[knockouts.group]]\ntitle = "all"\npolicies = ["slow"]\nat = 8\n'
    in_numbers = POLICIES + group
    in_dates = in_numbers.replace("[4, 8]", '[2016-12-31, "2020-12-31"]').replace("at = 8", 'at = "2020-12-31"')
    assert in_dates.count("2020-12-31") == 6
    read = [read_catalogue(written(tmp_path, text), study.model, study.moment) for text in (in_dates, in_numbers)]
    assert read[0].times == (4.0, 8.0)
    assert read[0] == replace(read[1], digest=read[0].digest)
    assert [catalogue.when(8.0) for catalogue in read] == ["on 2020-12-31"] * 2
    # a model alone whose unit of time is "year" has the dates of the calendar, and none is within its run of 12 years
    with pytest.raises(CiparkError, match="a time of the run, 0 to 12"):
        read_catalogue(written(tmp_path, in_dates), study.model)
    for wrong in ("[]", '["soon"]', "[true]", "nan"):
        with pytest.raises(CiparkError, match=r"times is .*, expected a list of dates such as 2019-07-01"):
            read_catalogue(written(tmp_path, in_numbers.replace("[4, 8]", wrong)), study.model, study.moment)
    for wrong in ("[4, 8]", '"later"'):
        with pytest.raises(CiparkError, match=r"at is .*, expected a date such as 2019-12-31, or a number"):
            read_catalogue(written(tmp_path, in_numbers.replace("at = 8", f"at = {wrong}")), study.model, study.moment)
