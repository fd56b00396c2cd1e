"""Which of the numbers that steer searches and profiles matter: each is halved and doubled on four studies.

    python tools/tuning.py                 all of them
    python tools/tuning.py likely agreed   these

A number matters where the optimum or an end of an interval moves in its first six digits, or the slopes and the values
of the density that are asked for by more than 5%. One that does not is no knob: it belongs where it is used.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "shared"))

from tank import OPENING, made  # noqa: E402

from calibration.inference.profile.profile import profiles  # noqa: E402
from calibration.inference.profile.tuning import PROFILE  # noqa: E402
from calibration.inference.search import objective  # noqa: E402
from calibration.inference.search.optimise import optimise  # noqa: E402
from calibration.inference.search.tuning import SEARCH  # noqa: E402
from calibration.likelihood.posterior import On, Posterior  # noqa: E402
from calibration.study.problem import read_problem  # noqa: E402
from cipark_sd.base.checkpoints import NOT_KEPT  # noqa: E402
from cipark_sd.base.console import progress_bars  # noqa: E402

#: Counts of an epidemic, a certified regression, a park of 25 parameters; beside them a tank that opens above a level.
STUDIES = ("flu_1978", "nist_rat43", "great_stone_core")
#: The records, by the name that modules have for them.
RECORDS = {"SEARCH": SEARCH, "PROFILE": PROFILE}
#: What moves a number in its first six digits, and what counts as another effort.
DIGITS, EFFORT = 1e-6, 0.05


def densities() -> Iterator[tuple[str, Posterior]]:
    """The four studies."""
    for name in STUDIES:
        yield name, On("native")(read_problem(ROOT / "calibration" / "studies" / name))
    with tempfile.TemporaryDirectory() as folder:
        yield "tank", made(Path(folder), OPENING).density


def outcome(density: Posterior) -> tuple[list[float], int]:
    """The optimum and the ends of all intervals, NaN for none; and how many points were asked for."""
    n_points = 0
    answers, logs = objective._answers, Posterior.log_likelihood

    def answers_counted(
        density: Posterior, requests: Sequence[objective.Request], exact: bool
    ) -> list[objective.Answer]:
        nonlocal n_points
        n_points += len(requests)
        return answers(density, requests, exact)

    def logs_counted(self: Posterior, theta: Any) -> Any:
        nonlocal n_points
        n_points += len(theta)
        return logs(self, theta)

    objective._answers, Posterior.log_likelihood = answers_counted, logs_counted  # type: ignore[assignment,method-assign]
    try:
        with progress_bars() as bars:
            optimum = optimise(
                density, starts=6, rng=np.random.default_rng(1), estimate=density.problem.method.estimate
            )
            made, optimum = profiles(optimum, NOT_KEPT, bars)
    finally:
        objective._answers, Posterior.log_likelihood = answers, logs  # type: ignore[method-assign]
    ends = [math.nan if end is None else end for profile in made for end in (profile.lower, profile.upper)]
    return [optimum.log_density, *optimum.theta.tolist(), *ends], n_points


def moved(before: tuple[list[float], int], after: tuple[list[float], int]) -> str:
    """What another number changes, in words; empty where it does not matter."""
    (numbers, n_points), (numbers_again, n_points_again) = before, after
    if len(numbers) != len(numbers_again) or (np.isnan(numbers) != np.isnan(numbers_again)).any():
        return "other ends"
    apart = float(np.nanmax(np.abs(np.array(numbers_again) - numbers) / np.maximum(np.abs(numbers), 1e-300)))
    effort = n_points_again / n_points - 1
    words = [f"by {apart:.0e}"] if apart > DIGITS else []
    return " ".join([*words, *([f"{effort:+.0%} points"] if abs(effort) > EFFORT else [])])


def changed(value: Any, factor: float) -> Any:
    """A number times a factor; a count stays whole and at least 1, of several each is changed."""
    if isinstance(value, tuple):
        return tuple(changed(part, factor) for part in value)
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor


def with_number(record: str, name: str, value: Any) -> Mapping[str, Any]:
    """Every module takes the record with another number; what each had before, by module."""
    before = {}
    for module in [module for module in sys.modules.values() if hasattr(module, "__name__")]:
        if module.__name__.startswith("calibration") and record in vars(module):
            before[module.__name__] = getattr(module, record)
            setattr(module, record, replace(RECORDS[record], **{name: value}))  # type: ignore[type-var]
    return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="fields of the records (default: all)")
    parser.add_argument("--study", action="append", default=[], help="of the four; repeatable (default: all)")
    options = parser.parse_args()
    studies = [(name, density) for name, density in densities() if name in (options.study or (*STUDIES, "tank"))]
    base = {name: outcome(density) for name, density in studies}
    for record, tuning in RECORDS.items():
        for field in fields(tuning):
            if options.names and field.name not in options.names:
                continue
            value, effects = getattr(tuning, field.name), []
            for factor in (0.5, 2.0):
                before = with_number(record, field.name, changed(value, factor))
                try:
                    effects += [(name, factor, moved(base[name], outcome(density))) for name, density in studies]
                finally:
                    for module, original in before.items():
                        setattr(sys.modules[module], record, original)
            shown = "; ".join(f"{name} x{factor:g} {words}" for name, factor, words in effects if words)
            print(f"{record}.{field.name} = {value}: {shown or 'nothing moves'}", flush=True)


if __name__ == "__main__":
    main()
