"""The power of a study's data and the value of further ones: tables and sentences, all from one fit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
import pandas as pd

from calibration.assess.rivals import OnStage, untold, with_variant
from calibration.inference.sample.importance import RELIABLE
from calibration.likelihood.posterior import DensityOf
from calibration.power.question import PowerQuestion
from calibration.power.simulated import Structured, evidence_task, simulation_task
from calibration.power.value import PRESENT, expected_widths
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import ONLY, Structure
from cipark_sd.base.arrays import Array
from cipark_sd.base.errors import UnknownName
from cipark_sd.base.wording import listed
from cipark_sd.data.scenarios import Scenario
from cipark_sd.execution.pool import Pool
from cipark_sd.execution.workers import Workers
from cipark_sd.statements.claims import INFORMED
from cipark_sd.statements.standing import NARROW

#: The difference of log evidence that shows a structure: odds of three to one.
SHOWN = math.log(INFORMED)
#: What a task of :mod:`calibration.power.simulated` gives, by what it is.
Numbers = Mapping[str, Array]
#: Data sets of each structure, and draws over which expected widths are averaged: a share of one in eight is then known
#: to a twentieth, and a width to a hundredth.
SETS, AVERAGED = 32, 24


@dataclass(frozen=True, eq=False)
class Power:
    """What the data of a study could have said.

    Parameters
    ----------
    against : str
        The structure that rivals are set against.
    rivals : DataFrame
        A row for each rival: ``size``, what is stated of it; ``evidence``, the log evidence of the real data for it
        against that structure, and its ``error``; what data sets would give where it is true, ``if_true`` with ``low``
        and ``high``, the ends of the central 90%, and ``shown``, in how many it has odds of three to one; the same
        where the other one is true, ``if_not`` and ``ruled_out``. ``sets``, ``unreliable``: how many data sets, and how
        many whose weights cannot be trusted. ``checked``, ``off``: fits in full, and the root mean square by which log
        evidences differ from these.
    constants : DataFrame
        A row for each constant that moves a number, under ``structure``: ``before`` is 1; ``after`` these data, by the
        draws at hand, and ``expected`` after such data.
    value : DataFrame
        As of :func:`calibration.power.value.expected_widths`.
    why : mapping of str to str
        What each further data set is.
    """

    title: str
    against: str
    rivals: pd.DataFrame
    constants: pd.DataFrame
    value: pd.DataFrame
    why: Mapping[str, str]

    @cached_property
    def sentences(self) -> list[str]:
        """What the tables come to."""
        lines = [_of_rival(str(name), row, self.against) for name, row in self.rivals.iterrows()]
        open_ones = self.rivals[self.rivals["evidence"].abs() < SHOWN]
        if len(open_ones) and len(self.rivals):
            best = self.rivals["evidence"].idxmax()
            most = f"the most is {self.rivals['evidence'].max():+.1f} ({best})"
            missed = [f"{name} in {row.shown} of {row.sets}" for name, row in open_ones.iterrows()]
            lines.insert(
                0,
                f"{len(open_ones)} of {len(self.rivals)} rivals are not decided against {self.against!r}; {most}. If "
                f"they were true, such data would show {listed(missed)}.",
            )
        narrow = [str(name) for name in self.constants.index[self.constants["expected"] <= NARROW]]
        n = len(self.constants)
        lines.append(
            f"Such data are expected to narrow {len(narrow)} of {n} constants to {NARROW:.0%} of their prior"
            f"{': ' + listed(narrow) if narrow else ''}."
        )
        return [*lines, *_of_value(self.value)]

    def __repr__(self) -> str:
        return f"<Power of {self.title}: {len(self.rivals)} rivals of {self.against}, {len(self.value)} data sets>"

    def _repr_html_(self) -> str:
        tables = [self.rivals, self.constants, self.value]
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.sentences)
        return lines + "".join(table.round(2).to_html() for table in tables if len(table))


def _of_rival(name: str, row: pd.Series, against: str) -> str:
    """What the data say of a rival, and what they could have said."""
    size = f" ({row['size']})" if row["size"] else ""
    verdict = "is not decided" if abs(row.evidence) < SHOWN else "is shown" if row.evidence > 0 else "is ruled out"
    return (
        f"{name} {verdict} ({row.evidence:+.1f} against {against!r}). Such data would have shown it in {row.shown} of "
        f"{row.sets} cases where it is true{size}, and ruled it out in {row.ruled_out} where {against!r} is."
    )


def _of_value(value: pd.DataFrame) -> list[str]:
    """For each further data set the constants that it would narrow and the present data leave open."""
    if not len(value):
        return []
    lines, present = [], value.loc[PRESENT]
    for name, row in value.iloc[1:].iterrows():
        pairs = zip(value, row, present, strict=True)
        gained = [f"{c} ({after:.2f} for {now:.2f})" for c, after, now in pairs if after <= NARROW < now]
        narrowed = f"would narrow {listed(gained)}" if gained else "would narrow nothing that these data leave open"
        lines.append(f"{name} {narrowed}.")
    return lines


def structures_of(problem: CalibrationProblem) -> dict[str, Structure]:
    """The rivals of a study by name; of one without any the study as it stands."""
    return {rival.id: rival for rival in problem.rivals or (Structure(ONLY, "as it stands", Scenario(ONLY, {})),)}


def own_structure(problem: CalibrationProblem) -> str:
    """The name of the structure that is the study as it stands; of the first one where none is."""
    structures = structures_of(problem)
    return next((name for name, rival in structures.items() if not rival.scenario.overrides), next(iter(structures)))


# as Python calls it: the last four have defaults
def power_of(
    problem: CalibrationProblem,
    draws: Mapping[str, Array],
    question: PowerQuestion,
    density_of: DensityOf,
    *,
    sets: int = SETS,
    check: int = 0,
    workers: Pool | None = None,
    on_stage: OnStage = untold,
) -> Power:
    """What the data of a study could have said of its constants and rivals, and what others would.

    Parameters
    ----------
    draws : mapping of str to (n, k)
        Of the posterior, by structure; one of them at least. Those of the study as it stands, or else the first, tell
        where the posterior of a structure without draws is looked for.
    density_of : DensityOf
        It has to pickle where there are workers.
    sets, check : int
        Data sets of each structure, and how many of them are sampled in full as well.
    workers : Pool, optional
        Without them all is done in this process.

    Raises
    ------
    UnknownName
        For a structure that the study does not have.
    KeyboardInterrupt
        When the user stops before the data sets are done; what is done is kept where the workers keep it.
    """
    structures, as_it_stands = structures_of(problem), own_structure(problem)
    against = question.against or as_it_stands
    names = list(question.rivals or structures)
    for name in (against, *names, *filter(None, [question.structure])):
        if name not in structures:
            raise UnknownName(name, structures, kind="rival", where=problem.title)
    rivals = [name for name in names if name != against]
    first = draws.get(as_it_stands, next(iter(draws.values())))

    def structured(name: str, held: Mapping[str, float]) -> Structured:
        under = with_variant(problem, structures[name])
        return Structured(name, under, draws.get(name, first), name in draws, held)

    of = {name: structured(name, question.sizes) for name in (against, *rivals)}
    pool = Workers() if workers is None else workers
    real, made = _answers(of, against, rivals, density_of, sets, check, pool, on_stage)
    value = pd.DataFrame()
    if question.designs:
        under = structured(question.structure or as_it_stands, question.value_sizes)
        value = expected_widths(under, question.designs, density_of, AVERAGED)
        # what moves no number is as wide as before
        value = value.reindex(columns=list(question.constants), fill_value=1.0) if question.constants else value
    return Power(
        problem.title,
        against,
        pd.DataFrame([_rival(name, against, real, made, of) for name in rivals], columns=_COLUMNS).set_index("rival"),
        _constants(against, rivals, made, of),
        value,
        {design.name: design.why for design in question.designs},
    )


# one for each argument of the tasks, and who computes them
def _answers(
    of: Mapping[str, Structured],
    against: str,
    rivals: Sequence[str],
    density_of: DensityOf,
    sets: int,
    check: int,
    pool: Pool,
    on_stage: OnStage,
) -> tuple[dict[str, Numbers], dict[tuple[str, str], Numbers]]:
    """The real data under each structure, and data sets by who makes and who fits them."""
    pairs = [(against, against)]
    pairs += [pair for name in rivals for pair in ((name, name), (name, against), (against, name))]
    tasks = [evidence_task(of[name], density_of) for name in of] if rivals else []
    n_real = len(tasks)
    tasks += [simulation_task(of[maker], of[fitted], density_of, sets, check) for maker, fitted in pairs]
    returned, interrupted = pool.run(tasks, lambda now: on_stage("data sets", now))
    if interrupted or any(answer is None for answer in returned):
        raise KeyboardInterrupt
    answers = [{key: value.astype(float) for key, value in answer.items()} for answer in returned if answer is not None]
    return dict(zip(of, answers[:n_real], strict=False)), dict(zip(pairs, answers[n_real:], strict=True))


#: Of :attr:`Power.rivals`, with the rival before them.
_COLUMNS = [
    "rival", "size", "evidence", "error", "if_true", "low", "high", "shown", "if_not", "ruled_out", "sets",
    "unreliable", "checked", "off",
]  # fmt: skip


def _rival(
    name: str,
    against: str,
    real: Mapping[str, Numbers],
    made: Mapping[tuple[str, str], Numbers],
    of: Mapping[str, Structured],
) -> list[object]:
    """A row of :attr:`Power.rivals`."""
    fits = [made[pair] for pair in ((name, name), (name, against), (against, name), (against, against))]
    true, not_true = (a["evidence"] - b["evidence"] for a, b in (fits[:2], fits[2:]))
    off = np.concatenate([fit["evidence"][: len(fit["full"])] - fit["full"] for fit in fits])
    off = off[np.isfinite(off)]
    parameters = of[name].problem.space.names
    sizes = [f"{c} {v:g}" for c, v in of[name].held.items() if made[name, name]["acts"][parameters.index(c)]]
    sizes = [text for text in sizes if not made[against, against]["acts"][parameters.index(text.rpartition(" ")[0])]]
    doubtful = np.any([fit["pareto_k"] > RELIABLE for fit in fits[:2]], axis=0)
    return [
        name,
        ", ".join(sizes),
        float(real[name]["evidence"] - real[against]["evidence"]),
        float(np.hypot(real[name]["error"], real[against]["error"])),
        float(np.mean(true)),
        *np.quantile(true, [0.05, 0.95]).tolist(),
        int((true >= SHOWN).sum()),
        float(np.mean(not_true)),
        int((not_true <= -SHOWN).sum()),
        len(true),
        int(doubtful.sum()),
        len(off),
        float(np.sqrt(np.mean(off**2))) if len(off) else math.nan,
    ]


def _constants(
    against: str, rivals: Sequence[str], made: Mapping[tuple[str, str], Numbers], of: Mapping[str, Structured]
) -> pd.DataFrame:
    """:attr:`Power.constants`: of the structure that rivals are set against, then what each rival adds to them."""
    from scipy.special import ndtri

    rows, known = [], set[str]()
    for name in (against, *rivals):
        structure, fits = of[name], made[name, name]
        scores = ndtri(structure.problem.space.to_unit(structure.near))
        for place, parameter in enumerate(structure.problem.space):
            if fits["acts"][place] and parameter.name not in known:
                known.add(parameter.name)
                after = float(scores[:, place].std()) if structure.drawn else math.nan
                rows.append((parameter.name, name, after, float(fits["widths"][:, place].mean())))
    return pd.DataFrame(rows, columns=["constant", "structure", "after", "expected"]).set_index("constant")
