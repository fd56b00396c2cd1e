"""``cipark sensitivity`` is about the question of the fit: its title, its first figure, its first numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark
from left_fit import leave_fit
from numpy.typing import NDArray
from small_study import STUDY, small_study

from calibration.study.problem import read_problem
from cipark_sd.commands.sensitivity.findings import load
from cipark_sd.commands.sensitivity.output import First
from cipark_sd.pages.blocks import FirstScreen
from cipark_sd.pages.page import read_page

pytestmark = pytest.mark.usefixtures("undrawn_figures")
Array = NDArray[np.float64]
#: Draws of which the rate matters early and the size late.
SIZE, RATE = np.exp([[0.05], [0.1]] * np.random.default_rng(1).standard_normal((2, 400))) * [[100.0], [0.2]]
FOLDER = Path("cipark-output", "leaving-sensitivity")


def left(time: float, pace: float = 1.0) -> Array:
    """What has left by then in each draw, by Euler's steps of an eighth."""
    return np.asarray(SIZE * (1 - (1 - RATE * pace / 8) ** (8 * time)))


#: Questions, what the title calls them, the constant that narrows the answer most, and the answer in each draw.
QUESTIONS = [
    ("left at 1", "left at year 1", "rate", left(1)),
    ("left at 12", "left at year 12", "size", left(12)),
    ("left at 2, change from pace = 0.5", "left, change from pace = 0.5 at year 2", "rate", left(2) - left(2, 0.5)),
    ("maximum of leaving at 12", "Maximum of leaving at year 12", "rate", SIZE * RATE),
]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving").mkdir()
    small_study(tmp_path / "leaving")
    return tmp_path / "leaving"


def fitted(study: Path, about: str = "") -> None:
    problem = small_study(study)
    leave_fit(Path("cipark-output", "leaving"), problem, draws=np.column_stack([SIZE, RATE]), about=about)


def asked(*options: str) -> FirstScreen:
    cipark("sensitivity", "leaving", *options, catch_exceptions=False)
    (screen,) = read_page(FOLDER).sections[0].blocks
    assert isinstance(screen, FirstScreen)
    return screen


@pytest.mark.parametrize("by", ["fit", "option"])
@pytest.mark.parametrize(("about", "named", "constant", "values"), QUESTIONS)
def test_title_figure_and_first_number_are_of_what_the_fit_was_asked(
    study: Path, by: str, about: str, named: str, constant: str, values: Array
) -> None:
    fitted(study, about if by == "fit" else "left at 5")
    screen = asked(*(("--about", about) if by == "option" else ()))
    assert screen.title == f"Knowing {constant} would narrow {named} most"
    assert screen.subject == f"What would narrow {named} most?: leaving"
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    said, *_ = screen.known.split(" in 90% of the runs")
    assert said.startswith(f"{named}: ")
    numbers = [float(word) for word in said.removeprefix(f"{named}: ").split() if word[0].isdigit()]
    # firms are said in whole ones
    assert numbers == pytest.approx([middle, low, high], abs=0.51)
    findings = load(FOLDER)
    (drawing,) = First(()).drawings(findings)
    ((first, *_),) = drawing.parts
    assert (drawing.options["label"], first.name) == (named, constant)


def test_the_question_of_the_study_itself_is_asked_before_a_fit(study: Path) -> None:
    (study / "problem.toml").write_text(f'about = "left at 12"\n{STUDY}', encoding="utf-8")
    screen = asked("--method", "sobol", "--rows", "64")
    assert screen.subject == "What would narrow left at year 12 most?: leaving"
    assert screen.title.endswith("moves left at year 12 most")


def test_outputs_or_times_that_somebody_names_take_the_place_of_the_question(study: Path) -> None:
    fitted(study, "left at 1")
    for options in (("--at", "12"), ("--variables", "left"), ("--every", "1")):
        screen = asked(*options)
        assert (screen.title, screen.subject.endswith("left most?: leaving")) == (
            "Knowing size would narrow left most",
            True,
        )


def test_what_was_asked_without_an_answer_is_not_answered_by_another_output(study: Path) -> None:
    """Nothing has left at the start."""
    fitted(study, "left at 0")
    screen = asked()
    assert screen.title == "What would narrow left at year 0 most is not known from these runs"
    assert "left, 0: no ranking, since the variance is negligible." in screen.not_known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--about", "rate"), r"rate.*expected a variable at a date"),
        (("--about", "lefd at 3"), "did you mean 'left'"),
        (("--about", "left at 3", "--at", "4"), "--about.*expected alone"),
    ],
)
def test_a_question_that_cannot_be_ranked_is_one_error(study: Path, options: tuple[str, ...], message: str) -> None:
    fitted(study)
    done = cipark("sensitivity", "leaving", *options, code=2)
    assert re.search(message, " ".join(done.output.split()))


def test_a_model_alone_has_outputs_and_no_question(study: Path) -> None:
    done = cipark("sensitivity", study / "leaving.mdl", "--about", "left at 3", code=2)
    assert "--variables and --at" in done.output


@pytest.mark.parametrize("by", ["option", "file"])
def test_times_are_dates_where_the_study_has_dates(study: Path, by: str) -> None:
    """A year of the run is a year after the origin."""
    (study / "problem.toml").write_text(f'{STUDY}[dates]\nunit = "year"\norigin = 2000-12-31\n', encoding="utf-8")
    leave_fit(Path("cipark-output", "leaving"), read_problem(study), draws=np.column_stack([SIZE, RATE]))
    if by == "file":
        (study / "sensitivity.toml").write_text('[[moment]]\ntime = "2012-12-31"\n', encoding="utf-8")
        screen = asked()
    else:
        screen = asked("--at", "2012-12-31")
    low, middle, high = np.quantile(left(12), [0.05, 0.5, 0.95])
    said = f"left on 31 Dec 2012: {middle:.0f} firms at the median, {low:.0f} to {high:.0f} in 90%"
    assert screen.known.startswith(said)
    assert screen.title == "Knowing size would narrow left most"


def test_a_time_that_is_none_and_one_outside_of_the_run_are_one_error(study: Path) -> None:
    for text, said in (("noon", "the time is 'noon', expected a date"), ("2012-12-31", "one of the run, 0 to 12")):
        assert said in " ".join(cipark("sensitivity", "leaving", "--at", text, code=2).output.split())
