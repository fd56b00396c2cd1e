"""What a reader needs to repeat and to judge a simulation study, item by item, with where it is or "missing".

After Rahmandad and Sterman 2012, System Dynamics Review 28(4), 396-411: minimum and preferred items on the model, on
simulation runs and on optimisation, in our words; what goes beyond their list is marked so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from calibration.assess.assessment import Assessment
from calibration.fit.verification import Replication
from calibration.report.findings import Findings, Fit
from calibration.report.sections.base import ReportPart
from cipark_sd.checks.outcome import BUILT_IN_SOURCE, Outcome
from cipark_sd.pages.blocks import Folded, Paragraph, Section, Table
from cipark_sd.pages.parts import Pictures

MISSING = "missing"
#: How optima are searched for (:mod:`calibration.fit.downhill`).
ALGORITHM = "L-BFGS within the bounds, then least squares or quasi-Newton steps"


@dataclass(frozen=True, slots=True)
class Checklist(ReportPart):
    """The items with where each is."""

    def sections(self, findings: Findings, pictures: Pictures) -> Iterator[Section]:
        """A row for each."""
        items = checklist(findings.fit, findings.assessment, findings.checks)
        source = (
            "Minimum and preferred items after Rahmandad and Sterman 2012, System Dynamics Review 28(4), 396-411, in "
            "our words; files are those beside this page."
        )
        table = Table(("about", "level", "item", "where"), tuple(astuple(item) for item in items))
        yield Section("Reporting checklist", (Folded("Every item, and where it is found", (Paragraph(source), table)),))


@dataclass(frozen=True, slots=True)
class Item:
    """One line: what it is about, how much it is asked for, what it is, and where it is found."""

    about: str
    level: str
    text: str
    where: str


def checklist(fit: Fit, assessment: Assessment | None, checks: Sequence[Outcome]) -> list[Item]:
    """All items in order."""
    return [
        *_model(fit, checks),
        *_runs(fit, assessment),
        *_optimisation(fit, assessment),
        *_beyond(fit, assessment, checks),
    ]


def _present(present: object, where: str) -> str:
    return where if present else MISSING


def _share(n: int, total: int, where: str) -> str:
    return f"{where}: {n} of {total}" + ("" if n == total else f", {MISSING} for {total - n}")


def _items(about: str, level: str, *pairs: tuple[str, str]) -> list[Item]:
    return [Item(about, level, text, where) for text, where in pairs]


def _model(fit: Fit, checks: Sequence[Outcome]) -> list[Item]:
    documented = fit.study.documentation
    file, n = documented.file, documented.n
    consistent = next((outcome.status for outcome in checks if outcome.id == "units"), "")
    words = {"pass": "checked", "note": "checked, with notes: cipark check", "fail": "fails: cipark check"}
    return [
        *_items(
            "model",
            "minimum",
            ("every equation and rule", f"{file} (digest {fit.study.model_digest[:12]}), cipark show --equations"),
            ("constants and initial values", f"{file}; what is changed here: problem.toml, fit.json"),
            ("inputs over time", f"{file} and the files that it reads"),
        ),
        *_items(
            "model",
            "preferred",
            ("units of every variable", _share(documented.n_units, n, "in the model file")),
            ("dimensional consistency", words.get(consistent, "not checked here: cipark check")),
            ("definition of every variable", _share(documented.n_described, n, "in the model file")),
            ("sources of data and of judgements", _present(documented.readme, "README.md and tables of the study")),
            ("a format that others can open", f"{file}; cipark convert for another"),
        ),
    ]


def _runs(fit: Fit, assessment: Assessment | None) -> list[Item]:
    study, draws = fit.study, fit.posterior
    drawn = "random starts only" if draws is None else f"{len(draws.flat)} draws, PCG64"
    tables = "CSV tables beside this page" + (", draws.nc" if draws is not None else "")
    sensitivity = "contraction.csv (prior against data); cipark sensitivity for the constants that are held"
    step = "refits at halved steps" if assessment is not None else "expected numbers at half the step"
    return [
        *_items(
            "runs",
            "minimum",
            ("software, versions, platform", f"{fit.software}; engine {fit.engine}"),
            ("integration method and step", f"{study.time_method}, step {study.file_step:g} {study.time_units}"),
            ("settings of every scenario", "problem.toml: fixed, scenario, experiment, rival"),
            ("seed and repetitions of random runs", f"seed {fit.seed}; {drawn}"),
            ("how results were made from runs", "this page, docs/explanation/posterior.md, source code"),
        ),
        *_items(
            "runs",
            "preferred",
            ("numbers behind every figure", tables),
            ("uncertainty of results", _present(draws is not None, "50 % and 90 % bands of joint draws")),
            ("sensitivity to assumptions", _present(assessment is not None, sensitivity)),
            ("effect of the time step", _present(assessment is not None or np.isfinite(fit.step_shift), step)),
        ),
    ]


def _optimisation(fit: Fit, assessment: Assessment | None) -> list[Item]:
    study, optimum = fit.study, fit.optimum
    payoff = "log posterior" if study.method.estimate == "map" else "log likelihood"
    n, drawn = len(optimum.searches), fit.posterior is not None
    fitted = sum(row.use == "fit" for row in fit.rows)
    intervals = _present(fit.profiles, "profiles.csv") + ("; posterior.csv" if drawn else "")
    return [
        *_items(
            "optimisation",
            "minimum",
            ("payoff", f"{payoff}; noise: {', '.join(study.fitted_families)}"),
            ("data that enter the payoff", f"{fitted} numbers, fitted.csv; tables of the study"),
            ("algorithm and its settings", f"{ALGORITHM}; {n} starts, a Latin hypercube of the priors"),
            ("search space and constraints", "bounds and priors in problem.toml; table above"),
            ("best values and payoff", f"summary.csv; log likelihood {optimum.log_likelihood:.2f}"),
        ),
        *_items(
            "optimisation",
            "preferred",
            ("convergence and local optima", f"waterfall.csv: {optimum.n_arrived} of {n} at the best"),
            ("confidence intervals", intervals),
            ("goodness of fit and residuals", "fitted.csv" + ("; predictive.csv" if drawn else "")),
            ("settings that repeat it", f"problem.toml, seed {fit.seed}, fit.json"),
        ),
    ]


def _replicated(replication: Replication) -> str:
    match replication.status:
        case "agrees":
            return f"estimate run again in PySD: largest relative difference {replication.shown}"
        case "differs":
            return f"fails: at the estimate PySD differs by {replication.shown}, relatively"
        case "failed":
            return f"fails: {replication.why}"
        case "not compared":
            return f"not compared: {replication.why}"


def _beyond(fit: Fit, assessment: Assessment | None, checks: Sequence[Outcome]) -> list[Item]:
    theory = [outcome for outcome in checks if outcome.source != BUILT_IN_SOURCE]
    reasons = all(item.why for item in (*fit.study.fixed, *fit.study.space))
    identifiability = "fit.json" + ("; contraction.csv" if assessment is not None else "")
    return _items(
        "trust",
        "beyond the list",
        ("a reason for each value that is held or searched", _present(reasons, "problem.toml")),
        ("behaviour that the theory expects", _present(theory, "checks file of the model")),
        ("what the data cannot see", identifiability),
        ("out-of-sample prediction", _present(assessment and assessment.rolling, "holdout.csv")),
        ("rival structures", _present(assessment and assessment.comparison, "rivals.csv, effects.csv")),
        ("recovery from synthetic data", _present(assessment and assessment.tested, "self_test.csv")),
        ("replication in another engine", _replicated(fit.replication)),
    )
