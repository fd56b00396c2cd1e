"""Which curves a page plays: each by the name of what it is, not of a number that is read from it."""

from pathlib import Path

import pytest

from calibration.commands.play.catalogue import outcomes_of
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.language.read.model_file import read_model

MODEL = """{UTF-8}
Gut = INTEG(-a, 200) ~ mg ~|
Blood = INTEG(a - 0.2 * Blood, 0) ~ mg ~|
a = Rate * Gut ~ mg/Hour ~|
Rate = 1 ~ 1/Hour ~|
INITIAL TIME = 0 ~ Hour ~|
FINAL TIME = 24 ~ Hour ~|
TIME STEP = 0.25 ~ Hour ~|
SAVEPER = TIME STEP ~ Hour ~|
"""
POLICIES = """
title = "Drug"
times = [24]
[headline]
outcome = "peak"
at = 24
{also}
[[outcome]]
id = "peak"
title = "Peak of Blood"
variable = "Blood"
metric = "maximum"
[[outcome]]
id = "when"
title = "Time of the peak of Blood"
variable = "Blood"
metric = "time-of-maximum"
[[outcome]]
id = "gut"
title = "Left in the gut"
variable = "Gut"
[[outcome]]
id = "flow"
title = "Absorbed"
variable = "a"
[[policy]]
id = "slow"
title = "Slower"
set = {{ "Rate" = 0.5 }}
"""


@pytest.mark.parametrize(
    ("also", "titles"),
    [
        # a peak and its time are one curve, which leaves room for another
        ('also = ["when"]', ["Blood", "Left in the gut"]),
        ('also = ["when", "flow"]', ["Blood", "Absorbed"]),
        ("", ["Blood", "Left in the gut", "Absorbed"]),
    ],
)
def test_a_curve_has_the_name_of_its_variable_and_not_of_a_number_read_from_it(
    tmp_path: Path, also: str, titles: list[str]
) -> None:
    (tmp_path / "drug.mdl").write_text(MODEL, encoding="utf-8")
    (tmp_path / "policies.toml").write_text(POLICIES.format(also=also), encoding="utf-8")
    model = read_model(tmp_path / "drug.mdl")
    catalogue = read_catalogue(tmp_path / "policies.toml", model)
    assert [outcome.title for outcome in outcomes_of(catalogue, model)] == titles
