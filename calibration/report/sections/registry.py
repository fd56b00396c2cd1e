"""The sections of the page in their order: another one is its file and its place here."""

from calibration.report.sections.answer import First
from calibration.report.sections.base import NotRun, ReportPart
from calibration.report.sections.best_fit import Optimum
from calibration.report.sections.calculation import Calculation
from calibration.report.sections.data import Data
from calibration.report.sections.forecasts import Forecasts
from calibration.report.sections.groups import Groups
from calibration.report.sections.holdout import Holdout
from calibration.report.sections.posterior import Posterior
from calibration.report.sections.predictions import Predictions
from calibration.report.sections.questions import Informed, Knowledge, Questions
from calibration.report.sections.rivals import Rivals

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
