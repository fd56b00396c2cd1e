"""The numbers of the documents: make them, and put them where they stand.

    python tools/results.py                    list the results and what of them is out of date
    python tools/results.py park_fit school    run their commands, keep the numbers in docs/results/
    python tools/results.py park_fit --from F  the same of a folder in which its commands have been run just now
    python tools/results.py --pages            write the kept numbers into the documents
    python tools/results.py --unsaid           numbers of the documents that nothing accounts for

`docs/results/numbers.toml` says which number of which page is which result; `tests/project/test_numbers.py` holds pages
to it.
"""

import hashlib
import json
import re
import string
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "results"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/**/*.md",
    "models/*.md",
    "calibration/studies/*/*.md",
    "benchmarks/*.md",
)
sys.path.insert(0, str(Path(__file__).parent))

from results_commands import RESULTS, Numbers, Result, marked_files, settings_of_the_park  # noqa: E402

# what has digits and is no claim is passed over: code, addresses, dates, years, identifiers such as S14 or MIL-HDBK-189
TOKEN = re.compile(
    r"""^```.*?^```|`[^`\n]*`|<!--.*?-->|\]\([^)]*\)|https?://\S+|(?:doi|arXiv):\S+
    |^[ ]*\d+\.[ ]|\d{4}-\d\d(?:-\d\d)?
    |(?<![\w.,])(?:1[89]|20)\d\d(?![\w]|[.,]\d)
    |(?P<small>\d+(?:\.\d+)?e-?\d+\b)
    |(?:\w+-)*\w*[^\W\d]\w*(?:-\w+)*
    |(?P<number>\d+(?:,\d{3})*(?:\.\d+)*)""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)


def numbers(text: str) -> list[str]:
    """The numbers of a text that could be claims."""
    return [
        m.group("small") or m.group("number") for m in TOKEN.finditer(text) if m.group("small") or m.group("number")
    ]


def inputs(result: Result) -> dict[str, str]:
    """What a result depends on, with SHA-256; `#settings` and `#files` are blocks of a page that an example reads."""
    contents: dict[str, bytes] = {}
    for name in result.inputs:
        page, _, part = name.partition("#")
        if part:
            text = settings_of_the_park() if part == "settings" else json.dumps(marked_files(page))
            contents[name] = text.encode()
        else:
            contents |= {f.relative_to(ROOT).as_posix(): f.read_bytes() for f in sorted(ROOT.glob(name))}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def compute(result: Result) -> Numbers:
    """Run a result's commands in an empty folder and read its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        return result.numbers(Path(folder))


def keep(result: Result, made: Numbers) -> None:
    """Write the numbers with all that they are conditional on."""
    record = {
        "commands": list(result.commands),
        "inputs": inputs(result),
        "versions": {name: version(name) for name in ("cipark_sd", "numpy", "scipy")},
        "numbers": made,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (KEPT / f"{result.name}.json").write_text(text, encoding="utf-8")


def kept(name: str) -> dict:
    """The record of a result."""
    return json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))


def out_of_date(name: str) -> str:
    """Why a kept result is not that of the files and commands as they are now; empty where it is."""
    if not (KEPT / f"{name}.json").exists():
        return "not made yet"
    record, result = kept(name), RESULTS[name]
    if record["commands"] != list(result.commands):
        return "its commands have changed"
    now = inputs(result)
    changed = [path for path in now | record["inputs"] if now.get(path) != record["inputs"].get(path)]
    return f"changed since: {', '.join(changed)}" if changed else ""


def all_kept() -> dict[str, Numbers]:
    """The numbers of all results that are kept."""
    return {name: kept(name)["numbers"] for name in RESULTS if (KEPT / f"{name}.json").exists()}


def index() -> list[dict]:
    """All documents with what accounts for their numbers; one that the index lacks may have none."""
    listed = {page["file"]: page for page in tomllib.loads((KEPT / "numbers.toml").read_text(encoding="utf-8"))["page"]}
    documents = [p.relative_to(ROOT).as_posix() for pattern in DOCUMENTS for p in sorted(ROOT.glob(pattern))]
    return [listed.pop(file, {"file": file}) for file in documents] + list(listed.values())


def claims(page: Mapping, results: Mapping[str, Numbers]) -> Iterator[list[tuple[str, str | None]]]:
    """Each claim of a page as literal texts, each with the number that follows it."""
    formatter = string.Formatter()
    for claim in page.get("claims", []):
        rows = formatter.get_field(claim["each"], (), results)[0] if isinstance(claim, dict) else [None]
        for row in rows:
            parts: list[tuple[str, str | None]] = []
            for literal, field, spec, _ in formatter.parse(claim["text"] if isinstance(claim, dict) else claim):
                value = formatter.get_field(field, (), {**results, "row": row})[0] if field else None
                parts.append((literal, format(value, spec or "") if field else None))
            yield parts


def pattern(parts: list[tuple[str, str | None]], *, exact: bool) -> re.Pattern[str]:
    """A claim as it may stand in a page, lines broken anywhere; not exact: whatever numbers stand there."""
    text = ""
    for literal, number in parts:
        text += _words(literal)
        if number is not None:
            text += "(" + (_words(number) if exact else r"[^\s|]+?") + ")"
    return re.compile(text + r"(?![\d.]*\d)")


def _words(text: str) -> str:
    return r"\s+".join(map(re.escape, re.split(r"\s+", text)))


def said(parts: list[tuple[str, str | None]]) -> str:
    """A claim in words."""
    return "".join(literal + (number or "") for literal, number in parts)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each section."""
    found = [
        (m.start(), m.group(1))
        for m in re.finditer(r"^#+ (.*)$", re.sub(r"^```.*?^```", _blank, text, flags=re.S | re.M), re.M)
    ]
    starts = [(0, ""), *found] if not found or found[0][0] else found
    for (start, heading), end in zip(starts, [*(s for s, _ in starts[1:]), len(text)], strict=True):
        yield heading, text[start:end]


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def faults(page: Mapping, results: Mapping[str, Numbers]) -> list[str]:
    """What in a page is not what the kept results and its list of given numbers say."""
    text = (ROOT / page["file"]).read_text(encoding="utf-8")
    if page.get("made"):
        named = page["made"] in " ".join(text.split())
        return [] if named else [f"{page['file']} does not name the command that makes it: {page['made']}"]
    problems, masked = [], text
    for parts in claims(page, results):
        match = pattern(parts, exact=True).search(text)
        if match is None:
            problems.append(f"{page['file']} does not say: {said(parts)}")
            continue
        for group in range(1, match.re.groups + 1):
            masked = masked[: match.start(group)] + "#" * len(match.group(group)) + masked[match.end(group) :]
    given: dict[str, Counter[str]] = {}
    for entry in page.get("given", []):
        given.setdefault(entry["section"], Counter()).update(entry["numbers"].split())
    present = {heading: Counter(numbers(part)) for heading, part in sections(masked)}
    for heading in given | present:
        here, listed = present.get(heading, Counter()), given.get(heading, Counter())
        for more, what in (
            (here - listed, "nothing accounts for"),
            (listed - here, "listed as given, but not there:"),
        ):
            if more:
                problems.append(f"{page['file']}, {heading!r}: {what} {' '.join(sorted(more.elements()))}")
    return problems


def write_page(page: Mapping, results: Mapping[str, Numbers]) -> None:
    """Put the kept numbers into a page, where its words are those of the index."""
    path = ROOT / page["file"]
    text = path.read_text(encoding="utf-8")
    for parts in claims(page, results):
        match = pattern(parts, exact=True).search(text) or pattern(parts, exact=False).search(text)
        if match is None:
            sys.exit(f"{page['file']} has no sentence of this form: {said(parts)}")
        new = [number for _, number in parts if number is not None]
        for group in range(match.re.groups, 0, -1):
            text = text[: match.start(group)] + new[group - 1] + text[match.end(group) :]
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Do what the arguments ask for."""
    if arguments == ["--pages"]:
        for page in index():
            write_page(page, all_kept())
    elif arguments == ["--unsaid"]:
        print(*(fault for page in index() for fault in faults(page, all_kept())), sep="\n")
    elif arguments[1:2] == ["--from"]:
        keep(RESULTS[arguments[0]], RESULTS[arguments[0]].read(Path(arguments[2]), ""))
    elif arguments:
        unknown = [name for name in arguments if name not in RESULTS]
        if unknown:
            sys.exit(f"no result {', '.join(unknown)}; there are {', '.join(RESULTS)}")
        for name in arguments:
            made = compute(RESULTS[name])
            keep(RESULTS[name], made)
            print(name, json.dumps(made, indent=1, ensure_ascii=False))
    else:
        for name, result in RESULTS.items():
            print(f"{name}: {out_of_date(name) or 'up to date'}", *result.commands, sep="\n    ")


if __name__ == "__main__":
    main(sys.argv[1:])
