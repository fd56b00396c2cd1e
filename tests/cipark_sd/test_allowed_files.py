"""What a model or a study names lies beneath its own folder, or beneath one that the user has allowed."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import cipark

from calibration.new_study.folders import from_template
from calibration.study import STUDIES
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError, InvalidValue, ModelFileError, UnknownName
from cipark_sd.base.inputs import OutsideFolder, beneath
from cipark_sd.base.library import bundled
from cipark_sd.commands.policy.analysis import read_target
from cipark_sd.language.read.model_file import read_model
from cipark_sd.pages.figures.observed import display_of
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.checks.file import BuiltIn, read_checks

CONTROL = "INITIAL TIME = 0 ~~|\nFINAL TIME = 1 ~~|\nTIME STEP = 1 ~~|\nSAVEPER = 1 ~~|\n"
#: Each of the ways in which a Vensim file names another one.
NAMING = {
    "constant": "rate = GET DIRECT CONSTANTS('{file}', ',', 'B2') ~~|",
    "data": "rate := GET DIRECT DATA('{file}', ',', '1', 'B2') ~~|",
    "lookup": "table( GET DIRECT LOOKUPS('{file}', ',', '1', 'B2')) ~~| rate = table(1) ~~|",
    "range": "Place: GET DIRECT SUBSCRIPT('{file}', ',', 'A1', 'A', '') ~~| rate[Place] = 1 ~~|",
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the folder of the model."""
    path = tmp_path / "outside.csv"
    path.write_text("time,0,1\nvalue,3,4\n", encoding="utf-8")
    return path


def model_file(tmp_path: Path, equations: str) -> Path:
    (tmp_path / "model").mkdir(exist_ok=True)
    path = tmp_path / "model" / "model.mdl"
    path.write_text("{UTF-8}\n" + equations + "\n" + CONTROL, encoding="utf-8")
    return path


@pytest.mark.parametrize("way", NAMING)
def test_a_file_is_found_by_a_name_in_any_case(way: str, tmp_path: Path, outside: Path) -> None:
    """Vensim runs on Windows; two files that differ in their capitals alone are neither."""
    path = model_file(tmp_path, NAMING[way].format(file="Input\\Elec/NUMBERS.csv"))
    (path.parent / "input" / "elec").mkdir(parents=True)
    (path.parent / "input" / "elec" / "Numbers.csv").write_bytes(outside.read_bytes())
    assert np.isfinite(simulate(read_model(path), save=["rate"])["rate"]).all()
    (path.parent / "input" / "elec" / "nuMbers.csv").write_bytes(outside.read_bytes())
    with pytest.raises(CiparkError, match="is not there"):
        simulate(read_model(path))


@pytest.mark.parametrize("way", NAMING)
@pytest.mark.parametrize("spelling", ["above", "absolute", "link", "linked folder"])
def test_a_file_elsewhere_is_refused_before_it_is_read_and_read_where_that_is_allowed(
    way: str, spelling: str, tmp_path: Path, outside: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link.csv").symlink_to(outside)
    (tmp_path / "model" / "linked").symlink_to(tmp_path)
    named = {
        "above": "../outside.csv",
        "absolute": str(outside),
        "link": "link.csv",
        "linked folder": "linked/outside.csv",
    }[spelling]
    path = model_file(tmp_path, NAMING[way].format(file=named))
    expected = rf"model\.mdl: the file '{named}' lies at '{outside}', outside the folder .* --allow-files {tmp_path} "
    for _ in range(2):
        with pytest.raises(OutsideFolder, match=expected):
            read_model(path)
        # the second time the model comes from the cache, and is refused as well
        model = read_model(path, allow_files=[tmp_path])
    assert "rate" in simulate(model, save=["rate"])


def test_all_files_elsewhere_are_told_at_once(tmp_path: Path, outside: Path) -> None:
    equations = (
        "a = GET DIRECT CONSTANTS('../outside.csv', ',', 'B2') ~~| b = GET DIRECT CONSTANTS('/x', ',', 'B2') ~~|"
    )
    with pytest.raises(CiparkError, match=r"(?s)2 problems.*'\.\./outside\.csv' lies.*'/x' lies"):
        read_model(model_file(tmp_path, equations))


def test_a_folder_whose_name_begins_alike_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(OutsideFolder):
        beneath(tmp_path / "model", "../model2/data.csv", [], where="here")
    assert beneath(tmp_path / "model", "deep/../data.csv", [], where="here") == tmp_path / "model" / "data.csv"
    with pytest.raises(InvalidValue, match=r"the file's name is 'a.x00b', expected a path"):
        beneath(tmp_path, "a\0b", [], where="here")


@pytest.mark.parametrize("file", ["/server/share/x.csv", "../server/x.csv", "//server/share/x.csv"])
def test_a_name_outside_is_refused_before_it_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """To look up a name of Windows' network is to call the computer that it names."""
    path = model_file(tmp_path, f"a = GET DIRECT CONSTANTS('{file}', ',', 'B2') ~~|")
    asked: list[str] = []

    def told(ask: Any, place: object, *rest: object, **options: object) -> Any:
        asked.append(str(place))
        return ask(place, *rest, **options)

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, partial(told, getattr(os, name)))
    with pytest.raises(CiparkError, match="lies at"):
        read_model(path)
    assert asked
    assert not [place for place in asked if "server" in place]


def test_a_macro_is_no_way_round(tmp_path: Path, outside: Path) -> None:
    macro = (
        ":MACRO: M(x)\nM = x * own ~~|\nown = GET DIRECT CONSTANTS('../outside.csv', ',', 'B2') ~~|\n:END OF MACRO:\n"
    )
    with pytest.raises(CiparkError, match="lies at"):
        read_model(model_file(tmp_path, macro + "rate = M(2) ~~|"))


@pytest.mark.parametrize("command", ["run", "show", "check", "certify", "sensitivity", "convert"])
def test_each_command_that_reads_a_model_has_the_option(command: str, tmp_path: Path, outside: Path) -> None:
    equations = "level = INTEG(-rate * level, 1) ~ m ~| rate = GET DIRECT CONSTANTS('../outside.csv', ',', 'B2') ~1/s~|"
    path = model_file(tmp_path, equations)
    extra = ["-o", str(tmp_path / "out.xmile")] if command == "convert" else []
    refused = cipark(command, path, *extra, code=2)
    assert f"allow it with --allow-files {tmp_path}" in refused.output
    if command in ("show", "convert"):
        cipark(command, path, "--allow-files", tmp_path, *extra)


@pytest.mark.parametrize("command", ["calibrate", "new-study", "policy"])
def test_commands_of_studies_have_the_option(command: str) -> None:
    assert "--allow-files FOLDER" in cipark(command, "--help").output


PROBLEM = """
[model]
file = "{model}"
[[observation]]
name = "seen"
table = "{table}"
kind = "level"
variable = "rate"
"""


@pytest.mark.parametrize(("model", "table"), [("../model.mdl", "data.csv"), ("model.mdl", "../outside.csv")])
def test_a_study_reads_nothing_elsewhere(model: str, table: str, tmp_path: Path, outside: Path) -> None:
    text = "{UTF-8}\nrate = Time ~~|\n" + CONTROL
    (tmp_path / "study").mkdir()
    for path in (tmp_path / "model.mdl", tmp_path / "study" / "model.mdl"):
        path.write_text(text, encoding="utf-8")
    (tmp_path / "study" / "data.csv").write_text("time,rate\n1,1\n", encoding="utf-8")
    problem = PROBLEM.format(model=model, table=table)
    (tmp_path / "study" / "problem.toml").write_text(problem, encoding="utf-8")
    with pytest.raises(
        CiparkError, match=rf"'{model if '..' in model else table}' lies at .* --allow-files {tmp_path}"
    ):
        read_problem(tmp_path / "study")
    with pytest.raises(CiparkError) as allowed:
        read_problem(tmp_path / "study", allow_files=[tmp_path])
    # the study is no whole one; what is left to say has nothing to do with places
    assert "lies at" not in str(allowed.value)


@pytest.mark.parametrize("entry", ['file = "../model.mdl"', 'study = ".."', 'study = "/"'])
def test_a_catalogue_reads_nothing_elsewhere(entry: str, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "policies.toml").write_text(f"[model]\n{entry}\n", encoding="utf-8")
    with pytest.raises(OutsideFolder):
        read_target(tmp_path / "study")


def test_a_catalogue_names_no_study_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("study", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "study" / "policies.toml").write_text('[model]\nstudy = "other"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="has no study 'other'"):
        read_target(tmp_path / "study")


@pytest.mark.parametrize("name", ["../pyproject.toml", "../../secret.mdl", str(Path(__file__))])
def test_what_comes_with_the_package_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(ModelFileError, match="is not among the bundled models"):
        bundled(name)


def test_a_display_file_reads_nothing_elsewhere_and_imports_nothing(tmp_path: Path, outside: Path) -> None:
    path = model_file(tmp_path, "")
    display = path.with_suffix(".display.toml")
    display.write_text('[observed]\nfile = "../outside.csv"\n', encoding="utf-8")
    with pytest.raises(OutsideFolder):
        display_of(path)
    with pytest.raises(UnknownName, match=r"'date'") as raised:
        display_of(path, [tmp_path]).observed(read_model(path))
    assert str(outside) in str(raised.value)
    # a part of a package would be found by importing the package
    display.write_text('[observed]\npackage = "this.x"\nfile = "a.csv"\n', encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"'package' in .observed. is 'this.x', expected an installed package"):
        display_of(path)


def test_a_copy_of_a_study_is_written_nowhere_else(tmp_path: Path, outside: Path) -> None:
    text = "{UTF-8}\nrate = Time ~~|\n" + CONTROL
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "model.mdl").write_text(text, encoding="utf-8")
    problem = PROBLEM.format(model="model.mdl", table=os.fspath(outside))
    (tmp_path / "study" / "problem.toml").write_text(problem, encoding="utf-8")
    before = outside.read_bytes()
    call = ["new-study", "--from", str(tmp_path / "study"), "-o", str(tmp_path / "copy")]
    done = cipark(*call, code=2)
    assert "lies at" in done.output
    assert outside.read_bytes() == before
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("engine", ["native", "pysd"])
def test_a_separator_is_one_character_and_no_pattern(engine: str, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("1;2\n3;4\n")
    source = "{UTF-8}\nc = GET DIRECT CONSTANTS('numbers.csv', '%s', 'B2') ~ ~ | d = c ~ ~ |" + CONTROL
    (tmp_path / "one.mdl").write_text(source % ";")
    assert simulate(read_model(tmp_path / "one.mdl"), save=["d"], engine=engine).d[0].item() == 4
    (tmp_path / "pattern.mdl").write_text(source % "(;+)+")
    with pytest.raises(ModelFileError, match="has more than one character"):
        simulate(read_model(tmp_path / "pattern.mdl"), save=["d"], engine=engine)


def test_a_toml_file_beside_another_one_is_no_link_out_of_its_folder(tmp_path: Path) -> None:
    """One that somebody names may be; one that is found by its name would read what nobody has named."""
    (tmp_path / "mine.toml").write_text("[builtin]\nconservation = false\n", encoding="utf-8")
    path = model_file(tmp_path, "rate = 1 ~~|")
    checks = path.with_name("model.checks.toml")
    checks.symlink_to(tmp_path / "mine.toml")
    model = read_model(path)
    with pytest.raises(CiparkError, match=r"model\.checks\.toml: the file is a link out of its folder"):
        read_checks(checks, model)
    assert read_checks(checks, model, named=True).builtin != BuiltIn()
    within = path.with_name("within.toml")
    within.write_bytes((tmp_path / "mine.toml").read_bytes())
    checks.unlink()
    checks.symlink_to(within)
    assert read_checks(checks, model).builtin != BuiltIn()


@pytest.mark.parametrize("name", ["problem.toml", "policies.toml", "sensitivity.toml", "model.checks.toml"])
def test_a_study_is_not_copied_with_what_its_links_lead_to(tmp_path: Path, name: str) -> None:
    """A copy of a stranger's study would have the text of any file of the reader's."""
    study = Path(shutil.copytree(STUDIES / "flu_1978", tmp_path / "theirs"))
    secret = tmp_path / "secret.toml"
    secret.write_bytes((study / name).read_bytes() if name == "problem.toml" else b"# SECRET\n")
    (study / name).unlink(missing_ok=True)
    (study / name).symlink_to(secret)
    with pytest.raises(CiparkError, match=f"{name}: the file is a link out of its folder"):
        from_template(str(study), tmp_path / "mine", force=False)
    assert not (tmp_path / "mine").exists()
