"""The metrics of a run that a study may name."""

from calibration.readings.metrics import FirstAbove, FirstBelow, Maximum, Metric, Minimum, TimeOfMaximum

#: One row each.
METRICS: tuple[Metric, ...] = (Maximum(), Minimum(), TimeOfMaximum(), FirstAbove(), FirstBelow())
