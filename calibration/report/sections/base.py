"""What a section of the page of a calibration is, and what sections share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Unpack

from calibration.inference.judge.conditions import ParameterVerdict
from calibration.inference.judge.held import Held
from calibration.inference.judge.residuals import not_noise
from calibration.report.findings import Findings
from cipark_sd.base.wording import listed, number
from cipark_sd.pages.parts import Part
from cipark_sd.statements.headline import Details, Headline, date_in

#: What the numbers of a study with groups are conditional on.
IN_GROUPS = "groups of one kind"
#: Rows of a table under their columns.
Rows = Sequence[Mapping[str, object]]


class ReportPart(Part[Findings]):
    """A section with its tables, figures and headline numbers."""

    __slots__ = ()

    def not_run(self, findings: Findings) -> Iterable[str]:
        """What the section could have said and was not asked to, with the option that asks; by default nothing."""
        return ()


def given_texts(held: Iterable[Held]) -> tuple[str, ...]:
    """Held constants with their values."""
    return tuple(f"{constant.name} = {constant.value:.4g}" for constant in held)


def missed(findings: Findings) -> list[str]:
    """Series that the model does not follow, by the tests of residuals and of replicates."""
    failing = (line.observation for line in findings.shown.discrepancies if line.fails)
    return list(dict.fromkeys([*not_noise(findings.fit.conditions.runs), *failing]))


def misfit(findings: Findings) -> str:
    """Why intervals mean little, where the model does not follow the data; empty where it does.

    Of an estimate on a bound that the time step alone sets that says nothing of the model.
    """
    names, bounds = missed(findings), findings.fit.conditions.on_step_bounds
    if not names:
        return ""
    return on_bounds_words(bounds) if bounds else f"the model misses a pattern in the data ({listed(names)})"


def on_bounds_words(verdicts: Sequence[ParameterVerdict]) -> str:
    """Estimates on bounds that the time step alone sets, as a title has them."""
    if len(verdicts) > 1:
        return f"{len(verdicts)} constants lie on bounds that only the time step sets"
    return f"{verdicts[0].name} lies on a bound, {number(verdicts[0].estimate)}, that only the time step sets"


def record(findings: Findings, estimand: str, value: float, **details: Unpack[Details]) -> Headline:
    """A headline number of a calibration.

    Parameters
    ----------
    value : float
        In the unit among the details.
    details :
        As of :class:`cipark_sd.statements.headline.Details`.
    """
    fit, study = findings.fit, findings.fit.study
    details.setdefault("doubt", misfit(findings))
    if fit.conditions.under_step and (bounds := details.get("interval")) is not None:
        details["interval"] = bounds.given_also(fit.conditions.asked_step)
    return Headline(
        estimand=estimand,
        number=value,
        command="cipark calibrate",
        model_digest=study.model_digest,
        study_digest=study.study_digest,
        seed=fit.seed,
        version=fit.version,
        date=date_in(estimand, study.calendar.label),
        **details,
    )
