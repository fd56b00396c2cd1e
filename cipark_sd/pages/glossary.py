"""Words of a page that not every reader knows: linked where they first stand in a section, explained at its end."""

import html
import re
import tomllib
from functools import cache
from importlib.resources import files


@cache
def words() -> dict[str, dict[str, str]]:
    """By word its ``pattern`` in sentences and its ``meaning``, from ``glossary.toml`` beside this file."""
    return tomllib.loads(files("cipark_sd.pages").joinpath("glossary.toml").read_text(encoding="utf-8"))


class Glossary:
    """The words of one document, as far as they stand in it."""

    def __init__(self) -> None:
        self._used: dict[str, None] = {}
        self._in_section: set[str] = set()
        every = "|".join(f"(?P<w{i}>{entry['pattern']})" for i, entry in enumerate(words().values()))
        self._pattern = re.compile(rf"(?<![\w-])(?:{every})(?![\w-])", re.IGNORECASE)

    def section(self) -> None:
        """Another section begins, in which words are linked anew."""
        self._in_section.clear()

    def linked(self, text: str) -> str:
        """A sentence as HTML, its words linked where they first stand in the section."""
        escaped = html.escape(text)
        return self._pattern.sub(self._link, escaped)

    def _link(self, match: "re.Match[str]") -> str:
        word = list(words())[int((match.lastgroup or "w0")[1:])]
        if word in self._in_section:
            return match[0]
        self._in_section.add(word)
        self._used[word] = None
        return f'<a class="word" href="#{anchor(word)}">{match[0]}</a>'

    def list(self) -> str:
        """The words that were linked, as a list of definitions; empty without any."""
        entries = "".join(
            f'<dt id="{anchor(word)}">{html.escape(word)}</dt><dd>{html.escape(entry["meaning"])}</dd>'
            for word, entry in words().items()
            if word in self._used
        )
        return f"<dl>{entries}</dl>" if entries else ""


def anchor(word: str) -> str:
    """Where a word is explained.

    >>> anchor("Monte Carlo error")
    'word-monte-carlo-error'
    """
    return "word-" + re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
