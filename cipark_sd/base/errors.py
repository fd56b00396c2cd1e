"""Errors that a user can act on: each class takes facts and writes the sentence; words of other tools get an answer.

All of them are :class:`CiparkError`; the command line prints them without a traceback and exits with code 2.
"""

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, ParamSpec, TypeVar, get_args

#: So many names are listed where none is close to the one that is not known.
_LISTED = 10
#: Characters of an error. What a file holds may be megabytes long; an error says where it is, and shows its beginning.
LONGEST = 2_000
#: Of all problems of a file, which are to be mended together: some fifty lines.
LONGEST_LIST = 10_000
#: Characters of one name or value in an error, and of one problem among several.
_LONGEST_VALUE = 200
_LONGEST_PROBLEM = 600
_MORE = "\n  - and {:,} more"
#: Problems that are shown; nobody mends more of them at a time.
MOST_SHOWN = 5


def shortened(text: str, most: int = LONGEST) -> str:
    """``text`` where it has at most ``most`` characters, else its beginning and end, with what lies between counted.

    >>> shortened("a" * 50 + "b" * 50, 45)
    'aaaaaaaaaaa … (86 characters left out) … bbb'

    Parameters
    ----------
    most : characters of the result, at most, where that has room for the count
    """
    if len(text) <= most:
        return text
    room = max(most - len(f" … ({len(text)} characters left out) … "), 2)
    tail = room // 4
    head = room - tail
    return f"{text[:head]} … ({len(text) - room} characters left out) … {text[len(text) - tail :]}"


def _suggestion(name: str, known: Iterable[str], most: int = _LISTED) -> str:
    """``'; did you mean …?'`` with the closest known names, else the names themselves where they are few."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=3, cutoff=0.6)
    if not close:
        few = 0 < len(by_folded) <= most
        return f"; known: {', '.join(map(repr, by_folded.values()))}" if few else ""
    return "; did you mean " + " or ".join(repr(by_folded[match]) for match in close) + "?"


E = TypeVar("E", bound="CiparkError")
T = TypeVar("T")
#: Before names that may be meant.
MEANT = "did you mean:"
#: Endings of files whose problems name them.
_FILES = (".toml", ".csv", ".mdl", ".xmile")


class CiparkError(Exception):
    """Base of every error that has its cause in what the user gave."""

    #: Characters that its message may have.
    longest: ClassVar[int] = LONGEST
    #: Its class within the package, of one that is for callers.
    _within: "ClassVar[type[CiparkError] | None]" = None

    def __init__(self, message: str) -> None:
        self.message = shortened(message, self.longest)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    @property
    def fault(self) -> str:
        """What is wrong, without names that may be meant: equal where two errors say the same."""
        return self.message

    def within(self: "E", where: str) -> "E":
        """The same error with the file in which it is."""
        return self.saying(f"{where}: {self.message}")

    def placed(self: "E", places: "Mapping[str, str]") -> "E":
        """The same error with the place of the table with whose name it begins, where that is known."""
        for label, place in places.items():
            if self.message.startswith(label):
                return self.saying(f"{place}{self.message[len(label) :]}")
        return self

    def saying(self: "E", message: str) -> "E":
        """The same error in other words."""
        error = _again(type(self), shortened(message, self.longest))
        error.__dict__.update({key: value for key, value in self.__dict__.items() if key not in ("message", "_meant")})
        return error

    def for_callers(self) -> "CiparkError":
        """The same error as callers from Python meet it: a ValueError too, unless it is another of Python's own.

        Within the package a ValueError is Python's, which readers put into a sentence of theirs.
        """
        error = _again(_as_value_error(type(self)), self.message)
        error.__dict__.update(self.__dict__)
        return error

    def __reduce__(self) -> tuple[object, ...]:
        # an error goes to another process as what it says, not by the facts that its class was called with
        kind = self._within or type(self)
        return _unpickled, (kind, self.message, kind is not type(self)), self.__dict__


def _again(kind: "type[E]", message: str) -> "E":
    again = kind.__new__(kind, message)
    again.message = message
    return again


def _unpickled(kind: type[CiparkError], message: str, for_callers: bool) -> CiparkError:
    return _again(_as_value_error(kind) if for_callers else kind, message)


#: Classes of the package, and the same ones for callers.
_VALUE_ERRORS: dict[type[CiparkError], type[CiparkError]] = {}


def _as_value_error(kind: type[CiparkError]) -> type[CiparkError]:
    if issubclass(kind, (LookupError, ValueError, TypeError, AttributeError)):
        return kind
    about = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__, "_within": kind}
    return _VALUE_ERRORS.setdefault(kind, type(kind.__name__, (kind, ValueError), about))


class Problems(CiparkError):
    """Several problems of one file or call, reported together: the first of them, and how many more there are.

    Parameters
    ----------
    where : str
        The file or call they belong to.
    problems : sequence of CiparkError
        At least one.
    places : mapping
        See :meth:`CiparkError.placed`; those that are shown have theirs.
    """

    longest = LONGEST_LIST

    def __init__(self, where: str, problems: Sequence[CiparkError], places: Mapping[str, str] | None = None) -> None:
        self.where = where
        self.problems = tuple(problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        message = f"{shortened(where, _LONGEST_VALUE)} has {len(self.problems)} {noun}:"
        # a misspelt key is a cause, and that another one is missing its consequence
        ordered = sorted(self.problems, key=lambda problem: getattr(problem, "kind", "") != "key")
        shown = 0
        for problem in ordered[:MOST_SHOWN]:
            line = f"\n  - {shortened(str(problem.placed(places or {})), _LONGEST_PROBLEM)}"
            if len(message) + len(line) > LONGEST_LIST - len(_MORE.format(len(self.problems))):
                break
            message += line
            shown += 1
        if shown < len(self.problems):
            message += _MORE.format(len(self.problems) - shown)
        super().__init__(message)


def collected(problems: list[CiparkError], compute: Callable[[], T]) -> T | None:
    """What is computed, or None with the problems that it raised among the others.

    Parameters
    ----------
    problems : to which what goes wrong is added
    compute : what may raise
    """
    try:
        return compute()
    except Problems as several:
        problems += several.problems
    except CiparkError as problem:
        problems.append(problem)
    return None


def raise_all(where: str, problems: Sequence[CiparkError], places: Mapping[str, str] | None = None) -> None:
    """Raise nothing, the one problem, or all of them as :class:`Problems`; the one names the file that it is of.

    Where tables have the wrong heading, those are the problems: whatever else was found follows from them.

    Parameters
    ----------
    where : the file or call that the problems are of
    problems : none, one or several
    places : of the tables that problems name, as :meth:`CiparkError.placed` has them
    """
    problems = [problem for problem in problems if isinstance(problem, WrongHeading)] or problems
    if len(problems) == 1:
        problem = problems[0].placed(places or {})
        raise problem if Path(where).name in str(problem) or not where.endswith(_FILES) else problem.within(where)
    if problems:
        raise Problems(where, problems, places)


class UnknownName(CiparkError, KeyError):
    """A name that stands for nothing where it was used; with a ``listing`` the known names follow it.

    ``instead`` is what to do where no known name is like it. Names like it are looked for when the message is read: a
    file with thousands of such names would else take a minute, of which five are shown.
    """

    def __init__(
        self,
        name: str,
        known: Iterable[str],
        *,
        kind: str = "variable",
        where: str,
        listing: str = "",
        instead: str = "",
    ) -> None:
        super().__init__("")
        del self.message
        self.name = name
        self.kind = kind
        self.where = where
        self._meant = tuple(known), listing, instead

    @property
    def fault(self) -> str:
        return f"{self.where} has no {self.kind} {shortened(repr(self.name), _LONGEST_VALUE)}"

    @functools.cached_property
    def message(self) -> str:  # type: ignore[override]
        known, listing, instead = self.__dict__.pop("_meant")
        near = _suggestion(self.name, known, 0 if listing else _LISTED)
        # what is meant is asked once
        once = bool(near) and listing == MEANT
        listed = f" ({listing} {', '.join(known)})" if listing and not once else ""
        return shortened(f"{self.fault}{near or (instead and f'; {instead}')}{listed}", self.longest)


class ModelFileError(CiparkError):
    """A model file that cannot be read at all."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        super().__init__(f"{path}: {reason}")


class EquationError(CiparkError):
    """An equation that cannot be understood."""

    def __init__(self, where: str, variable: str, reason: str) -> None:
        self.variable = variable
        super().__init__(f"{where}: the equation of {shortened(repr(variable), _LONGEST_VALUE)} {reason}")


class UnsupportedFeature(CiparkError):
    """Something a model may contain but that is not supported, with the way round it."""

    def __init__(self, feature: str, *, variable: str, where: str, alternative: str) -> None:
        self.feature = feature
        self.variable = variable
        super().__init__(f"{where}: {variable!r} uses {feature}, which is not supported here; {alternative}")


class AlgebraicLoop(CiparkError):
    """Variables that need each other's value at the same instant; ``at_start`` where it is that of initial values."""

    def __init__(self, where: str, loop: Sequence[str], *, at_start: bool = False) -> None:
        self.loop = tuple(loop)
        middle = len(self.loop) - _LISTED
        listed = self.loop if middle <= 1 else (*self.loop[: _LISTED - 2], f"… {middle} more …", *self.loop[-2:])
        shown = " -> ".join(shortened(label, _LONGEST_VALUE // 2) for label in (*listed, self.loop[0]))
        advice = "put a stock, a SMOOTH or a DELAY into it"
        if at_start:
            advice = (
                "it is one of initial values: give a SMOOTH or a DELAY in it a value to start from (SMOOTHI, DELAY1I, "
                "DELAY3I), start a stock from a number, or use ACTIVE INITIAL"
            )
        super().__init__(f"{where}: algebraic loop {shown}; {advice}")


class InvalidValue(CiparkError):
    """A value of the wrong kind, size or range."""

    def __init__(self, quantity: str, value: object, expected: str, *, where: str) -> None:
        shown = shortened(repr(value), _LONGEST_VALUE)
        super().__init__(f"{where}: {shortened(quantity, _LONGEST_VALUE)} is {shown}, expected {expected}")


def one_of(word: object, words: Sequence[str], quantity: str, *, where: str) -> str:
    """The word of a closed list that is meant, whatever its case.

    >>> one_of("RK4", ("euler", "rk4"), "the integration method", where="core")
    'rk4'

    Parameters
    ----------
    word : as somebody gave it
    words : all that there are, in small letters
    quantity : what such a word says, for the message
    where : likewise

    Returns
    -------
    str
        One of ``words``.

    Raises
    ------
    InvalidValue
    """
    meant = word.lower() if isinstance(word, str) else ""
    if meant not in words:
        raise InvalidValue(quantity, word, f"{', '.join(words[:-1])} or {words[-1]}", where=where)
    return meant


class UnusableInput(InvalidValue):
    """Something in a file or a call that is wrong as a whole, said in a sentence of its own."""

    def __init__(self, sentence: str, *, where: str) -> None:
        CiparkError.__init__(self, f"{where}: {sentence}")


class WrongHeading(UnusableInput):
    """A TOML table with the wrong number of brackets: ``[key]`` for ``[[key]]``, or the other way round."""

    def __init__(self, key: str, *, several: bool, where: str) -> None:
        doubled = f"there may be several of {key!r}: write two brackets around its heading, as in [[{key}]]"
        single = f"there is one {key!r}: write one bracket around its heading, as in [{key}]"
        super().__init__(doubled if several else single, where=where)


def like_file(name: str, names: Iterable[str]) -> str:
    """The name most like another; empty where none is, apart from its ending.

    >>> like_file("nosuch.csv", ["forest.csv"]), like_file("forrest.csv", ["forest.csv", "forest.mdl"])
    ('', 'forest.csv')

    Parameters
    ----------
    name : of a file, without its folder
    names : of the files beside it
    """
    known = list(names)
    stems = difflib.get_close_matches(Path(name).stem, {Path(entry).stem for entry in known}, n=3)
    near = difflib.get_close_matches(name, [entry for entry in known if Path(entry).stem in stems], n=1)
    return near[0] if near else ""


class MissingFile(InvalidValue):
    """A file or folder that is named and is not there; what has a name like it beside it is offered.

    Parameters
    ----------
    instead : str
        What else may be given.
    """

    def __init__(self, path: Path | str, *, where: str, instead: str = "") -> None:
        path = Path(path)
        try:
            beside = [entry.name for entry in path.parent.iterdir()]
            reason = "does not exist"
        except OSError:
            beside, reason = [], f"does not exist, and neither does the folder {str(path.parent)!r}"
        near = like_file(path.name, beside)
        offered = f"; did you mean {near!r}?" if near else ""
        CiparkError.__init__(self, f"{where}: {path} {reason}{offered}{f'; {instead}' if instead else ''}")


class MissingData(CiparkError):
    """Variables without an equation whose values nobody has brought."""

    def __init__(self, model: str, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        shown = ", ".join(map(repr, self.labels[:8])) + (", …" if len(self.labels) > 8 else "")
        has = "has no equation and no data" if len(self.labels) == 1 else "have no equation and no data"
        super().__init__(
            f"{model}: {shown} {has}; bring values over time, from a file (--series FILE, in Python "
            "read_model(series=[…])) or in a scenario ({times = […], values = […]})"
        )


class OffGrid(CiparkError):
    """Times that the run does not save or reach."""

    def __init__(self, times: Sequence[float], *, grid: str, where: str, nearest: Sequence[float] = ()) -> None:
        self.times = tuple(times)
        shown = ", ".join(f"{time:.10g}" for time in self.times[:5]) + (", …" if len(self.times) > 5 else "")
        noun = "time" if len(self.times) == 1 else "times"
        verb = "is" if len(self.times) == 1 else "are"
        near = ", ".join(f"{time:.10g}" for time in dict.fromkeys(nearest[:5]))
        super().__init__(
            f"{where}: {noun} {shown} {verb} not on the saved grid ({grid})" + (f"; nearest: {near}" if near else "")
        )


class RunFailed(CiparkError):
    """A run that stops because an equation has no value."""

    def __init__(self, where: str, reason: str, *, variable: str = "", time: float | None = None) -> None:
        self.variable = variable
        self.time = time
        event = f"{variable!r} has no value" if variable else "the run stops"
        when = "" if time is None else f" at time {time:g}"
        super().__init__(f"{where}: {event}{when}: {reason}")


class MissingPackage(CiparkError):
    """A package that only some of the work needs is not installed."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs {package}: {installing(extra)}")


def installing(extra: str) -> str:
    """The command that brings the packages of an extra, which is no name on an index.

    >>> installing("loops")
    'pip install "pysimlin>=0.8.5"'
    """
    from importlib.metadata import requires

    needed = [text.partition(";") for text in requires("cipark-sd") or ()]
    marks = (f"extra == '{extra}'", f'extra == "{extra}"')
    packages = sorted(package.strip() for package, _, marker in needed if marker.strip() in marks)
    return " ".join(["pip install", *(f'"{package}"' for package in packages)])


P = ParamSpec("P")
R = TypeVar("R")

#: Keywords and functions of PySD (3.14, its user guide) and what does the same here.
_OPTIONS = {
    "params": "give the values by name: simulate(model, {'Contact Rate': 2})",
    "return_columns": "save=['Infected'] keeps some variables",
    "return_timestamps": "times=[1, 2] keeps some times",
    "initial_condition": "a stock is set like a constant, {'Infected': 5}, and start(model) continues from a state",
    "output_file": "write save(run, 'run.nc')",
    "reload": "each run begins again",
}
#: Functions and methods of PySD's; those of its model are the same here with a model in front.
_FUNCTIONS = {
    "read_vensim": "read_model('model.mdl')",
    "read_xmile": "read_model('model.xmile')",
    "run": "simulate(model, {'Contact Rate': 2})",
    "step": "start(model).step()",
    "set_components": "simulate(model, {'Contact Rate': 2})",
    "set_initial_condition": "simulate(model, {'Infected': 5}), since a stock is set like a constant",
    "components": "model['Contact Rate'] for one variable, model.variables for all",
    "doc": "show(model), or the model as the last line of a cell",
}


#: What there was and what does it now, as the changelog has it: commands, options of a command, names of Python.
REMOVED: Mapping[str, str] = {
    "runs": "cipark ensemble writes a folder of NetCDF files, and the same command goes on after a stop",
    "completion": "click prints the script: _CIPARK_COMPLETE=bash_source cipark (or zsh_source, fish_source)",
    "ensemble --keep-runs": "a stopped call goes on from what is kept, unasked",
    "ensemble --leave-out": "--vary names what varies",
    "certify --tolerance": "--recorded-tolerance",
    "sensitivity --until": "more --rows continue the kept design",
    "sensitivity --most-rows": "more --rows continue the kept design",
    "sensitivity --pairs": "SALib on our ensemble has second-order indices",
    "sensitivity --effect": "'without' of an [[output]] in sensitivity.toml",
    "policy --outcome": "'also' of [headline] in the catalogue",
    "policy --weights": "weights.csv beside the draws",
    "show --format": "--json prints all of it",
    "calibrate --optimiser": "searches choose their own way to the end",
    "score --drift": "a forecast of your own is a file of draws, scored by the same command",
    "play --structures": "rivals that were fitted are always there",
    "stan": "density has the log density with gradients, for any sampler",
}


class UnknownOption(CiparkError, TypeError):
    """A keyword that a function does not have, or an argument too many; a TypeError, as Python's own would be."""

    def __init__(self, function: str, options: Iterable[str], known: Iterable[str], reason: str) -> None:
        known = tuple(known)
        removed = {name: REMOVED.get(f"{function} --{name.replace('_', '-')}") for name in options}
        answers = {**_OPTIONS, **{name: answer for name, answer in removed.items() if answer}}
        lines = [
            f"{function} has no option {name!r}; {answers[name]}"
            if name in answers
            else str(UnknownName(name, known, kind="option", where=function))
            for name in options
            if name not in known
        ]
        super().__init__("\n".join(lines) if lines else f"{function}: {reason}")


class UnknownMethod(CiparkError, AttributeError):
    """A name that a model or a study does not have; an AttributeError, as Python's own would be."""

    def __init__(self, name: str, where: str, kind: str = "model") -> None:
        answer = f"; write {_FUNCTIONS[name]}" if name in _FUNCTIONS else ""
        answer = f"; {REMOVED[name]}" if name in REMOVED else answer
        super().__init__(f"{where}: a {kind} has no {name!r}{answer}")


class UnknownFunction(CiparkError, AttributeError):
    """A name that the package does not have; an AttributeError, as Python's own would be."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        if name in _FUNCTIONS:
            super().__init__(f"cipark_sd has no {name!r}; write {_FUNCTIONS[name]}")
        elif name in REMOVED:
            super().__init__(f"cipark_sd has no {name!r}; {REMOVED[name]}")
        else:
            super().__init__(str(UnknownName(name, known, kind="function", where="cipark_sd")))


#: With this variable set, errors have all of their traceback.
DEBUG = "CIPARK_DEBUG"


def answered(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which answers a keyword that it does not have with what there is in its place, :func:`brief`ly."""
    known = set(inspect.signature(function).parameters)
    # the keys of what ``**span`` unpacks
    for unpacked in get_args(function.__annotations__.get("span")):
        known |= unpacked.__annotations__.keys()

    @functools.wraps(function)
    def called(*values: P.args, **options: P.kwargs) -> R:
        if not options.keys() <= known:
            raise UnknownOption(function.__name__, options, known, "")
        return function(*values, **options)

    return brief(called)


def brief(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose errors are those of :meth:`CiparkError.for_callers`, without the frames of this package."""

    @functools.wraps(function)
    def called(*values: P.args, **options: P.kwargs) -> R:
        try:
            return function(*values, **options)
        except CiparkError as problem:
            if os.environ.get(DEBUG):
                raise
            error = problem.for_callers()
        raise error

    return called


def brief_methods(kind: type[T]) -> type[T]:
    """The class, whose public methods are :func:`brief`."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and (name[0] != "_" or name in ("__init__", "__getitem__", "__setitem__")):
            setattr(kind, name, brief(method))
    return kind
