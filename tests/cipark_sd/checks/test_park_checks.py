"""The park model against its own checks file, as far as it goes without a long run."""

import pytest

from cipark_sd.checks.file import read_checks
from cipark_sd.frontends.model_file import read_model
from cipark_sd.library import bundled
from cipark_sd.model.model import Model
from cipark_sd.model.unit_check import check_units


@pytest.fixture(scope="module")
def park() -> Model:
    return read_model(bundled())


def test_the_park_model_is_dimensionally_consistent_and_every_variable_has_units(park: Model) -> None:
    assert check_units(park) == ()


def test_pysimlin_finds_no_unit_that_is_wrong_either() -> None:
    import simlin

    assert [issue for issue in simlin.load(bundled()).check() if "unit" in issue.message] == []


def test_a_unit_that_is_wrong_in_the_park_model_is_found_in_its_place(park: Model) -> None:
    import dataclasses

    wrong = dataclasses.replace(park["Unit Land Cost"], units="MUSD")
    variables = tuple(wrong if variable.name == wrong.name else variable for variable in park.variables)
    found = {issue.variable for issue in check_units(dataclasses.replace(park, variables=variables))}
    assert found == {"Required Cash", "affordable land start", "infrastructure spending"}


def test_the_checks_file_of_the_park_is_understood(park: Model) -> None:
    checks = read_checks(bundled("cipark.checks.toml"), park)
    assert {f"RC{number:02}" for number in range(1, 23)} - {"RC18", "RC19"} <= {check.id for check in checks.checks}
