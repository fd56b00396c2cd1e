"""What the constants of ``cipark sensitivity`` vary over: priors, ranges, or joint draws after a fit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cipark_sd.arrays import Array
from cipark_sd.basis import Basis
from cipark_sd.commands.sensitivity.findings import Inputs
from cipark_sd.commands.sensitivity.request import RANGE, Request
from cipark_sd.commands.sensitivity.target import Target, takes_fit
from cipark_sd.errors import InvalidValue, UnusableInput
from cipark_sd.experiments.draws import attributes_of, columns_in
from cipark_sd.model.variables import Constant, Stock
from cipark_sd.optional import attempt
from cipark_sd.scenarios import Scenario, override_key, split_key
from cipark_sd.sensitivities.evaluation import Question
from cipark_sd.sensitivities.factors import Factors, from_draws
from cipark_sd.study import FittedDraws, Study

#: An eigenvalue of a correlation under this means that some draws follow from others.
_SINGULAR = 1e-8


def inputs_of(request: Request, target: Target, n: int) -> Inputs:
    """What varies by the request: named draws, those of a fit that is at hand, else priors or ranges.

    Parameters
    ----------
    n : int
        Draws that priors and ranges are sampled by.

    Raises
    ------
    InvalidValue
    """
    study, question = target.study, target.question
    if request.draws is not None and not request.prior:
        draws = read_draws(request.draws)
        return _after(question, draws, (f"The draws are those of {draws.source}.",))
    fit = study.fit_at_hand() if takes_fit(request) else None
    if fit is not None:
        alternative = "'--draws prior' analyses the assumptions before the fit instead."
        return _after(question, fit, (f"The fit is that in {fit.source}; {alternative}",))
    basis = Basis("prior" if study.has_data else "ranges", n)
    return Inputs(question, basis, tuple(_without_fit(request, study)))


def _after(question: Question, fit: FittedDraws, notes: tuple[str, ...]) -> Inputs:
    joint = with_draws(question, fit.columns, fit.source)
    missing = len(joint.factors) - sum(1 for name in joint.factors.names if name in fit.columns)
    if missing:
        notes += (
            f"{missing} of {len(joint.factors)} constants have no draws: the fit holds them at values of its own, and "
            "here they vary over their priors. The two together reach further than a posterior.",
        )
    return Inputs(joint, fit.basis, notes, fit.study_digest)


def _without_fit(request: Request, study: Study) -> list[str]:
    """What to know of an analysis that has seen no data, and how there is one that has."""
    if not study.has_data:
        share = RANGE if request.share is None else request.share
        reason = "as --range says" if request.share is not None else "since --range says nothing else"
        return [f"Each constant varies within {share:.0%} of its value in the file, {reason}."]
    notes = [
        "The constants vary over their priors: this says which assumptions matter before the data, not what the data "
        "left open. No number here is a finding about the world."
    ]
    against = attempt("contradiction", lambda: study.contradictions(None, None, seed=0, engine="native"), "")
    if against:
        notes.append(f"These priors contradict the data: {against}.")
    if takes_fit(request) and (why := study.fit_not_taken()):
        notes.append(why)
    how = "leave out --draws" if request.prior else "leave out --method, or name only sample or shapley"
    notes.append(
        f"For what is left after the data run 'cipark calibrate', then this command; it uses that fit"
        f"{'' if takes_fit(request) else f' if you {how}'}."
    )
    return notes


def read_draws(path: Path) -> FittedDraws:
    """Draws by name, of a file or of the folder of a fit, with what the file says of them.

    Raises
    ------
    InvalidValue
    """
    file = path / "draws.nc" if path.is_dir() else path
    columns = columns_in(file)
    facts = attributes_of(file)
    try:
        converged = None if "converged" not in facts else bool(facts["converged"])
    except ValueError as problem:
        reason = f"what the file says of its draws cannot be read ({problem}); make it again"
        raise UnusableInput(reason, where=str(file)) from None
    n = len(next(iter(columns.values()), ()))
    return FittedDraws(Basis("posterior", n, converged), columns, str(path), str(facts.get("study_digest", "")))


def with_draws(question: Question, table: Mapping[str, Array], where: str) -> Question:
    """The question with constants and starts of stocks as joint draws have them, and its other ones as its priors do.

    A column that is neither (a noise parameter, say) is left out; one that never varies is held.

    Parameters
    ----------
    table : mapping of str to (n,)
    where : str
        Where the draws come from, for messages.

    Raises
    ------
    InvalidValue
    """
    named = {
        name: column
        for name, column in table.items()
        if isinstance(question.model.by_name.get(split_key(override_key(name))[0]), Constant | Stock)
    }
    bad = [name for name, column in named.items() if not np.isfinite(column).all()]
    if bad:
        raise InvalidValue("the draws of", ", ".join(bad), "finite numbers", where=where)
    varied = {name: column for name, column in named.items() if len(column) and np.ptp(column) > 0}
    if not varied:
        expected = f"some constants of {question.model.name} that vary"
        raise InvalidValue("the draws", ", ".join(table), expected, where=where)
    drawn = from_draws(tuple(varied), np.stack(list(varied.values()), axis=1))
    if drawn.correlation is not None and np.linalg.eigvalsh(drawn.correlation)[0] < _SINGULAR:
        n = len(next(iter(varied.values())))
        expected = f"draws of {len(varied)} constants, more than that, in which none follows from the others"
        raise InvalidValue("the draws", f"{n} rows", expected, where=where)
    known = {override_key(name) for name in named}
    undrawn = tuple(block for block in question.factors.blocks if not known & {override_key(n) for n in block.names})
    blocks = (*drawn.blocks, *undrawn)
    correlation = np.eye(sum(len(block.names) for block in blocks))
    correlation[: len(drawn), : len(drawn)] = drawn.correlation
    held = {name: float(column[0]) for name, column in named.items() if name not in varied}
    return replace(question, factors=Factors(blocks, correlation), scenario=question.scenario | Scenario("", held))
