"""The sections of the page in their order: another one is its file and its place here."""

from calibration.report.sections.answer import First, Informed, Knowledge, Questions
from calibration.report.sections.base import NotRun, ReportPart
from calibration.report.sections.best_fit import Calculation, Optimum
from calibration.report.sections.data import Data
from calibration.report.sections.posterior import Groups, Posterior
from calibration.report.sections.predictions import Forecasts, Predictions
from calibration.report.sections.rivals import Holdout, Rivals

_RESULTS: tuple[ReportPart, ...] = (
    First(),
    Knowledge(),
    Questions(),
    Predictions(),
    Data(),
    Informed(),
    Optimum(),
    Posterior(),
    Groups(),
    Holdout(),
    Rivals(),
    Forecasts(),
    Calculation(),
)
SECTIONS: tuple[ReportPart, ...] = (*_RESULTS, NotRun(_RESULTS))
