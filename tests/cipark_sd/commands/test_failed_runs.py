"""Runs that fail in an analysis: counted, told with their cause on console and page, and an error beyond a share."""

import html
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import cipark
from places import SHARED

from cipark_sd.analysis.sensitivities import response as response_module
from cipark_sd.analysis.sensitivities.evaluation import Output
from cipark_sd.analysis.sensitivities.factors import around
from cipark_sd.analysis.sensitivities.response import ModelResponse, model_response
from cipark_sd.analysis.sensitivities.sobol import sobol
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.failures import BELOW, REASON, Failures, labels, share_of

pytestmark = pytest.mark.usefixtures("undrawn_figures")
Write = Callable[..., Path]
#: The level must not be negative; after 4.5 years it is, where much is lost from little. No step mends that.
DRAINED = """
level = INTEG(-loss, start) ~ m [0,?] ~ |
start = 10 ~ m ~ |
loss = 1.6 ~ m/Year ~ |
"""


def text_of(page: Path) -> str:
    return html.unescape(page.read_text(encoding="utf-8"))


def test_a_sensitivity_analysis_tells_what_failed_and_leaves_it_out(write_mdl: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model = write_mdl(DRAINED, final=4.5, step=0.25, saveper="0.25")
    done = cipark("sensitivity", model, "--method", "sample", "--rows", "64", "-o", out)
    drawn = xr.load_dataset(out / "sample.nc")
    start, loss = (drawn["constants"].sel(parameter=name).to_numpy() for name in ("start", "loss"))
    below = start - 4.5 * loss < 0
    n = int(below.sum())
    assert 1 < n < 0.05 * 1024
    assert np.array_equal(np.isnan(drawn["values"].to_numpy()).all(axis=(1, 2)), below)
    # the first run below zero is that at the first saved time at which it is
    earliest = np.ceil((start / loss)[below] / 0.25 + 1e-9).min() * 0.25
    sentence = (
        f"sample: {n} of 1,024 runs ({share_of(n / 1024)}) failed and are left out where they have no value: {n} runs: "
        f"level is below its lower limit, earliest at time {earliest:g}."
    )
    for told in (done.output, (out / "summary.txt").read_text(encoding="utf-8"), text_of(out / "report.html")):
        assert " ".join(sentence.split()) in " ".join(told.split())


def test_more_than_the_share_that_is_allowed_is_an_error_with_the_cause(write_mdl: Write, tmp_path: Path) -> None:
    model = write_mdl(DRAINED, final=4.5, step=0.25)
    allowed = ("--allow-failed", "0.001")
    done = cipark("sensitivity", model, "--method", "sample", "--rows", "64", *allowed, "-o", tmp_path / "out", code=2)
    assert "which is more than the share of 0.001 of all that is allowed" in " ".join(done.output.split())
    assert "level is below its lower limit" in done.output
    assert not (tmp_path / "out" / "report.html").exists()


def response_of(model_file: Path, allowed: float = 1.0) -> ModelResponse:
    model = read_model(model_file)
    response = model_response(model, around(model, 0.2).factors, [Output("level", "level")], times=[4.5])
    return replace(response, allowed=allowed)


def test_a_design_that_was_stopped_counts_each_failed_run_once(
    write_mdl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mdl(DRAINED, final=4.5, step=0.25)
    whole = response_of(path)
    expected = sobol(whole, n=256, seed=1, resamples=10)
    monkeypatch.setattr(response_module, "RUNS_AT_A_TIME", 1)
    stopped = response_of(path)

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    kept = Checkpoints(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        sobol(stopped, n=256, seed=1, resamples=10, checkpoints=kept, progress=stop)
    again = response_of(path)
    assert sobol(again, n=256, seed=1, resamples=10, checkpoints=kept).identical(expected)
    assert whole.failures["sobol"].failed > 3
    assert np.array_equal(again.failures["sobol"].arrays, whole.failures["sobol"].arrays)


def test_a_run_outside_the_range_of_its_output_says_so(write_mdl: Write) -> None:
    model = read_model(write_mdl(DRAINED.replace("[0,?]", ""), final=4.5, step=0.25, saveper="0.25"))
    factors, rows = around(model, 0.2).factors, np.zeros(2, dtype=np.uint64)
    # the level at its start of 10 or 12 less 1.6 a year
    values = np.array([[10.0, 1.6], [12.0, 1.6]])

    def told(low: float) -> list[str]:
        response = model_response(model, factors, [Output("level", "level", range=(low, 99.0))], times=[4.0, 4.5])
        failures = Failures(labels(model))
        failures.add(response.evaluation(values, rows))
        return failures.lines()

    assert told(-99.0) == []
    assert told(4.5) == ["1 run: level is outside its range, earliest at time 3.5"]


def test_an_ensemble_and_an_analysis_mark_the_same_run_alike(write_mdl: Write) -> None:
    from cipark_sd.analysis.runs.design import Listed
    from cipark_sd.analysis.runs.work import Work

    path = write_mdl(DRAINED, final=4.5, step=0.25, saveper="0.25")
    rows = np.array([[8.0, 1.9], [10.0, 1.6], [8.1, 1.92]])
    ensemble = Work(read_model(path), Listed(("start", "loss"), rows), ("level",), "native").compute(0, 3)
    analysis = response_of(path).evaluation(rows, np.arange(3, dtype=np.uint64))
    assert ensemble[REASON].tolist() == [BELOW, 0, BELOW]
    for name in (REASON, "run_failed_variable", "run_failed_time"):
        assert np.array_equal(ensemble[name], analysis[name], equal_nan=True)


def test_policies_tell_what_failed_and_stop_beyond_the_share(tmp_path: Path) -> None:
    study = tmp_path / "fishery"
    shutil.copytree(SHARED / "fishery", study)
    model = study / "fish.mdl"
    text = model.read_text(encoding="utf-8")
    # a limit of the file that few draws of the catch come to
    bounded = text.replace("Initial Fish)\n\t~\tton\n", "Initial Fish)\n\t~\tton [260,?]\n")
    assert bounded != text
    model.write_text(bounded, encoding="utf-8")
    call = ("policy", study, "--part", "effects", "--runs", "60")
    done = cipark(*call, "--allow-failed", "0.9", "-o", tmp_path / "out")
    told = " ".join(done.output.split())
    assert "failed and are left out where they have no value" in told
    assert "Fish is below its lower limit, earliest at time" in told
    assert "Fish is below its lower limit, earliest at time" in " ".join(
        text_of(tmp_path / "out" / "report.html").split()
    )
    refused = cipark(*call, "--allow-failed", "0", "-o", tmp_path / "other", code=2)
    assert "runs failed, which is more than the share of 0 of all that is allowed" in " ".join(refused.output.split())
