"""What a section of the page of a calibration is, and what sections share."""

from collections.abc import Iterable, Mapping, Sequence

from calibration.fit.held import Held
from calibration.report.findings import Findings
from cipark_sd.basis import Basis
from cipark_sd.headline import Bounds, Headline, Kind, date_in
from cipark_sd.pages.parts import Part

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


def record(
    findings: Findings,
    estimand: str,
    number: float,
    *,
    unit: str,
    kind: Kind,
    interval: Bounds | None,
    conditional_on: tuple[str, ...],
    basis: Basis | None,
    title: str = "",
    prior: Bounds | None = None,
    reported: str = "",
) -> Headline:
    """A headline number of a calibration."""
    study = findings.fit.study
    return Headline(
        estimand=estimand,
        number=number,
        unit=unit,
        kind=kind,
        interval=interval,
        conditional_on=conditional_on,
        basis=basis,
        command="cipark calibrate",
        model_digest=study.model_digest,
        study_digest=study.study_digest,
        seed=findings.fit.seed,
        version=findings.fit.version,
        title=title,
        date=date_in(estimand, study.calendar.label),
        prior=prior,
        reported=reported,
    )
