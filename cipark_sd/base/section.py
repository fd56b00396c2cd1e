"""One table of a TOML file: typed access that collects what is wrong instead of stopping at the first fault."""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeGuard, TypeVar

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, WrongHeading
from cipark_sd.base.inputs import LinedTable, place

T = TypeVar("T", bound=str)
R = TypeVar("R")


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of TOML is a finite number, which a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Section:
    """A TOML table with its name for messages and the list into which problems go.

    Each method returns a usable value even when it notes a problem, so that reading goes on to the next. Messages name
    the file and the line of the key, where the table was read from a file.

    Parameters
    ----------
    name : str
        Of the table, such as ``parameter 'beta'``; empty for the file itself.
    within : Section, optional
        The one that holds this table; its line stands for a table that has none, such as a value that is no table.
    """

    def __init__(
        self, content: object, name: str, problems: list[CiparkError], *, within: "Section | None" = None
    ) -> None:
        #: What its table is called in the file, of one that :meth:`sections` gives.
        self.title = ""
        self.name: str = name if within is None or not within.name else f"{within.name}, {name}"
        self.problems = problems
        self._start = len(problems)
        self._keys_read: set[str] = set()
        self._undecided = False
        self.content: Mapping[str, object] = content if isinstance(content, Mapping) else {}
        self._placed: Mapping[str, object] = (
            within._placed if within is not None and not isinstance(content, LinedTable) else self.content
        )
        if not isinstance(content, Mapping):
            key = name.strip("[]")
            self.problems.append(
                WrongHeading(key, several=False, where=place(self._placed, within.name if within else "", key))
                if isinstance(content, list) and any(isinstance(item, Mapping) for item in content)
                else InvalidValue("its content", content, "a table", where=self.where)
            )

    @property
    def where(self) -> str:
        """The file, the line of the table, and its name."""
        return place(self._placed, self.name)

    def at(self, key: str) -> str:
        """The file, the line of a key, and the name of the table."""
        return place(self._placed, self.name, key)

    @property
    def sound(self) -> bool:
        """Whether nothing was noted since the section was opened."""
        return len(self.problems) == self._start

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def wrong(self, key: str, expected: str) -> None:
        """Note that the value of ``key`` is not what is expected."""
        self.problems.append(InvalidValue(key, self.content.get(key), expected, where=self.at(key)))

    def raw(self, key: str) -> object:
        """The value as it stands, None where there is none."""
        self._keys_read.add(key)
        return self.content.get(key)

    def _read(self, key: str, expected: str, read: Callable[[object], R | None], default: R | None, otherwise: R) -> R:
        """What ``read`` makes of a value, and of None for one that is not ``expected``, which is noted.

        Without the key it is the default, and noted where there is none; ``otherwise`` stands for it then.
        """
        value = self.raw(key)
        if value is None and default is not None:
            return default
        made = read(value)
        if made is not None:
            return made
        self.wrong(key, expected)
        return otherwise if default is None else default

    def text(self, key: str, default: str | None = None) -> str:
        """A text, without the character 0; required where there is no default."""

        def read(value: object) -> str | None:
            return value if isinstance(value, str) and value.strip() and "\0" not in value else None

        nothing = "\0" in str(self.content.get(key, ""))
        return self._read(key, "a text without the character 0" if nothing else "a text", read, default, "")

    def choice(self, key: str, options: Sequence[T], default: T | None = None, *, listing: str = "") -> T:
        """One of several words; with ``listing``, a beginning such as ``"it takes"``, the message lists them."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        for option in options:
            if value == option:
                return option
        if isinstance(value, str):
            self._undecided = True
            self.problems.append(UnknownName(value, options, kind=key, where=self.at(key), listing=listing))
        else:
            self.wrong(key, "one of " + ", ".join(options))
        return options[0]

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number; required where there is no default."""
        return self._read(
            key, "a finite number", lambda value: float(value) if is_number(value) else None, default, math.nan
        )

    def time(self, key: str, model_time: Callable[[str], float], default: float | None = None) -> float:
        """The model time of a date or a number; ``model_time`` raises ValueError for what is neither."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        return (*self._times(key, [value], model_time, "a date such as 2019-12-31, or a number"), math.nan)[0]

    def times(self, key: str, model_time: Callable[[str], float]) -> tuple[float, ...]:
        """Model times of one or of a list of dates or numbers, ascending; as of :meth:`time`."""
        value = self.raw(key)
        expected = "a list of dates such as 2019-07-01, or of numbers"
        return self._times(key, value if isinstance(value, list) else [value], model_time, expected)

    def _times(
        self, key: str, dates: list[object], model_time: Callable[[str], float], expected: str
    ) -> tuple[float, ...]:
        with suppress(ValueError):
            if times := tuple(sorted({model_time(str(date)) for date in dates})):
                return times
        self.wrong(key, expected)
        return ()

    def ends(self, key: str, default: tuple[float, float] | None = None) -> tuple[float, float]:
        """A list of two numbers, the lower one first; required where there is no default."""

        def read(value: object) -> tuple[float, float] | None:
            match value:
                case [int() | float() as low, int() | float() as high] if low < high:
                    return float(low), float(high)
            return None

        return self._read(key, "[low, high] with low below high", read, default, (0.0, 1.0))

    def number_or_name(
        self, key: str, expected: str, fits: Callable[[float], bool], default: float | None = None
    ) -> float | str:
        """A number that ``fits``, or a text that names one; required where there is no default."""

        def read(value: object) -> float | str | None:
            if isinstance(value, str) and value:
                return value
            return float(value) if is_number(value) and fits(value) else None

        nothing: float | str = math.nan
        return self._read(key, expected, read, default, nothing)

    def whole(self, key: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        """A whole number."""

        def read(value: object) -> int | None:
            if not isinstance(value, int) or isinstance(value, bool):
                return None
            return value if least <= value <= (value if most is None else most) else None

        expected = f"a whole number, at least {least}" + ("" if most is None else f" and at most {most:,}")
        return self._read(key, expected, read, default, default)

    def flag(self, key: str) -> bool:
        """True or false; false without the key."""
        return self._read(key, "true or false", lambda value: value if isinstance(value, bool) else None, False, False)

    def names(self, key: str, *, expected: str = "a name or a list of names") -> tuple[str, ...]:
        """A text or a list of texts; empty where there is none."""

        def read(value: object) -> tuple[str, ...] | None:
            if isinstance(value, str):
                return (value,)
            if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
                return tuple(value)
            return None

        return self._read(key, expected, read, (), ())

    def table(self, key: str, name: str | None = None) -> "Section":
        """The table ``[key]``, under another name where messages have one; empty where there is none."""
        content = self.raw(key)
        return Section({} if content is None else content, name or f"[{key}]", self.problems, within=self)

    def tables(self, key: str) -> list[object]:
        """An array of tables ``[[key]]``; empty where there is none."""
        noted = key in self._keys_read
        value = self.raw(key)
        if isinstance(value, Mapping) and not noted:
            self.problems.append(WrongHeading(key, several=True, where=self.at(key)))
        elif not (value is None or isinstance(value, list) or noted):
            self.wrong(key, f"tables, each headed [[{key}]]")
        return value if isinstance(value, list) else []

    def sections(self, key: str, *, by: str = "name", label: str = "") -> "Iterator[Section]":
        """A section for each table ``[[key]]``, which messages name by its text under ``by``."""
        for content in self.tables(key):
            yield Section.titled(content, label or key, self.problems, by=by)

    def unnamed(self, key: str, read: "Callable[[Section], R]") -> tuple[R, ...]:
        """What a function reads of each table ``[[key]]`` that has no name, all of whose keys have to be known."""
        return tuple(Section(content, key, self.problems).entirely(read) for content in self.tables(key))

    def named(self, key: str, read: "Callable[[Section], R]", *, by: str = "name", label: str = "") -> tuple[R, ...]:
        """The same of tables that have one, as of :meth:`sections`."""
        return tuple(section.entirely(read) for section in self.sections(key, by=by, label=label))

    def entirely(self, read: "Callable[[Section], R]") -> R:
        """What a function reads of the table, all of whose keys have to be known."""
        value = read(self)
        self.note_unread()
        return value

    @classmethod
    def titled(cls, content: object, kind: str, problems: list[CiparkError], *, by: str = "name") -> "Section":
        """The table of one of several things of a kind, which messages name by its text under ``by``."""
        title = str(content.get(by, "?")) if isinstance(content, Mapping) else "?"
        section = cls(content, f"{kind} {title!r}", problems)
        section.title = title
        section.text(by)
        return section

    def note_unread(self) -> None:
        """Note every key that nothing asked for.

        Where such a key is a misspelling of one that is not there, what else was noted of the table follows from that.
        Where a word is none that is known, which keys belong beside it is not known either.
        """
        if self._undecided:
            return
        unread = [key for key in self.content if key not in self._keys_read]
        absent = [key for key in self._keys_read if key not in self.content]
        if any(difflib.get_close_matches(key, absent, n=1, cutoff=0.75) for key in unread):
            del self.problems[self._start :]
        for key in unread:
            self.problems.append(UnknownName(key, sorted(self._keys_read), kind="key", where=self.at(key)))
