"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import calibration
import cipark_sd

MODULES = sorted(
    module.name
    for package in (cipark_sd, calibration)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
