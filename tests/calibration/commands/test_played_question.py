"""What a study is about is the first curve of its page, read at the date that is asked for."""

from pathlib import Path

import pytest
from small_study import POLICIES, STUDY, small_study

from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of


@pytest.mark.parametrize("policies", [False, True])
@pytest.mark.parametrize(
    ("about", "first", "at"),
    [
        ("", "left", 8.0),
        ("stock at 7", "stock", 7.0),
        ("leaving at 11.5", "leaving", 11.5),
        # a metric has no date of its own: the page reads where it did
        ("first-below 20 of stock at 12", "stock", 8.0),
        ("rate", "left", 8.0),
    ],
)
def test_the_first_curve_is_what_the_study_is_about(
    tmp_path: Path, about: str, first: str, at: float, *, policies: bool
) -> None:
    small_study(tmp_path)
    (tmp_path / "problem.toml").write_text((f'about = "{about}"\n' if about else "") + STUDY, encoding="utf-8")
    if policies:
        (tmp_path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    contents = contents_of(Settings(folder=tmp_path, draws="prior", runs=4))
    assert (contents.outcomes[0].variable, contents.at) == (first, at)
    assert len({outcome.variable for outcome in contents.outcomes}) == len(contents.outcomes)
    assert contents.until >= at
    # who names outputs has these
    named = contents_of(Settings(folder=tmp_path, draws="prior", runs=4, variables=("left",)))
    assert [outcome.variable for outcome in named.outcomes] == ["left"]
