"""The numbers of the documents: make them, and put them where they stand.

    python tools/results.py                    list the results and what of them is out of date
    python tools/results.py --stale            make all again that are out of date, and write the documents
    python tools/results.py park_fit school    run their commands, keep the numbers in docs/results/
    python tools/results.py park_fit --from F  the same of a folder in which its commands have been run just now
    python tools/results.py park_fit --same R  keep it: its models, edited since the commit R, run to the same bits
    python tools/results.py --pages            write the kept numbers and records into the documents and their pages
    python tools/results.py --unsaid           numbers of the documents that nothing accounts for

`docs/results/numbers.toml` says which number of which page is which result; `tests/project/test_numbers.py` holds pages
to it.
"""

import argparse
import hashlib
import json
import re
import string
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from calibration.inference.sample.densities import prior_draws
from calibration.inference.sample.draws import problem_digest
from calibration.likelihood.posterior import On
from calibration.study import shipped_studies
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.base.arrays import Array
from cipark_sd.base.records import from_plain, to_plain
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.variables import Auxiliary, Stock
from cipark_sd.pages.page import DATA, read_page
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.statements.headline import Headline

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

import claims_page  # noqa: E402
import later_pages  # noqa: E402
from results_commands import RESULTS, Numbers, Result, marked_files  # noqa: E402

Headlines = dict[str, list[Headline]]
#: Write whole pages from kept results: of claims, knock-outs and loops; of the score, the later years and other parks.
PAGE_MAKERS = (claims_page, later_pages)
#: Tables of a catalogue that no kept result reads.
APART: dict[str, Any] = {"digest": "", "uncertainties": (), "levers": ()}
#: Draws of the priors of which the likeliest are compared, and log units below the best in which one has no weight.
PRIOR_DRAWS, NO_WEIGHT = 512, 25.0
#: Runs that are compared go on after what the studies fit.
FAR = Scenario("", final_time=2031.0)

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
    """What a result depends on, with SHA-256; `#files` are blocks of a page that an example reads."""
    contents: dict[str, bytes] = {}
    for name in result.inputs:
        page, _, part = name.partition("#")
        if part:
            contents[name] = json.dumps(marked_files(page)).encode()
        else:
            contents |= {f.relative_to(ROOT).as_posix(): _numbers_of(f) for f in sorted(ROOT.glob(name))}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _numbers_of(file: Path) -> bytes:
    """The content of a file that numbers depend on: of a study all but its words, `[report]` and comments."""
    content = file.read_bytes()
    if file.name != "problem.toml":
        return content
    study = tomllib.loads(content.decode("utf-8"))
    study.pop("report", None)
    return json.dumps(study, default=str).encode()


def compute(result: Result) -> tuple[Numbers, Headlines]:
    """Run a result's commands in an empty folder; its numbers, and the headline records of each folder of output."""
    with tempfile.TemporaryDirectory() as folder:
        return result.numbers(Path(folder)), {} if result.shares_records else written_headlines(Path(folder))


def written_headlines(folder: Path) -> Headlines:
    """The headline records that commands wrote with their pages in a folder, by the folder of output."""
    pages = {path.parent: read_page(path.parent) for path in sorted(folder.rglob(DATA))}
    return {
        place.relative_to(folder).as_posix(): list(page.headlines) for place, page in pages.items() if page.headlines
    }


def keep(result: Result, made: Numbers, headlines: Headlines) -> None:
    """Write numbers and headline records with all that they are conditional on."""
    record = {
        "commands": list(result.commands),
        "inputs": inputs(result),
        "versions": {name: version(name) for name in ("cipark_sd", "numpy", "scipy")},
        "headlines": {place: [to_plain(record) for record in records] for place, records in headlines.items()},
        "numbers": made,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (KEPT / f"{result.name}.json").write_text(text, encoding="utf-8")


def record_of(name: str) -> dict:
    """The record of a result."""
    return json.loads((KEPT / f"{name}.json").read_text(encoding="utf-8"))


def out_of_date(name: str) -> str:
    """Why a kept result is not that of the files and commands as they are now; empty where it is."""
    if not (KEPT / f"{name}.json").exists():
        return "not made yet"
    record, result = record_of(name), RESULTS[name]
    if record["commands"] != list(result.commands):
        return "its commands have changed"
    now = inputs(result)
    changed = [path for path in now | record["inputs"] if now.get(path) != record["inputs"].get(path)]
    return f"changed since: {', '.join(changed)}" if changed else ""


def kept_headlines(name: str) -> Headlines:
    """The headline records of a result, by the folder of output."""
    folders = record_of(name).get("headlines", {})
    return {place: [from_plain(Headline, record) for record in records] for place, records in folders.items()}


class Label(str):
    """The text by which a row of a table is known, which no new result changes."""

    __slots__ = ()


class Ambiguous(dict):
    """Stands for records that a claim cannot tell apart: to read a number of them is an error."""

    def __getitem__(self, key: str) -> float:
        raise ValueError(f"two headlines are {self.get('name')!r}")


def with_headlines(made: Numbers, headlines: Headlines) -> Numbers:
    """Numbers as a claim reads them: ``headlines`` holds each record as "MAP optimum of NAME", NAME being its title."""
    by_name: dict[str, Mapping[str, float]] = {}
    for record in (record for records in headlines.values() for record in records):
        bounds = record.interval
        ends = {} if bounds is None else {"low": bounds.low, "high": bounds.high, "percent": 100 * bounds.level}
        if record.prior is not None:
            ends |= {"prior_low": record.prior.low, "prior_high": record.prior.high}
        key = claimed_as(record)
        if isinstance(by_name.get(key), Ambiguous) or (key in by_name and by_name[key]["number"] != record.number):
            by_name[key] = Ambiguous({"name": key})
        else:
            by_name[key] = {"number": record.number, **ends}
    return {**made, "headlines": by_name}


def claimed_as(record: Headline) -> str:
    """What a claim calls a record: the kind of estimate and the study's name; no bracket, which a field cannot hold."""
    name = record.title or record.estimand
    return f"{record.estimate} of {name}".replace("[", "(").replace("]", ")")


def all_kept() -> dict[str, Numbers]:
    """The numbers of all results that are kept."""
    return {
        name: with_headlines(record_of(name)["numbers"], kept_headlines(name))
        for name in RESULTS
        if (KEPT / f"{name}.json").exists()
    }


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
            slots = {**results, "row": row}
            if isinstance(claim, dict) and "headline" in claim:
                result, _, name = claim["headline"].format(**slots).partition(": ")
                slots["headline"] = results[result]["headlines"][name]
            for literal, field, spec, _ in formatter.parse(claim["text"] if isinstance(claim, dict) else claim):
                value = formatter.get_field(field, (), slots)[0] if field else None
                label = isinstance(value, str) and row is not None and not any(number for _, number in parts)
                shown = Label(value) if label else format(value, spec or "")
                parts.append((literal, shown if field else None))
            yield parts


def pattern(parts: list[tuple[str, str | None]], *, exact: bool) -> re.Pattern[str]:
    """A claim as it may stand in a page, lines broken anywhere; not exact: whatever stands there, but for labels."""
    text = ""
    for literal, number in parts:
        text += _words(literal)
        if number is not None:
            changing = r"[^|]+?" if " " in number else r"[^\s|]+?"
            text += "(" + (_words(number) if exact or isinstance(number, Label) else changing) + ")"
    return re.compile(text + r"(?<!\de)(?!e-\d|[\d.]*\d)")


def _words(text: str) -> str:
    return r"\s+".join(map(re.escape, re.split(r"\s+", text)))


def in_words(parts: list[tuple[str, str | None]]) -> str:
    """A claim in words."""
    return "".join(literal + (number or "") for literal, number in parts)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each section."""
    headings = [
        (m.start(), m.group(1))
        for m in re.finditer(r"^#+ (.*)$", re.sub(r"^```.*?^```", _blank, text, flags=re.S | re.M), re.M)
    ]
    starts = [(0, ""), *headings] if not headings or headings[0][0] else headings
    for (start, heading), end in zip(starts, [*(s for s, _ in starts[1:]), len(text)], strict=True):
        yield heading, text[start:end]


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def faults(page: Mapping, results: Mapping[str, Numbers]) -> list[str]:
    """What in a page is not what the kept results and its list of given numbers say."""
    text = (ROOT / page["file"]).read_text(encoding="utf-8")
    if page.get("made"):
        return _unnamed(page["file"], page["made"], text)
    problems, masked = [], text
    for parts in claims(page, results):
        match = pattern(parts, exact=True).search(text)
        if match is None:
            problems.append(f"{page['file']} does not say: {in_words(parts)}")
            continue
        for group in range(1, match.re.groups + 1):
            masked = masked[: match.start(group)] + "~" * len(match.group(group)) + masked[match.end(group) :]
    made = {entry["section"]: entry["made"] for entry in page.get("given", []) if "made" in entry}
    for heading, part in sections(text):
        problems += _unnamed(f"{page['file']}, {heading!r}", made[heading], part) if heading in made else []
    listed_by_section: dict[str, Counter[str]] = {}
    for entry in (entry for entry in page.get("given", []) if entry["section"] not in made):
        listed_by_section.setdefault(entry["section"], Counter()).update(entry["numbers"].split())
    present = {heading: Counter(numbers(part)) for heading, part in sections(masked) if heading not in made}
    for heading in listed_by_section | present:
        seen_numbers, listed_numbers = present.get(heading, Counter()), listed_by_section.get(heading, Counter())
        for excess, words in (
            (seen_numbers - listed_numbers, "nothing accounts for"),
            (listed_numbers - seen_numbers, "listed as given, but not there:"),
        ):
            if excess:
                problems.append(f"{page['file']}, {heading!r}: {words} {' '.join(sorted(excess.elements()))}")
    return problems


def _unnamed(place: str, command: str, text: str) -> list[str]:
    """The fault of a text that does not name the command that makes it."""
    named = command in " ".join(text.split())
    return [] if named else [f"{place} does not name the command that makes it: {command}"]


def write_page(page: Mapping, results: Mapping[str, Numbers]) -> None:
    """Put the kept numbers into a page, where its words are those of the index."""
    path = ROOT / page["file"]
    text = path.read_text(encoding="utf-8")
    for parts in claims(page, results):
        match = pattern(parts, exact=True).search(text) or pattern(parts, exact=False).search(text)
        if match is None:
            sys.exit(f"{page['file']} has no sentence of this form: {in_words(parts)}")
        new = [number for _, number in parts if number is not None]
        for group in range(match.re.groups, 0, -1):
            text = text[: match.start(group)] + new[group - 1] + text[match.end(group) :]
    path.write_text(text, encoding="utf-8")


def make(names: Iterable[str]) -> None:
    """Run the commands of results and keep their numbers, each as soon as it is there."""
    for name in names:
        print(f"{name}: {'; '.join(RESULTS[name].commands)}", flush=True)
        keep(RESULTS[name], *compute(RESULTS[name]))


def keep_unchanged(names: Sequence[str], commit: str) -> None:
    """Keep the numbers of results whose models were edited since a commit, if these run to the same bits."""
    now = {path: sha for name in names for path, sha in inputs(RESULTS[name]).items()}
    changed = sorted({path for name in names for path, sha in record_of(name)["inputs"].items() if now[path] != sha})
    compared: dict[str, Callable[[bytes, Path], dict[str, str]]] = {
        ".mdl": lambda before, file: same_runs(before, file, folders),
        "policies.toml": same_effects,
        ".loops.toml": lambda before, file: same_names(before, file, at_commit(f"models/{file.name[:-11]}.mdl")),
    }
    if edited := [path for path in changed if not path.endswith(tuple(compared))]:
        sys.exit(f"the results have to be made again: {', '.join(edited)} changed")

    def at_commit(path: str) -> bytes:
        return subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, check=True, capture_output=True).stdout

    used = {(ROOT / path).parent for path in now}
    digests, folders = {}, [folder for folder in shipped_studies().values() if folder in used]
    for path in changed:
        before, file = at_commit(path), ROOT / path
        digests[hashlib.sha256(before).hexdigest()] = hashlib.sha256(file.read_bytes()).hexdigest()
        digests |= next(compare for end, compare in compared.items() if path.endswith(end))(before, file)
    for name in names:
        file = KEPT / f"{name}.json"
        file.write_text(re.sub("[0-9a-f]{64}", lambda m: digests.get(m.group(), m.group()), file.read_text("utf-8")))


def same_names(before: bytes, path: Path, model: bytes) -> dict[str, str]:
    """Nothing, where loops are named as they were, but for those through a variable that the model lacked."""
    named, now = (tomllib.loads(text.decode("utf-8"))["loop"] for text in (before, path.read_bytes()))
    new = [loop for loop in now if loop not in named]
    if [loop for loop in now if loop not in new] != named:
        sys.exit(f"{path.name} names loops otherwise than before")
    for loop in new:
        if all(f"\n{name}=".encode() in model or f"\n{name}[".encode() in model for name in loop["through"]):
            sys.exit(f"{path.name} names a loop that was there before: {loop['name']}")
    return {}


def same_effects(before: bytes, path: Path) -> dict[str, str]:
    """Nothing, where a catalogue asks for the same effects as it did; an error where it does not."""
    model = read_problem(path.parent).model
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_bytes(before)
        pair = [replace(read_catalogue(file, model), **APART) for file in (Path(folder) / path.name, path)]
    if pair[0] != pair[1]:
        sys.exit(f"{path} asks for other effects than before")
    return {}


def _likeliest(study: CalibrationProblem, before: CalibrationProblem, name: str) -> Array:
    """Of draws of the priors the likeliest; an error where one whose likelihood differs has any weight."""
    theta = prior_draws(study.space, PRIOR_DRAWS, np.random.default_rng(1))
    now, then = (On("native")(problem).log_likelihood(theta) for problem in (study, before))
    differs = (now != then) & ~(np.isnan(now) & np.isnan(then))
    if (np.nanmax(now) - np.fmax(now, then)[differs] < NO_WEIGHT).any():
        sys.exit(f"{name} gives other numbers than before under {study.title}: another likelihood")
    return np.asarray(theta[np.argsort(np.nan_to_num(now, nan=-np.inf))[-8:]])


def same_runs(before: bytes, path: Path, folders: Sequence[Path]) -> dict[str, str]:
    """Digests of a model as it was and of its studies, each with that of today; an error where any number differs.

    Compared are all variables that both have, at every saved date, for the studies in ``folders`` that have the model:
    over the likeliest 8 of :data:`PRIOR_DRAWS` draws of the priors, under the study's rivals, scenarios and
    policies. Of all the draws the likelihoods are compared: one may differ only where it has no weight.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).write_bytes(before)
        old, new = read_model(Path(folder) / path.name), read_model(path)
    names = [
        v.label for v in old.variables if isinstance(v, Auxiliary | Stock) and v.name in {w.name for w in new.variables}
    ]
    digests = {old.digest: new.digest}
    for study in map(read_problem, folders):
        if study.model.digest != new.digest:
            continue
        digests[problem_digest(replace(study, model=old))] = problem_digest(study)
        theta = _likeliest(study, replace(study, model=old), path.name)
        columns = {p.name: theta[:, i] for i, p in enumerate(study.space) if p.target == "model"}
        catalogue = study.folder / "policies.toml"
        policies = [p.scenario for p in read_catalogue(catalogue, new).policies] if catalogue.exists() else []
        variants = [v.scenario for v in (*study.rivals, *study.scenarios)]
        for scenario in (Scenario(), *variants, *policies):
            runs = [
                ensemble(model, columns, save=names, scenario=study.scenario | scenario | FAR, workers=1)
                for model in (old, new)
            ]
            if not runs[0].drop_attrs().identical(runs[1].drop_attrs()):
                sys.exit(f"{path.name} gives other numbers than before under {study.title}, {scenario}")
    return digests


def write_documents() -> None:
    """Put the kept numbers into all documents, and write the pages that are made of them whole."""
    results = all_kept()
    for page in index():
        write_page(page, results)
    for maker in PAGE_MAKERS:
        maker.main()


def main(arguments: Sequence[str]) -> None:
    """Do what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="RESULT")
    parser.add_argument("--from", dest="folder", type=Path)
    parser.add_argument("--same", metavar="COMMIT")
    for option in ("--stale", "--pages", "--unsaid"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in RESULTS]:
        parser.error(f"no result {', '.join(unknown)}; there are {', '.join(RESULTS)}")
    if options.folder is not None:
        if len(options.names) != 1:
            parser.error("--from is of one result")
        result = RESULTS[options.names[0]]
        records = {} if result.shares_records else written_headlines(options.folder)
        keep(result, result.read(options.folder, ""), records)
    elif options.same:
        keep_unchanged(options.names, options.same)
    elif options.unsaid:
        print(*(fault for page in index() for fault in faults(page, all_kept())), sep="\n")
    elif options.names or options.stale or options.pages:
        make([*options.names, *(name for name in RESULTS if options.stale and out_of_date(name))])
        if options.stale or options.pages:
            write_documents()
    else:
        for name, result in RESULTS.items():
            print(f"{name}: {out_of_date(name) or 'up to date'}", *result.commands, sep="\n    ")


if __name__ == "__main__":
    main(sys.argv[1:])
