"""Fitting system-dynamics models to data.

:func:`calibrate` fits a study from Python, :class:`Study` makes one from a model and a table; ``cipark calibrate``
writes tables, figures and a page.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibration.front.fit import Fit as Fit
    from calibration.front.fit import Study as Study
    from calibration.front.fit import calibrate as calibrate
    from calibration.front.fit import load_fit as load_fit
    from calibration.front.fit import read_study as read_study
    from calibration.front.noise import Noise as Noise

_PUBLIC = {"Fit": "fit", "calibrate": "fit", "Noise": "noise", "Study": "fit", "load_fit": "fit", "read_study": "fit"}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    import importlib

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.front.{_PUBLIC[name]}"), name)
