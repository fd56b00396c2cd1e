"""What ``cipark policy`` has found, what that rests on, and how numbers and expectations are said."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Unpack

import numpy as np

from cipark_sd.analysis.experiments.definition import BASE, Catalogue, Expected, Structure
from cipark_sd.analysis.study import Asked
from cipark_sd.base.records import WrongRecordError, of_this_version, read_record, write_record
from cipark_sd.base.wording import WHOLE, commas, in_sentence, is_counted, labelled, number
from cipark_sd.data.described import version
from cipark_sd.pages.output import load_result, save_result
from cipark_sd.statements import headline
from cipark_sd.statements.claims import UNSEEN, UNSEEN_ERROR, Basis, Origin, Tally
from cipark_sd.statements.headline import Details, Headline


@dataclass(frozen=True)
class About:
    """A value without a model and without draws, so that nothing that is told of findings can run or draw anything.

    Parameters
    ----------
    bases : mapping of str to Basis
        By rival, what its draws are.
    weights : mapping of str to float
        By rival; NaN where there are none.
    units : mapping of str to str
        By outcome; empty for a ratio.
    inputs : mapping of str to str
        Uncertain inputs in words, with their units, by the name of their constant.
    quantities : mapping of str to str
        By outcome, its variable as the model spells it.
    settings : mapping of str to str
        By policy, what it sets.
    place : str
        What is set for the place, under all policies and rivals.
    model_digest, study_digest : str
        Of the model's files; of the data and priors behind the first rival, empty where none are.
    identity : str
        Model, catalogue, version, engine, seed and draws, by their digests.
    fit_of : str
        The study whose fit it is, where that stands elsewhere.
    notes : tuple of str
        Where the draws come from, and what a reader must know of them.
    against : str
        Where the base contradicts the data even after a fit, as a sentence; empty for nowhere.
    misfit : str
        What the fitted model does not follow in the data; empty where nothing.
    unreliable : mapping of str to str
        By rival, where it is known: how many terms its weight cannot judge.
    untaught : tuple of str
        Parameters of which the data taught little under the first rival.
    question : Asked or None
        The question of the fit: where it is of an outcome, that is the headline's.
    """

    catalogue: Catalogue
    rivals: tuple[Structure, ...]
    bases: Mapping[str, Basis]
    weights: Mapping[str, float]
    units: Mapping[str, str]
    inputs: Mapping[str, str]
    quantities: Mapping[str, str]
    settings: Mapping[str, str]
    place: str
    model_digest: str
    study_digest: str
    seed: int
    identity: str
    fit_of: str = ""
    notes: tuple[str, ...] = ()
    against: str = ""
    misfit: str = ""
    unreliable: Mapping[str, str] = field(default_factory=dict)
    untaught: tuple[str, ...] = ()
    question: Asked | None = None

    @property
    def first(self) -> str:
        """The rival that numbers are of where there is no mixture."""
        return self.rivals[0].id

    @property
    def several(self) -> bool:
        """Whether there is more than one structure."""
        return len(self.rivals) > 1

    @property
    def unseen(self) -> bool:
        """Whether the draws have seen no data."""
        return all(basis.origin in UNSEEN for basis in self.bases.values())

    @property
    def signs_only(self) -> bool:
        """Whether the draws are of the priors of a study: what policies do is then said by its sign alone."""
        return all(basis.origin == "prior" for basis in self.bases.values())

    @property
    def alone(self) -> bool:
        """Whether every structure has one run, at its best fit: without intervals, classes and signs."""
        return all(basis.alone for basis in self.bases.values())

    @property
    def cautions(self) -> tuple[str, ...]:
        """What keeps the numbers from being used as they stand, in sentences, with the way on where there is one."""
        # that ranges are no data is said under what is known
        doubtful = self.doubtful and any(basis.origin != "ranges" for basis in self.bases.values())
        doubts = [f"{self.basis[:1].upper()}{self.basis[1:]}."] if doubtful else []
        doubts = list(self.notes) if self.alone and self.notes else doubts
        narrow = (
            f"{self.misfit[:1].upper()}{self.misfit[1:]}, so that intervals are too narrow and no class says informed."
        )
        return (*doubts, *filter(None, [self.against]), *([narrow] if self.misfit else []))

    @property
    def doubtful(self) -> bool:
        """Whether the draws are anything else than those of chains that have converged."""
        return not all(basis.sure for basis in self.bases.values())

    @property
    def by_origin(self) -> Mapping[Origin, tuple[Basis, tuple[str, ...]]]:
        """What the draws of an origin are at their worst, and the rivals that have them."""
        rivals: dict[Origin, list[str]] = {}
        for rival, basis in self.bases.items():
            rivals.setdefault(basis.origin, []).append(rival)
        return {origin: (_worst([self.bases[r] for r in names]), tuple(names)) for origin, names in rivals.items()}

    @property
    def basis(self) -> str:
        """In words: what the draws are."""
        parts = []
        for basis, names in self.by_origin.values():
            source = f" ({self._structures(basis, names)})" if len(self.bases) > 1 else ""
            parts.append(f"{basis.sentence}{source}")
        fit = f"; the fit is that of {self.fit_of}" if self.fit_of and not self.unseen else ""
        weighted = f"; by weight {self.weighted}" if self.weighted else ""
        return f"{'; '.join(parts)}{fit}{weighted}"

    def _structures(self, basis: Basis, names: Sequence[str]) -> str:
        described = f"{len(names)} structure{'' if len(names) == 1 else 's'}"
        if len(names) == len(self.bases):
            described = f"each of {described}"
        lent = basis.origin == "borrowed"
        return f"{described}, not fitted and so with those of the first" if lent else described

    @property
    def of_draws(self) -> str:
        """For captions: what kind of draws the numbers are of."""
        return " and ".join(basis.name for basis, _ in self.by_origin.values())

    @property
    def label(self) -> str:
        """For a column of files."""
        groups = self.by_origin.values()
        return "; ".join(
            basis.label if len(groups) == 1 else f"{', '.join(names)}: {basis.label}" for basis, names in groups
        )

    @property
    def weighted(self) -> str:
        """Which rivals a mixture by weight consists of; empty without weights."""
        whole = sum(self.weights.values())
        if not math.isfinite(whole) or whole <= 0:
            return ""
        most = sorted(((weight / whole, rival) for rival, weight in self.weights.items()), reverse=True)
        return ", ".join(f"{rival} {share:.2f}" for share, rival in most if share >= 0.005)

    @property
    def in_full(self) -> tuple[str, ...]:
        """The outcomes that are shown in full, the headline's first."""
        return tuple(dict.fromkeys((self.catalogue.headline[0], *self.catalogue.beside)))

    def estimand(self, policy: str = BASE) -> str:
        """The headline's outcome at its time under a policy; of another than the base, the change from the base."""
        outcome, at = self.catalogue.headline
        against = "" if policy == BASE else BASE
        return headline.output(self.quantities[outcome], at, under=self.settings[policy], against=against)

    def record(
        self,
        estimand: str,
        number: float,
        *,
        of: Literal["first", "mixture", "alike"] = "first",
        conditions: tuple[str, ...] = (),
        **details: Unpack[Details],
    ) -> Iterator[Headline]:
        """A headline number, if it is one; of the first rival, of their mixture by weight, or of all rivals alike."""
        if not math.isfinite(number):
            return
        structures = {"first": f"structure {self.first}", "mixture": f"structures by weight ({self.weighted})"}
        known = (structures.get(of, "") if self.several else "", self.place, *conditions)
        details["conditional_on"] = tuple(filter(None, known))
        details["basis"] = basis = self.bases[self.first] if of == "first" else next(iter(self.by_origin.values()))[0]
        if basis.alone:
            # one run has no interval
            details["kind"], details["interval"] = "run", None
        yield Headline(
            estimand=estimand,
            number=number,
            command="cipark policy",
            model_digest=self.model_digest,
            study_digest=self.study_digest,
            seed=self.seed,
            version=version(),
            date=headline.date_in(estimand, self.catalogue.date),
            **details,
        )

    def titled(self, outcome: str) -> str:
        """An outcome in words, with its unit."""
        return labelled(self.catalogue.outcome_by_id[outcome].title, self.units[outcome])


def _worst(bases: Sequence[Basis]) -> Basis:
    """One basis for several of the same origin: converged where all have, as far from the posterior as the farthest."""
    worst = min((basis.converged for basis in bases), key=(False, None, True).index)
    return replace(bases[0], converged=worst)


_FRACTIONS = {0.5: "half of", 1 / 3: "a third of", 0.25: "a quarter of", 0.2: "a fifth of", 0.1: "a tenth of"}


#: A number that is smaller than this share of its interval's width needs no digits of its own.
SMALL = 0.05


def signed(value: float, width: float = math.nan, unit: str = "") -> str:
    """A difference with its sign, with the digits that its interval carries; what is counted in whole numbers.

    >>> signed(-3.14159, 8.3), signed(250.4), signed(0.0), signed(-8103.2, 8771), signed(2.6, 9.0, "firm")
    ('-3.1', '+250', '0', '-8100', '+3')

    Parameters
    ----------
    width : float
        Of its interval, in the unit of the value; NaN or 0 for none.

    Returns
    -------
    str
        A dash where the value is no finite number.
    """
    if not math.isfinite(value):
        return "-"
    text = size(value, width, unit)
    return "0" if not text.strip("0.") else f"{'-' if value < 0 else '+'}{text}"


def size(value: float, width: float, unit: str) -> str:
    """A number without its sign; one that is small beside the width of its interval has no digits of its own.

    >>> size(-0.0052, 19, "MUSD"), size(1234.0, 1800, "MUSD"), size(0.12345, 0, ""), size(6.6, 25.4, "firm")
    ('0', '1200', '0.123', '7')

    Parameters
    ----------
    width : float
        Of its interval, in the same unit; NaN or 0 for none.

    Returns
    -------
    str
        With the digits that the interval carries; without one with three.
    """
    amount, counted = abs(value), is_counted(unit)
    if not (width > 0 or counted):
        return commas(number(amount, digits=3))
    width = width if width > 0 else amount / 5
    if amount < SMALL * width and not (counted and width >= WHOLE):
        amount = round(amount, 1 - math.floor(math.log10(width)))
    return in_sentence(amount, width, unit)


def spread(
    value: float, low: float, high: float, unit: str = "", *, sign: bool = False, error: float = math.nan
) -> str:
    """A median with its interval of 90%.

    >>> spread(6.53, -0.42, 24.3, sign=True), spread(0.0, 0.0, 14.2), spread(2.0, 2.0, 2.0)
    ('+6.5 (0 to 24)', '0 (0 to 14)', '2')
    >>> spread(6.6, -0.32, 25.1, "firm", sign=True), spread(0.12, 0.1, 0.14, "firm")
    ('+7 (0 to 25)', '0.120 (0.100 to 0.140)')
    >>> spread(-63.0, -240.0, 31.0, error=9.0), spread(-63.0, -240.0, 31.0, error=5.0)
    ('-63 ± 10 (-240 to 31)', '-63 (-240 to 31)')

    Parameters
    ----------
    value, low, high : float
        In one unit; the ends are equal where there is one draw.
    sign : bool
        Whether a median above zero has a plus.
    error : float
        The Monte Carlo standard error of the median, which stands beside it where it is not small; NaN for none.

    Returns
    -------
    str
        A dash where one of them is no finite number.
    """
    if not np.isfinite([value, low, high]).all():
        return "-"
    text, *ends = (signed(x, high - low, unit) for x in (value, low, high))
    text = f"{text if sign else text.removeprefix('+')}{error_words(error, high - low, unit)}"
    return text if high == low else f"{text} ({' to '.join(end.removeprefix('+') for end in ends)})"


def error_words(error: float, width: float, unit: str = "") -> str:
    """The Monte Carlo error of a number beside it; empty where it is small beside the width of the interval.

    >>> error_words(9.0, 271.0), error_words(5.0, 271.0), error_words(1.4, 20.0, "firm")
    (' ± 10', '', ' ± 1')
    """
    if not error > UNSEEN_ERROR * width:
        return ""
    text = size(error, width, unit)
    return f" ± {text}" if text.strip("0.") else ""


def band(low: float, high: float, unit: str = "") -> str:
    """An interval of differences; one number where there is one.

    Parameters
    ----------
    low, high : float
        Its ends, in one unit.

    Returns
    -------
    str
        With signs, and the digits that its width carries.
    """
    width = high - low
    return signed(low, unit=unit) if low == high else f"{signed(low, width, unit)} to {signed(high, width, unit)}"


def shares(tallies: Sequence[Tally]) -> str:
    """A probability, or from the least to the largest over structures.

    >>> shares([Tally(1, 4)]), shares([Tally(1, 4), Tally(3, 4)])
    ('0.25', '0.25 to 0.75')
    """
    if not tallies:
        return ""
    low, high = (f"{end([tally.share for tally in tallies]):.2f}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


def _times(factor: float) -> str:
    named = [word for known, word in _FRACTIONS.items() if np.isclose(factor, known)]
    return "" if factor == 1 else f"{named[0]} " if named else f"{factor:g} times "


def in_words(expected: Expected, catalogue: Catalogue) -> str:
    """An expectation as a phrase: what is more or less than what.

    Shares that have a name of their own get it: ``0.5`` is half.

    Parameters
    ----------
    catalogue : Catalogue
        With the titles of outcomes and policies.

    Returns
    -------
    str
        Without a full stop.
    """
    times = _times(expected.factor)
    if expected.than == BASE:
        than = "the base"
    else:
        than = f"{'that ' if times else ''}under '{catalogue.policy_by_id[expected.than].title}'"
    return f"{catalogue.read_at(expected.outcome, expected.at)} {expected.how} than {times}{than}"


R = TypeVar("R")
#: The file of what all results rest on.
FILE = "findings-policy.zip"


@dataclass(frozen=True, eq=False)
class Findings:
    """Results by the name of their part, and what they rest on."""

    about: About
    results: Mapping[str, Any]

    @property
    def study_digest(self) -> str:
        """Of the study whose data stand behind the draws; empty where none do."""
        return self.about.study_digest

    def of(self, kind: type[R]) -> R | None:
        """The result of that type, None where it was not computed."""
        return next((result for result in self.results.values() if isinstance(result, kind)), None)

    def with_result(self, name: str, result: object) -> "Findings":
        """The findings with another result."""
        return replace(self, results={**self.results, name: result})


def save(findings: Findings, name: str, folder: Path) -> None:
    """Write the result of a part into a folder, and what it rests on.

    Parameters
    ----------
    name : str
        Of the part.
    folder : Path
        One that exists.
    """
    about = findings.about
    attributes = {"basis": about.basis, "catalogue": about.catalogue.digest}
    save_result(findings.results[name], folder / result_file(name), about.identity, attributes)
    write_record(about, folder / FILE)


def load(folder: Path, kinds: Mapping[str, type]) -> Findings:
    """The findings in a folder: its results of the draws, the model and the catalogue of the last call.

    Parameters
    ----------
    kinds : mapping of str to type
        Of results, by part.

    Raises
    ------
    InvalidValue
        For a file that cannot be read.
    """
    path = folder / FILE
    with of_this_version("findings", path):
        about = read_record(About, path)
        return Findings(about, saved_results(about, folder, kinds))


def saved_results(about: About, folder: Path, kinds: Mapping[str, type], *, damaged: bool = False) -> dict[str, object]:
    """Results in a folder that are of the same draws of the same model and the same catalogue.

    Parameters
    ----------
    about : About
        With the identity of these draws.
    kinds : mapping of str to type
        Of results, by part.
    damaged : bool
        Whether a file of another version, or one that was cut short, is passed over and no error.

    Returns
    -------
    dict of str to object
        By part; without those that are of other draws or not there.
    """
    results: dict[str, object] = {}
    for name, kind in kinds.items():
        with suppress(*([WrongRecordError] if damaged else [])):
            results[name] = load_result(kind, folder / result_file(name), about.identity)
    return {name: result for name, result in results.items() if result is not None}


def result_file(part: str) -> str:
    """The name of the file of a part's result."""
    return f"findings-policy-{part}.zip"
