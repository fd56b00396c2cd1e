"""What was there once is answered with what does it now, at the command line and in Python, from one table."""

import re

import click
import pytest
from command_line import cipark

import cipark_sd as cp
from cipark_sd.base.errors import REMOVED, CiparkError
from cipark_sd.commands.cli import load_command

COMMANDS = [name for name in REMOVED if " " not in name and name != "stan"]
OPTIONS = [name for name in REMOVED if " " in name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_removed_command_is_answered(name: str) -> None:
    assert load_command(name) is None
    done = cipark(name, code=2)
    assert REMOVED[name] in done.stderr


@pytest.mark.parametrize("name", OPTIONS)
def test_a_removed_option_is_gone_and_answered(name: str) -> None:
    command, option = name.split()
    made = load_command(command)
    assert isinstance(made, click.Command)
    assert option not in {text for parameter in made.params for text in parameter.opts}
    # what the answer names is there, or is a file's
    for text in re.findall(r"--[a-z-]+", REMOVED[name]):
        assert text in {known for parameter in made.params for known in parameter.opts}


@pytest.mark.parametrize("name", ["certify --tolerance", "ensemble --leave-out"])
def test_the_command_line_answers_an_option(name: str) -> None:
    command, option = name.split()
    assert REMOVED[name] in cipark(command, "core", option, "3", code=2).stderr


def test_python_answers_with_the_same_words() -> None:
    with pytest.raises(TypeError, match="certify has no option 'tolerance'; --recorded-tolerance"):
        cp.certify("core", tolerance=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="a study has no 'stan'; density has"):
        cp.read_study("flu_1978").stan()
    with pytest.raises(AttributeError, match=r"a study has no 'nonsense'$"):
        _ = cp.read_study("flu_1978").nonsense
    with pytest.raises(CiparkError, match="'runs'; cipark ensemble writes"):
        _ = cp.runs  # type: ignore[attr-defined]
