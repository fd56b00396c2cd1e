"""``cipark policy`` as people use it."""

import pandas as pd
import pytest
from click.testing import CliRunner

from cipark_sd import results
from cipark_sd.cli import cli
from cipark_sd.experiments.definition import Factor
from cipark_sd.scenarios import Scenario

SMALL = ["policy", "--n", "6", "--rivals", "M0,M1", "--draws", "prior"]


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    return folder, run(*SMALL, "-o", folder)


def test_it_says_that_prior_draws_have_not_seen_the_data(written):
    assert "draws from the PRIOR: nothing here has seen the data" in written[1].output


def test_the_table_has_all_experiments_and_the_verdict(written):
    output = written[1].output
    assert output.count("China Merchants with 5 %") >= 2
    assert "expectations hold under every one of 2 rivals" in output


def test_the_result_is_one_dataset_over_policies_rivals_draws_and_times(written):
    data = results.load(written[0] / "policies.nc")
    assert data["residents"].dims == ("policy", "rival", "draw", "time")
    assert data["time"].to_numpy().tolist() == [2015.33, 2019.9, 2025.0, 2030.0]
    assert "PRIOR" in data.attrs["basis"]


def test_the_tables_as_files_hold_intervals_and_monte_carlo_errors(written):
    frame = pd.read_csv(written[0] / "effects.csv")
    assert {"low50", "high50", "low90", "high90", "more", "mcse", "mcse_more"} <= set(frame.columns)
    assert len(pd.read_csv(written[0] / "claims.csv")) >= 35


def test_the_figures_are_there(written):
    for name in ("effects.png", "course.png"):
        assert (written[0] / name).stat().st_size > 10_000


def test_nothing_of_the_unfinished_is_left(written):
    assert not list(written[0].glob("*.parts"))
    assert not list(written[0].glob(".*partial*"))


def test_attribution_prints_sums_that_do_not_agree(tmp_path, monkeypatch):
    from dataclasses import replace

    from calibration.policy import study as policy_study

    read = policy_study.read_catalogue
    two = (
        Factor("framework", "Framework", Scenario("", {"SW Framework": 0})),
        Factor("cmg", "Operator", Scenario("", {"SW CMG": 0})),
    )
    monkeypatch.setattr(policy_study, "read_catalogue", lambda *a: replace(read(*a), factors=two))
    shown = run(*SMALL, "--part", "attribution", "-o", tmp_path)
    assert "all mechanisms less none" in shown.output
    assert "may come without the framework" in shown.output
    assert {"shapley_mean", "leave_one_out", "add_one_in"} <= set(pd.read_csv(tmp_path / "attribution.csv").columns)
    assert (tmp_path / "attribution.png").exists()


def test_robustness_and_information_say_what_they_found(tmp_path, monkeypatch):
    from dataclasses import replace

    from calibration.policy import study as policy_study

    read = policy_study.read_catalogue

    def fewer(*arguments):
        catalogue = read(*arguments)
        robust = replace(catalogue.robustness, futures=60, strategies=catalogue.robustness.strategies[:3])
        uncertainties, measurements = catalogue.uncertainties[:1], catalogue.measurements[:1]
        return replace(catalogue, robustness=robust, uncertainties=uncertainties, measurements=measurements)

    monkeypatch.setattr(policy_study, "read_catalogue", fewer)
    shown = run(*SMALL, "--part", "robustness", "--part", "information", "-o", tmp_path)
    assert "Where the demands are not met" in shown.output
    assert "in resamples" in shown.output
    worth = pd.read_csv(tmp_path / "information.csv").set_index("kind")["value"]
    assert {"everything", "input", "measurement"} == set(worth.index)
    assert {"robustness.png", "information.png"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rivals", "M0,M99"], "has no rival 'M99'"),
        (["--outcome", "profit"], "has no outcome 'profit'"),
        (["--draws", "nowhere.nc"], "a file that exists, or the word prior"),
        (["elsewhere"], "no bundled study 'elsewhere'"),
    ],
)
def test_mistakes_are_told_in_one_message(arguments, message, tmp_path):
    shown = CliRunner().invoke(cli, ["policy", "-o", str(tmp_path), *arguments])
    assert shown.exit_code == 2
    assert message in shown.output
