"""Options that are declared once: what click gets and what a function without a command line gets are the same."""

from dataclasses import dataclass, fields

import click
import pytest
from click.testing import CliRunner

from calibration.commands.calibrate import calibrate
from calibration.commands.new_study import new_study
from calibration.commands.play.command import play
from calibration.commands.play.request import Settings as PlaySettings
from calibration.commands.settings import Settings
from calibration.new_study.request import Request as NewStudyRequest
from cipark_sd.base.errors import CiparkError
from cipark_sd.commands import certify, check, convert, ensemble, run, show
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.policy import command as policy
from cipark_sd.commands.policy.request import Request as PolicyRequest
from cipark_sd.commands.sensitivity import command as sensitivity
from cipark_sd.commands.sensitivity.request import Request as SensitivityRequest

COMMANDS = [
    (calibrate, Settings),
    (play, PlaySettings),
    (policy.command, PolicyRequest),
    (sensitivity.command, SensitivityRequest),
    (new_study, NewStudyRequest),
    *((module.command, module.Request) for module in (run, ensemble, check, certify, show, convert)),
]


@pytest.mark.parametrize(("command", "request_type"), COMMANDS)
def test_a_request_without_options_is_that_of_a_command_line_without_any(command: click.Command, request_type) -> None:
    needed = [p.name for p in command.params if p.required]
    line = {0: [], 1: ["a"], 2: ["a", "-o", "b.mdl"]}[len(needed)]
    values = command.make_context("x", line).params
    made = request_type()
    assert set(values) <= {entry.name for entry in fields(request_type)}
    for name, value in values.items():
        if name not in needed:
            assert getattr(made, name) == value, name


def test_pairs_of_a_command_line_are_the_mappings_of_its_request() -> None:
    line = ["m.mdl", "d.csv", "--scale", "a=2", "--scale", "b=0.5", "--window", "a=rows", "--where", "x=1=y"]
    made = NewStudyRequest(**new_study.make_context("new-study", line).params)
    assert (made.scale, made.window, made.where, made.values) == ({"a": 2.0, "b": 0.5}, {"a": "rows"}, {"x=1": "y"}, {})
    for wrong in ("--scale=a=0", "--window=a=fortnight", "--value=a"):
        with pytest.raises(CiparkError, match=wrong[:7]):
            new_study.make_context("new-study", [*line, wrong])


@dataclass(frozen=True)
class Request:
    """What the command of these tests is asked."""

    word: str | None = argument(required=False)
    often: tuple[str, ...] = option("--often", multiple=True, help="Repeatable.")
    sure: bool = option("--sure", is_flag=True)
    size: int = option("-s", "--size", type=click.IntRange(1, 5), default=3, show_default=True, help="How large.")
    kept: str = "for callers"


@command_of(Request, short_help="Short.")
def spoken(request: Request) -> None:
    """What ``--help`` says."""
    click.echo(repr(request))


def test_a_field_is_an_option_with_its_name_its_type_and_its_help() -> None:
    def said(*arguments: str) -> str:
        return CliRunner().invoke(spoken, arguments).output

    assert said() == f"{Request()}\n"
    assert said("a", "--often", "b", "--often", "c", "--sure", "-s", "5") == f"{Request('a', ('b', 'c'), True, 5)}\n"
    assert "6 is not in the range 1<=x<=5" in said("-s", "6")
    shown = said("--help")
    assert "What ``--help`` says." in shown
    assert "How large. [default: 3; 1<=x<=5]" in " ".join(shown.split())
    assert "kept" not in shown
