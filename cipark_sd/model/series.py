"""Values over time that a scenario brings."""

from dataclasses import dataclass

from cipark_sd.model.expr import Interpolation


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values at ascending times; between and beyond them as ``interpolation`` says, the ends held."""

    times: tuple[float, ...]
    values: tuple[float, ...]
    interpolation: Interpolation = "interpolate"
