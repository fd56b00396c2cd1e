"""A Vensim file to a model."""

import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cipark_sd.base.errors import CiparkError, EquationError, ModelFileError
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.compiler.functions.registry import REFUSED
from cipark_sd.language.read.checked import checked_model, unchecked_time
from cipark_sd.language.read.climbing import TOO_DEEP, Names, SyntaxProblem, TooDeep, too_deep
from cipark_sd.language.read.dimensions import SecondRanges
from cipark_sd.language.read.external_files import check_located
from cipark_sd.language.read.vensim.definitions import EquationHead, Range, dimensions, head
from cipark_sd.language.read.vensim.entries import Entry, VensimText, decoded, place, split, tokens
from cipark_sd.language.read.vensim.expressions import Reader
from cipark_sd.language.read.vensim.variables import Equation, right_side, variables_of
from cipark_sd.model.expr import Call
from cipark_sd.model.model import Dimension, Macro, Method, Model, Origin
from cipark_sd.model.variables import Auxiliary, Piece, Variable

#: Fourth number of Vensim's settings line ``15:``: Euler, RK4 auto, difference, RK2 auto, RK2, RK4.
_METHODS: Mapping[str, Method] = {"0": "euler", "1": "rk4_auto", "2": "euler", "3": "rk2_auto", "4": "rk2", "5": "rk4"}


#: What of a method is otherwise here. Source: Vensim's manual, integration.html.
_OTHERWISE: Mapping[str, str] = {
    **dict.fromkeys(
        ("1", "3"),
        "it asks for Runge-Kutta in steps that are made as small as needed; here each is the TIME STEP: halve it and "
        "see whether the numbers stay",
    ),
    "2": "it asks for the method Diff, which saves auxiliaries as they were at the saved time before; here they are "
    "those of the time itself",
}


def vensim_method(text: str) -> Method:
    """The integration method of the settings line ``15:``; Euler where there is none."""
    return _METHODS.get(_number(text), "euler")


def _say_method(name: str, text: str) -> None:
    """Warn where the method of a file is another one in Vensim."""
    if reason := _OTHERWISE.get(_number(text)):
        warnings.warn(f"{name}: {reason}", stacklevel=2)


def _number(text: str) -> str:
    setting = re.search(r"^15:([^\r\n]*)", text, flags=re.MULTILINE)
    fields = [] if setting is None else [field.strip() for field in setting.group(1).split(",")]
    return fields[3] if len(fields) > 3 else "0"


def vensim_synonyms(text: str) -> tuple[tuple[str, ...], ...]:
    """Units that the settings lines ``22:`` declare to be the same."""
    lines = re.findall(r"^22:([^\r\n]*)", text, flags=re.MULTILINE)
    groups = (tuple(name.strip() for name in line.split(",") if name.strip()) for line in lines)
    return tuple(group for group in groups if group)


def read_vensim(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model:
    """The model in a ``.mdl`` file that holds ``raw``.

    Parameters
    ----------
    raw : bytes
        What the file holds.
    allowed : tuple of Path
        Folders beneath which files may lie that it names, beside its own.

    Raises
    ------
    ModelFileError
        Where the file has no equations.
    OutsideFolder, EquationError, UnknownName, UnsupportedFeature, Problems
        For all that is wrong, at once, each with its line and column.
    """
    text = decoded(raw)
    if "\0" in text:
        raise ModelFileError(path, "is not text: it has zero bytes; save the model as text (.mdl) in UTF-8")
    file = split(text)
    problems: list[CiparkError] = [
        ModelFileError(path, f"line {file.place(at).partition(':')[0]}: {reason}") for at, reason in file.broken
    ]
    names = Names()
    main = _Section(path, file, names, problems, path.name)
    main.read_heads(file.entries)
    if not main.equations and not problems:
        raise ModelFileError(path, "has no equations outside its macros" if file.macros else "has no equations")
    range_files = tuple(sorted({definition.external[0] for definition in main.ranges if definition.external}))
    check_located(path, range_files, allowed)
    made = dimensions(path, main.ranges, problems)
    seconds = SecondRanges({dimension.name for dimension in made} | set(main.equations))
    variables = main.variables(made, seconds)
    macros = tuple(_macro(main, *macro, made, seconds) for macro in file.macros)
    further, more_macros = _further_results(main, macros, problems)
    _say_method(path.name, text)
    draft = Model(
        name=path.stem,
        variables=(*variables, *further),
        time=unchecked_time(vensim_method(text)),
        dimensions=(*made, *seconds.made.values()),
        macros=(*macros, *more_macros),
        drawing=file.drawing,
        unit_synonyms=vensim_synonyms(text),
        range_files=range_files,
        origin=Origin(path.resolve(), "vensim", allowed, lines=main.lines),
    )
    return checked_model(path, draft, raw, problems)


# what the file's main part was read with, which a macro needs as well
def _macro(
    main: "_Section",
    label: str,
    brackets: str,
    entries: Sequence[Entry],
    made: tuple[Dimension, ...],
    seconds: SecondRanges,
) -> Macro:
    section = _Section(main.path, main.file, main.names, main.problems, f"{main.path.name}, macro {label}")
    section.read_heads(entries)
    name = canonical(label)
    words = tokens(brackets)
    colon = words.index(":") if ":" in words else len(words)
    inputs, results = (
        [canonical(word) for word in part if word != ","] for part in (words[:colon], words[colon + 1 :])
    )
    variables = section.variables(made, seconds, main.lookups)
    for further, _, _ in section.further:
        reason = "is a further result of a macro inside a macro, which is not supported; write that macro out"
        main.problems.append(EquationError(section.where, plain_label(further), reason))
    return Macro(
        name=name,
        parameters=tuple(inputs),
        results=(name, *(result for result in results if result != name)),
        variables=variables,
    )


def _further_results(
    main: "_Section", macros: Sequence[Macro], problems: list[CiparkError]
) -> tuple[list[Variable], list[Macro]]:
    """The variables that calls name for further results of macros, and for each of these a macro that gives it.

    Source: Vensim's reference manual, macros: what stands behind the colon of a call becomes variables of the model.
    """
    by_name = {macro.name: macro for macro in macros}
    variables: list[Variable] = []
    made: dict[str, Macro] = {}
    for label, number, call in main.further:
        macro, label = by_name.get(call.function), plain_label(label)
        if macro is None or number >= len(macro.results):
            many = "is no macro" if macro is None else f"has {len(macro.results) - 1} further results"
            reason = f"is asked of {call.function!r}, which {many}; name no more behind the colon"
            if call.function in REFUSED:
                reason = f"is asked of {call.function.upper()}, which is not supported here; {REFUSED[call.function]}"
            problems.append(EquationError(main.where, label, reason))
            continue
        variable = macro.results[number]
        name = f"{macro.name}: {variable}"
        made[name] = replace(macro, name=name, results=(variable,))
        value = Piece(Call(name, call.arguments))
        variables.append(Auxiliary(name=canonical(label), label=label, pieces=(value,)))
    return variables, list(made.values())


class _Section:
    """The entries of the model, or of one macro."""

    def __init__(self, path: Path, file: VensimText, names: Names, problems: list[CiparkError], where: str) -> None:
        self.path, self.file, self.names, self.problems, self.where = path, file, names, problems, where
        self.ranges: list[Range] = []
        self.texts: dict[str, str] = {}
        self.further: list[tuple[str, int, Call]] = []
        #: In which entry a call names each of them.
        self.named_in: dict[str, int] = {}
        self.equations: dict[str, list[Equation]] = {}

    @property
    def lookups(self) -> set[str]:
        """Canonical names of the tables."""
        return {name for name, equations in self.equations.items() if all(equation.is_table for equation in equations)}

    @property
    def lines(self) -> dict[str, int]:
        """Where each range and each variable begins."""
        ranges = {plain_label(made.label): int(made.where.split(":")[-2]) for made in self.ranges}
        firsts = [equations[0] for equations in self.equations.values()]
        starts = self.named_in | {first.head.label: first.entry.at for first in firsts}
        return ranges | {label: int(self.file.place(at).partition(":")[0]) for label, at in starts.items()}

    def read_heads(self, entries: Sequence[Entry]) -> None:
        """Sort the entries into ranges and equations by name."""
        for entry in entries:
            words = tokens(entry.equation)
            try:
                heading = head(words, self.names)
            except SyntaxProblem as problem:
                self.problems.append(self._unreadable(entry, words, problem))
                continue
            match heading:
                case Range():
                    self.ranges.append(replace(heading, where=self._where(entry.at)))
                case EquationHead(_, name):
                    self.equations.setdefault(name, []).append(Equation(entry, heading, words))
                case (name, text):
                    self.texts[name] = text
                case None:
                    continue
        for name, equations in self.equations.items():
            # Vensim keeps the arrows of a drawing beside an equation that does not use them all
            finished = [equation for equation in equations if not equation.is_unfinished]
            self.equations[name] = finished or equations

    def variables(
        self, made: tuple[Dimension, ...], seconds: SecondRanges, lookups: Collection[str] = ()
    ) -> tuple[Variable, ...]:
        """The variables; what cannot be read is noted."""
        reader = Reader(self.names, self.lookups | set(lookups))
        self.further, reader.texts = reader.further, self.texts
        variables: list[Variable] = []
        for equations in self.equations.values():
            try:
                sides = [self._side(equation, reader) for equation in equations]
                group = equations[0].entry.group
                variables.extend(variables_of(equations, sides, made, seconds, self.where, group))
            except CiparkError as problem:
                self.problems.append(problem)
        for name, many in Counter(variable.name for variable in variables).items():
            if many > 1:
                label = next(variable.label for variable in variables if variable.name == name)
                reason = "is also the name for what an array reads from files; call the variable otherwise"
                self.problems.append(EquationError(self.where, label, reason))
        return tuple(variables)

    def _side(self, equation: Equation, reader: Reader):  # type: ignore[no-untyped-def]
        before = len(reader.further)
        try:
            return right_side(equation, reader)
        except SyntaxProblem as problem:
            raise self._unreadable(equation.entry, equation.tokens, problem) from None
        finally:
            self.named_in |= dict.fromkeys(
                (plain_label(label) for label, _, _ in reader.further[before:]), equation.entry.at
            )

    def _where(self, at: int) -> str:
        return f"{self.where}:{self.file.place(at)}"

    def _unreadable(self, entry: Entry, words: Sequence[str], problem: SyntaxProblem) -> EquationError:
        at = entry.at + place(entry.equation, problem.index)
        label = plain_label(words[0]) if words else "?"
        reason = f"cannot be read: {problem.reason}"
        if isinstance(problem, TooDeep):
            reason = too_deep(entry.equation) if problem.reason == TOO_DEEP else problem.reason
        return EquationError(self._where(at), label, reason)
