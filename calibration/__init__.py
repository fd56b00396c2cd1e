"""Fitting system-dynamics models to data.

:func:`calibrate` fits a study from Python; ``cipark calibrate`` writes its tables, figures and page.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibration.report.collect import Calibration


__all__ = ["calibrate"]


def calibrate(
    study: Path | str | None = None,
    *,
    fast: bool = True,
    posterior: bool = False,
    profiles: bool | None = None,
    seed: int | None = None,
    starts: int | None = None,
    engine: str = "native",
) -> "Calibration":
    """The fit of a study: searches from many starting points, profiles and draws as far as they are asked for.

    >>> from calibration import calibrate
    >>> fit = calibrate("nist_rat42", starts=4, profiles=False)
    >>> round(fit.estimates["Largest Yield"], 3)
    72.462

    Parameters
    ----------
    study : path or str
        A folder with ``problem.toml``, or the name of a study that comes with the package; by default the park's.
    fast : bool
        The study's small number of searches instead of its full one.
    posterior : bool
        Draw from the joint posterior too (tens of seconds and more).
    profiles : bool, optional
        Profile each parameter; without it only where ``fast`` is off.
    seed, starts : int, optional
        Replace the study's own.

    Returns
    -------
    Calibration
        ``estimates`` by name, and all else that a fit has.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    from calibration.commands.pipeline import calibrate as fitted
    from calibration.commands.settings import Settings

    return fitted(
        Settings(
            study=None if study is None else str(study),
            engine=engine,
            starts=starts,
            seed=seed,
            fast=fast,
            profiles=not fast if profiles is None else profiles,
            posterior=posterior,
        )
    )
