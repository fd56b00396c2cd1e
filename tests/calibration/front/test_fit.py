"""A fit as a value: what the next lines of a notebook do with it."""

import json
import pickle
import subprocess
import sys
from html import unescape
from pathlib import Path

import arviz
import numpy as np
import pandas as pd
import pytest

import cipark_sd as cp
from calibration import Fit
from calibration.front import fit as fit_module
from calibration.noise.priors import LogNormal
from cipark_sd.base.errors import InvalidValue, UnknownName, UnusableInput

MODEL = """{UTF-8}
Infected = INTEG(New Infections - Recoveries, Infected At Start) ~ person ~ |
Susceptible = INTEG(-New Infections, Population - Infected At Start) ~ person ~ |
New Infections = Contact Rate * Susceptible * Infected / Population ~ person/day ~ |
Recoveries = Infected / Duration ~ person/day ~ |
Infected At Start = 1 ~ person ~ |
Population = 763 ~ person ~ |
Contact Rate = 1.6 ~ 1/day ~ |
Duration = 2.2 ~ day ~ |
INITIAL TIME = 0 ~ day ~ |
FINAL TIME = 14 ~ day ~ |
TIME STEP = 0.125 ~ day ~ |
SAVEPER = TIME STEP ~ day ~ |
"""
#: In bed, January 22 to February 4, 1978 (British Medical Journal 1, 587, 1978).
IN_BED = [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sir") / "sir.mdl"
    path.write_text(MODEL)
    return path


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame({"day": np.arange(1, 15), "In bed": IN_BED})


@pytest.fixture(scope="module")
def study(path: Path, frame: pd.DataFrame) -> cp.Study:
    priors = {"Population": 763, "Infected At Start": LogNormal(1, 0.5)}
    return cp.Study(cp.read_model(path), frame, {"In bed": "Infected"}, priors=priors)


@pytest.fixture(scope="module")
def fit(study: cp.Study) -> Fit:
    return study.fit(posterior=True, starts=4, step=0.03125)


def test_the_scenario_of_a_fit_runs_the_model_of_the_file_to_the_numbers_of_the_fit(path: Path, fit: Fit) -> None:
    run = cp.simulate(path, fit.scenario, save=["Infected"])
    rows = fit.findings.fit.rows
    np.testing.assert_allclose(run.cp["Infected"].sel(time=rows["end"].to_numpy()), rows["expected"], rtol=1e-12)
    assert {"population", "contact_rate"} <= set(fit.scenario.overrides)
    assert not any("noise" in name for name in fit.scenario.overrides)


def test_arviz_takes_the_draws_and_the_summary_has_their_moments(fit: Fit) -> None:
    table = fit.summary()
    theirs = arviz.summary(fit.idata, round_to="none")
    assert list(table.index) == list(theirs.index)
    # importance sampling: the table is of all weighted points, the draws are resampled from them
    np.testing.assert_allclose(table["mean"], theirs["mean"], atol=0.1 * theirs["sd"].max())
    assert table.loc["Contact Rate", "unit"] == "1/day"
    assert table.loc["Contact Rate", "estimate"] == fit.estimates["Contact Rate"]
    assert np.isnan(table.loc["Contact Rate", "low"])
    assert table.loc["Contact Rate", "class"] in ("known", "narrowed", "not narrowed")


def test_a_prediction_runs_the_draws_and_its_scenario_wins_over_them(path: Path, fit: Fit) -> None:
    runs = fit.predict(draws=20)
    assert runs.sizes["run"] == 20
    drawn = fit.idata["posterior"]["Contact Rate"].to_numpy().ravel()
    chosen = drawn[np.linspace(0, len(drawn) - 1, 20).round().astype(int)]
    np.testing.assert_array_equal(runs.cp["Contact Rate"], chosen)
    first = {name: float(runs.cp[name][0]) for name in ("Contact Rate", "Duration", "Infected At Start")}
    run = cp.simulate(path, fit.scenario | cp.Scenario("", first), save=["Infected"])
    np.testing.assert_array_equal(runs.cp["Infected"].isel(run=0), run.cp["Infected"])
    calm = fit.predict({"Contact Rate": 0.1}, draws=20, save=["New Infections"], times=[14])
    assert "contact_rate" not in calm.coords
    assert float(calm.cp["New Infections"].max()) < 0.01 < float(runs.cp["Infected"].max())


def test_a_fit_shows_itself(fit: Fit) -> None:
    assert repr(fit).startswith("<Fit of sir: ")
    assert len(repr(fit)) < 400
    assert repr(fit.draws).startswith("<PosteriorDraws: ")
    page = fit._repr_html_()
    assert page.startswith("<iframe")
    assert "Known" in page
    assert "data:image/svg" in page
    assert len(fit.plot().axes) == 2
    assert {"Contact Rate", "Duration"} <= {axes.get_title(loc="left") for axes in fit.plot("posterior").axes}
    with pytest.raises(UnknownName, match="no figure 'posteriors'; did you mean 'posterior'"):
        fit.plot("posteriors")


@pytest.mark.usefixtures("undrawn_figures")
def test_a_fit_writes_what_the_commands_take_up(fit: Fit, study: cp.Study, tmp_path: Path) -> None:
    folder = fit.save(tmp_path / "saved")
    assert json.loads((folder / "fit.json").read_text())["parameters"] == dict(fit.estimates)
    assert (folder / "draws.nc").is_file()
    effects = cp.policy(study, draws=folder / "draws.nc", runs=20, output=tmp_path / "policy")
    assert effects["page"].is_file()
    assert "posterior" in effects.text
    assert effects._repr_html_().startswith("<iframe")


@pytest.mark.usefixtures("undrawn_figures")
def test_a_report_of_a_fit_is_that_of_the_command(fit: Fit, tmp_path: Path) -> None:
    answer = fit.report(tmp_path / "report", player=False)
    assert answer["page"] == tmp_path / "report" / "report.html"
    assert answer["answer"]["title"] in unescape(answer["page"].read_text())
    assert answer["answer"]["title"] in answer.text
    assert not (tmp_path / "report" / "player.html").exists()


def test_what_needs_draws_or_follows_a_fit_says_so() -> None:
    plain = cp.calibrate("nist_rat42", starts=4)
    for ask in (lambda: plain.idata, plain.predict, lambda: plain.report("never", holdout=True)):
        with pytest.raises((UnusableInput, InvalidValue), match=r"posterior(=True)?"):
            ask()
    assert not Path("never").exists()
    with pytest.raises(UnusableInput, match=r"fit\.report\(holdout=…\)"):
        cp.calibrate("nist_rat42", holdout=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'starts'"):
        cp.calibrate("nist_rat42", start=3)  # type: ignore[call-arg]
    with pytest.raises(UnknownName):
        cp.calibrate("nist_rat4")


@pytest.mark.usefixtures("undrawn_figures")
def test_a_fit_is_played_as_its_report_is(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = cp.play(fit)
    fit.report(tmp_path / "report")
    assert page.page == Path("cipark-output") / "sir-play.html"
    assert page.page.read_text() == (tmp_path / "report" / "player.html").read_text()
    chosen = fit.play(levers=["Duration"], output=tmp_path / "chosen.html")
    assert chosen["bytes"] == (tmp_path / "chosen.html").stat().st_size
    with pytest.raises(UnknownName, match="Duration"):
        cp.play(fit, levers=["Duraton"])


def test_a_pickled_fit_is_the_same_fit_in_another_process(fit: Fit, tmp_path: Path) -> None:
    # what has run holds places in the memory of this process
    fit.summary()
    kept = tmp_path / "fit.pickle"
    kept.write_bytes(pickle.dumps(fit))
    script = (
        f"import pickle; fit = pickle.load(open({str(kept)!r}, 'rb')); print(fit.summary().to_csv()); fit.predict()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip() == fit.summary().to_csv().strip()
    assert pickle.loads(kept.read_bytes()).predict(draws=20).equals(fit.predict(draws=20))


def test_a_fit_is_whole_when_another_process_loads_it(fit: Fit, tmp_path: Path) -> None:
    place = fit.save(tmp_path / "kept")
    script = (
        f"import cipark_sd as cp; fit = cp.load_fit({str(place)!r}); print(fit.summary().to_csv());"
        f"print(fit.predict(draws=20)['infected'].sum().item()); fit.report({str(tmp_path / 'again')!r})"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    total = fit.predict(draws=20)["infected"].sum().item()
    assert ended.stdout.strip() == f"{fit.summary().to_csv()}\n{total}"
    assert (tmp_path / "again" / "fit.json").read_text() == (place / "fit.json").read_text()


def test_a_fit_that_is_not_the_users_or_of_another_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cp.read_study("nist_rat42").fit(starts=2).save(tmp_path / "kept")
    monkeypatch.setattr(fit_module, "program", lambda: "another")
    with pytest.raises(UnusableInput, match="fit again"):
        cp.load_fit(place)
    pickled = place / fit_module.WHOLE
    # what would run if it were read
    pickled.write_bytes(b"another\ncos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    for folder in (place, tmp_path / "none"):
        with pytest.raises(UnusableInput, match="no fit that this user has signed is in it"):
            cp.load_fit(folder)
    assert not (tmp_path / "ran").exists()
