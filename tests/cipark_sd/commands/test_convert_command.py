"""``cipark convert``."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cipark

from cipark_sd.language.read.model_file import read_model

Write = Callable[..., Path]
EQUATIONS = "D: A, B ~~| x[D] = 1, 2 ~ unit ~ Two |  S[D] = INTEG(x[D], 0) ~~|"


@pytest.mark.parametrize("ending", [".xmile", ".stmx", ".xml", ".mdl", ".MDL"])
def test_the_ending_says_the_format(write_mdl: Write, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out{ending}"
    cipark("convert", write_mdl(EQUATIONS), "-o", output)
    assert read_model(output)["x"].units == "unit"


def test_a_flat_model_has_scalars_with_plain_names(write_mdl: Write, tmp_path: Path) -> None:
    output = tmp_path / "flat.mdl"
    cipark("convert", write_mdl(EQUATIONS), "-o", output, "--flat")
    assert [v.label for v in read_model(output)][:4] == ["x A", "x B", "S A", "S B"]


def test_a_model_of_the_package_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn_figures: None
) -> None:
    monkeypatch.chdir(tmp_path)
    cipark("convert", "core", "-o", "core.xmile")
    assert read_model("core.xmile").name == "core"
    call = ["sensitivity", "core", "--method", "tornado", "-o", "out"]
    cipark(*call)


def test_the_input_is_not_overwritten(write_mdl: Write) -> None:
    path = write_mdl(EQUATIONS)
    before = path.read_bytes()
    result = cipark("convert", path, "-o", path.parent / "." / path.name, "--flat", code=2)
    assert (result.exit_code, path.read_bytes()) == (2, before)
    assert "is the input itself" in result.output


@pytest.mark.parametrize(
    ("equations", "output", "options", "message"),
    [
        (EQUATIONS, "out.json", [], "no ending that says its format"),
        (EQUATIONS, "nowhere/out.mdl", [], "does not exist"),
        (EQUATIONS, ".mdl/", [], "no ending that says its format"),
        (EQUATIONS, "out.mdl", ["--inline-lookups"], "--inline-lookups is for XMILE"),
        ("x = NPV(Time, 1, 2, 3) ~~|", "out.xmile", [], "the function VENSIM NPV"),
        ("x = (1 + ~~|", "out.xmile", [], "cannot be read"),
    ],
)
def test_what_goes_wrong_is_one_message_and_nothing_is_written(
    write_mdl: Write, tmp_path: Path, equations: str, output: str, options: list[str], message: str
) -> None:
    path = write_mdl(equations)
    before = sorted(tmp_path.iterdir())
    result = cipark("convert", path, "-o", tmp_path / output, *options, code=2)
    assert re.search(message, " ".join(result.output.split()))
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_model_is_an_error(tmp_path: Path) -> None:
    result = cipark("convert", tmp_path / "no.mdl", "-o", tmp_path / "a.xmile", code=2)
    assert (result.exit_code, "does not exist" in result.output) == (2, True)
