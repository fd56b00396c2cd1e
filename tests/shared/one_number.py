"""One estimand, one number and one class: in all that commands and documents say about one fit.

A PLACE is a folder of output of calibrate, policy or sensitivity, a page of ``cipark play``, a kept result
(``docs/results/*.json``), or a text: what a command printed, or a document. Records, tables, first screens and the
curves of a player are compared by their estimand, signs and ends of intervals included. In sentences a number with its
interval, such as ``57 firms (90%: 40 to 77)``, has to be that of a record.
"""

import base64
import json
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

_NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?"
_WAY = r"(?: (?:[A-Za-z/²]+ )?(more|fewer|less))?"
#: A number with its Monte Carlo error, what it is of, and its interval; a change may say its direction at each end.
_OF = r"((?:[^()<>:;\d]|(?<=[A-Za-z^])\d|1/){0,60}?)"
_STATEMENT = re.compile(
    rf"(?<![\w.,^])(?<!± )({_NUMBER})(?: ± {_NUMBER})?(?![\w.%/]){_OF}"
    rf" ?\((\d+) ?%: ({_NUMBER}){_WAY} to ({_NUMBER}){_WAY}\)"
)
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Said:
    """A number as somebody reads it, with the ends of its interval where it has both."""

    number: str
    ends: tuple[str, ...] = ()

    def is_of(self, number: float, low: float | None, high: float | None) -> bool:
        """Whether it is this number, each text rounded to its own digits."""
        if self.ends and (low is None or high is None):
            return False
        values = (number, low, high) if self.ends else (number,)
        return all(
            is_rounded(text, value or 0.0) for text, value in zip((self.number, *self.ends), values, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.number} ({' to '.join(self.ends)})" if self.ends else self.number


@dataclass
class Place:
    """What one place says: records, numbers by estimand, the same under the priors alone, and numbers in sentences."""

    name: str
    records: list[dict[str, Any]] = field(default_factory=list)
    shown: list[tuple[str, Said]] = field(default_factory=list)
    priors: list[tuple[str, Said]] = field(default_factory=list)
    sentences: list[Said] = field(default_factory=list)


def is_rounded(text: str, value: float) -> bool:
    """Whether a text is a value, sign included, to as many decimals or to as many digits, two at least, as it has."""
    printed = float(text.replace(",", "").replace("−", "-"))
    decimals = len(text.partition(".")[2])
    return abs(printed - value) <= 0.5001 * 10**-decimals or any(
        printed == float(f"{value:.{n}g}") for n in range(2, 12)
    )


def statements(text: str) -> Iterator[Said]:
    """Numbers with their intervals in a text; one that is so much *fewer* is below zero."""
    for number, of, _, low, way_low, high, way_high in _STATEMENT.findall(" ".join(text.split())):
        way = next(iter(re.findall(r"\b(more|fewer|less)\b", of)), "")
        ends = [_signed(low, way_low or way_high or way), _signed(high, way_high or way)]
        yield Said(_signed(number, way), tuple(sorted(ends, key=_value)))


def _signed(text: str, way: str) -> str:
    return f"-{text}" if way in ("fewer", "less") else text


def _value(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


def on_page(html: str) -> Iterator[tuple[str, Said]]:
    """The numbers of a page by their estimand: those of its first screen and of its tables of records."""
    for name, row in re.findall(r'<tr data-estimand="([^"]*)">(.*?)</tr>', html, re.DOTALL):
        value, interval = map(_words, re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)[1:3])
        ends = re.match(rf"({_NUMBER}) to ({_NUMBER}) \(", interval)
        number = re.match(_NUMBER, value)
        yield unescape(name), Said(number[0] if number else "nan", ends.groups() if ends else ())
    for name, card in re.findall(r'<section data-estimand="([^"]*)">(.*?)</section>', html, re.DOTALL):
        printed = _words(next(iter(re.findall(r"<b>(.*?)</b>", card)), ""))
        number = re.match(_NUMBER, printed)
        yield unescape(name), next(statements(printed), Said(number[0] if number else "nan"))


def _words(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", "", html))).strip()


def of_player(html: str, *, prior: bool = False) -> Iterator[tuple[str, Said]]:
    """The numbers with which a page opens, where it has them over all draws: at its time of reading, by outcome."""
    match = _DATA.search(html)
    page = json.loads(match[1]) if match else {"structures": [{}], "outcomes": []}
    holder = page["structures"][0]
    holder = (holder.get("prior") or {}) if prior else holder
    for outcome, packed in zip(page["outcomes"], holder.get("whole", []), strict=False):
        numbers = [number for (number,) in struct.iter_unpack("<d", base64.b64decode(packed))]
        times = len(numbers) // 5
        low, _, middle, _, high = (f"{numbers[i * times + page['at']]:.6g}" for i in range(5))
        if outcome.get("estimand"):
            yield outcome["estimand"], Said(middle, (low, high))


def records_in(content: Any) -> Iterator[dict[str, Any]]:
    """All records of a file, wherever they stand in it."""
    if isinstance(content, dict) and {"estimand", "number", "interval"} <= content.keys():
        yield content
    elif isinstance(content, dict | list):
        for inner in content.values() if isinstance(content, dict) else content:
            yield from records_in(inner)


def places(path: Path) -> Iterator[Place]:
    """What stands at a path."""
    if path.is_dir():
        for name in ("report.json", "report.html", "player.html"):
            yield from places(path / name) if (path / name).is_file() else ()
        return
    text, name = path.read_text(encoding="utf-8"), f"{path.parent.name}/{path.name}"
    if path.suffix == ".json":
        yield Place(name, list(records_in(json.loads(text))))
    elif _DATA.search(text):
        yield Place(name, shown=list(of_player(text)), priors=list(of_player(text, prior=True)))
    elif path.suffix == ".html":
        first = re.findall(r'<section class="first".*?</section>|<dl>.*?</dl>', text, re.DOTALL)
        sentences = [printed for part in first for printed in statements(re.sub(r"\s*<[^>]*>\s*", " ", unescape(part)))]
        yield Place(name, shown=list(on_page(text)), sentences=sentences)
    else:
        yield Place(name, sentences=list(statements(text)))


def faults(places: Sequence[Place]) -> Iterator[str]:
    """Each number that is another one than its record's, with where it stands."""
    records = [(place.name, record) for place in places for record in place.records]
    by_name: dict[str, dict[str, str]] = defaultdict(dict)
    for name, record in records:
        by_name[_key(record)].setdefault(f"{record['number']:.10g}", f"{record['number']:.6g} in {name}")
        if record.get("judged"):
            by_name[f"class of {record['estimand']}"].setdefault(record["judged"], f"{record['judged']} in {name}")
    for estimand, values in by_name.items():
        if len(values) > 1:
            yield f"{estimand}: {'; '.join(values.values())}"
    for place in places:
        for estimand, printed in place.shown:
            its = [record for _, record in records if record["estimand"] == estimand]
            if its and not any(printed.is_of(*_numbers(record)) for record in its):
                yield f"{estimand}: {printed} in {place.name}, {its[0]['number']:.6g} in its record"
        for estimand, printed in place.priors:
            for prior in (record["prior"] for _, record in records if record["estimand"] == estimand):
                if prior and not Said(printed.ends[0], printed.ends).is_of(prior["low"], prior["low"], prior["high"]):
                    yield f"{estimand} under the priors: {printed} in {place.name}, {prior} in its record"
        for printed in place.sentences:
            if not any(printed.is_of(*_numbers(record)) for _, record in records):
                yield f"{printed} in {place.name}: the number of no record"


def _key(record: dict[str, Any]) -> str:
    """The estimand, the structure that a record is conditional on, and an optimum by its name."""
    structure = [text for text in record["conditional_on"] if text.startswith("structure")]
    best = [record["kind"]] if record["kind"].endswith("optimum") else []
    return "; ".join([record["estimand"], *structure, *best])


def _numbers(record: dict[str, Any]) -> tuple[float, float | None, float | None]:
    interval = record["interval"] or {}
    return record["number"], interval.get("low"), interval.get("high")
