"""Ctrl-C between two stages of a fit, or as one begins: what is done is kept and written, as in the midst of one."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from small_study import small_study

from calibration.commands import pipeline
from calibration.inference.profile import profile as profile_module
from calibration.inference.search.optimise import Optimum
from calibration.report.collect import Calibration, fit_findings
from cipark_sd.base.checkpoints import Checkpoints
from cipark_sd.base.console import Bars

#: What stages call as they begin, go on and end.
CALLED = (
    *((Bars, "show"), (Optimum, "as_good"), (profile_module, "interval_rules"), (profile_module, "records")),
    *((pipeline, name) for name in ("optimise", "_sampled", "_replication", "failed_draws")),
)
PREDICTION = '[[prediction]]\nname = "at the end"\nvariable = "left"\nat = "12"\n'


class Stop:
    """Counts the calls and presses Ctrl-C at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.at = at
        self.calls: list[str] = []
        for place, name in CALLED:
            patch.setattr(place, name, self.counting(name, getattr(place, name)))

    def counting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) == self.at:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        return called


def settings_of(study: Path) -> pipeline.Settings:
    return pipeline.Settings(
        study=study,
        engine="native",
        starts=2,
        posterior=True,
        draws=100,
        holdout=True,
        workers=1,
        checkpoints=Checkpoints(study / "kept", "a"),
    )


def fitted(study: Path, at: int) -> tuple[Calibration | None, list[str]]:
    """The fit with Ctrl-C at a call, None where it leaves nothing, and what was called until then."""
    with pytest.MonkeyPatch.context() as patch:
        stop = Stop(patch, at)
        try:
            return pipeline.calibrate(settings_of(study)), stop.calls
        except KeyboardInterrupt:
            return None, stop.calls


def test_a_stop_at_any_call_keeps_what_the_stages_before_have_made(tmp_path: Path) -> None:
    small_study(tmp_path, PREDICTION)
    whole, calls = fitted(tmp_path, 0)
    assert whole is not None
    assert not whole.interrupted
    assert set(calls) == {name for _, name in CALLED}
    stopped = None
    for at, (before, name) in enumerate(pairwise(["", *calls]), start=1):
        if before == name:
            continue
        stopped, _ = fitted(tmp_path, at)
        # before the first search is done there is nothing to write
        assert (stopped is None) == (at <= 2), at
        if stopped is None:
            continue
        assert stopped.interrupted
        assert stopped.optimum.theta.tolist() == whole.optimum.theta.tolist()
        n_walked = calls[: at - 1].count("records")
        assert len(stopped.profiles) == (2 if n_walked else 0), at
        assert len(stopped.predictions) == (1 if n_walked == 2 else 0), at
        assert (stopped.draws is not None) == ("_replication" in calls[:at]), at
        assert (stopped.replication.status == "agrees") == ("failed_draws" in calls[:at]), at
    assert stopped is not None
    # what follows the posterior is not begun any more, and no page says that all draws ran
    assert pipeline.assessment(settings_of(tmp_path), stopped).rolling is None
    (sentence,) = fit_findings(stopped).failed
    assert "was not computed" in sentence
