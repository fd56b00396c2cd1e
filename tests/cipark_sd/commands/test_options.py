"""Options have one spelling in all commands; the spellings of earlier versions are refused with the new one."""

import pytest
from command_line import cipark

from cipark_sd.base.library import bundled
from cipark_sd.commands.cli import BUILT_IN, ORDER, cli
from cipark_sd.commands.options import variable_names
from cipark_sd.language.read.model_file import read_model


@pytest.mark.parametrize(
    ("arguments", "new"),
    [
        (["sensitivity", "--to", "out"], "sensitivity: the option --to is called --output now"),
        (["sensitivity", "-n", "64"], "sensitivity: the option -n is called --rows now"),
        (["sensitivity", "-n64"], "sensitivity: the option -n is called --rows now"),
        (["policy", "--n", "200"], "policy: the option --n is called --runs now"),
        (["policy", "--n=200"], "policy: the option --n is called --runs now"),
        (["calibrate", "--draws", "500"], "calibrate: the option --draws is called --keep now"),
        (
            ["sensitivity", "--resume"],
            "sensitivity: there is no option --resume any more: interrupted runs resume; --fresh starts again",
        ),
    ],
)
def test_an_old_spelling_is_refused_with_the_new_one(arguments: list[str], new: str) -> None:
    result = cipark(*arguments, code=2)
    assert result.output.strip() == f"error: {new}"


def test_an_output_of_the_model_is_no_output_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = cipark("sensitivity", bundled(), "--output", "Total Residents", code=2)
    assert "expected the output folder; --variables Total Residents names an output to analyse" in result.output
    assert not (tmp_path / "Total Residents").exists()


def commands() -> list[str]:
    return cli.list_commands(None)


def test_commands_are_listed_in_the_order_of_work() -> None:
    assert tuple(commands()) == ORDER
    assert BUILT_IN.keys() < set(ORDER)
    shown = cipark("--help").output.split("Commands:")[1]
    assert [line.split()[0] for line in shown.strip().splitlines()] == list(ORDER)


@pytest.mark.parametrize("name", commands())
def test_options_mean_the_same_in_all_commands(name: str) -> None:
    options = {spelling: option for option in cli.get_command(None, name).params for spelling in option.opts}
    visible = {spelling for spelling, option in options.items() if not getattr(option, "hidden", False)}
    assert ("-o" in visible) == ("--output" in visible)
    assert options.get("-o") is options.get("--output")
    # no short spelling but these
    assert {spelling for spelling in visible if not spelling.startswith("--") and spelling.startswith("-")} <= {"-o"}
    if "--draws" in visible:
        assert options["--draws"].metavar == "SOURCE"
    for number in visible & {"--runs", "--rows", "--seed", "--keep"}:
        assert "integer" in options[number].type.name


@pytest.mark.parametrize("name", commands())
def test_help_has_no_pronouns_for_nouns(name: str) -> None:
    """Every option says what it is, in words that do not need the option's name in front."""
    for option in cli.get_command(None, name).params:
        if getattr(option, "help", None) and not option.hidden:
            assert not option.help.startswith(("What ", "Which ", "Where ")), option.opts
            assert not option.help.startswith(("Of its", "Of the ")), option.opts


def test_names_are_split_at_commas_but_not_within_brackets() -> None:
    model = read_model(bundled())
    assert variable_names(model, ["Total Residents, Workers[a,b]", "births"]) == (
        "Total Residents",
        "Workers[a,b]",
        "births",
    )
