"""Mutants of the modules that judge and say: small faults are planted one by one, and the tests have to fall.

    python tools/mutants.py [--number 400] [--seed 1] [--workers 2] [--module PART] [-o mutants.jsonl] [--again]

A mutant is a module with one operator, comparison, number, flag, branch or text changed; Cosmic Ray makes them (``pip
install cosmic-ray`` into the environment of the tests), with two operators of our own: numbers are moved by a quarter,
and a sentence loses its first letters. As many are drawn of each module, at random by the seed. First the tests that
guard a module (``GUARDS``) run once without a mutant, and it is noted which of them reach which statements and what
they cost. Each mutant of it then runs in a copy of the project against those that reach its statement, the cheap ones
first, as many as fit into ``BUDGET`` seconds, in a process that is forked after the libraries are imported. What
survives is printed at once. Each outcome is a line of the output; the same command with the same output goes on where
it was stopped. With ``--again`` the survivors of the output run once more, against all tests of their guards that
reach them, whatever those cost.
"""

import argparse
import ast
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[1]
#: The modules that judge and say, each with the tests that guard it; a folder stands for the files in it.
_FIT, _ASSESS, _REPORT = "calibration/inference/optimum/test_", "calibration/assess/test_", "calibration/report/test_"
_EXPERIMENTS, _CHECKS = "cipark_sd/analysis/experiments/test_", "cipark_sd/verify/checks/test_"
_SAID = (f"{_REPORT}sections_said.py", f"{_REPORT}judging_said.py", f"{_REPORT}statements.py", f"{_REPORT}answer.py")
GUARDS: dict[str, tuple[str, ...]] = {
    "calibration/inference/optimum/walk.py": (
        f"{_FIT}profiles.py",
        f"{_FIT}prediction_profile.py",
        f"{_FIT}other_optima.py",
    ),
    "calibration/inference/optimum/pace.py": (f"{_FIT}profiles.py",),
    "calibration/inference/optimum/profile.py": (
        f"{_FIT}profiling.py",
        f"{_FIT}profiles.py",
        f"{_FIT}other_optima.py",
        f"{_FIT}switch_dates.py",
    ),
    "calibration/inference/optimum/verdict.py": (
        f"{_FIT}obstacles.py",
        f"{_FIT}profiles.py",
        f"{_FIT}verdict_words.py",
        f"{_REPORT}conditions_words.py",
    ),
    "calibration/inference/optimum/interval_rules.py": (f"{_FIT}verdict_words.py",),
    "calibration/inference/optimum/conditions.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/optimum/held.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/optimum/residuals.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/optimum/diagnostics.py": (f"{_FIT}shares.py", f"{_REPORT}conditions.py"),
    "calibration/inference/sampling/failed_draws.py": (f"{_FIT}feasibility.py",),
    "calibration/inference/optimum/verification.py": (f"{_ASSESS}verification.py",),
    "calibration/inference/sampling/convergence.py": (
        "calibration/inference/sampling/test_monte_carlo_error.py",
        "calibration/inference/sampling/test_sampler.py",
        f"{_REPORT}statements.py",
    ),
    "calibration/inference/sampling/soundness.py": ("calibration/inference/sampling/test_soundness.py",),
    "calibration/assess/scores.py": (f"{_ASSESS}scores.py", f"{_ASSESS}holdout_words.py", f"{_ASSESS}pit.py"),
    "calibration/assess/holdout.py": (f"{_ASSESS}holdout_words.py", f"{_ASSESS}structures_ahead.py"),
    "calibration/assess/forecast.py": (f"{_ASSESS}forecast.py", f"{_REPORT}judging_said.py"),
    "calibration/assess/posterior_predictive.py": (f"{_ASSESS}discrepancies.py", f"{_REPORT}judging_said.py"),
    "calibration/report/conclusions.py": (f"{_REPORT}conclusions.py", *_SAID),
    "calibration/report/findings.py": (f"{_REPORT}answer.py",),
    "calibration/report/collect.py": (f"{_REPORT}study_facts.py",),
    "calibration/report/sections/answer.py": _SAID,
    "calibration/report/sections/posterior.py": _SAID,
    "calibration/report/sections/predictions.py": (*_SAID, f"{_REPORT}predictions_said.py"),
    "calibration/study/consistency.py": ("calibration/study/test_double_counting.py",),
    "calibration/study/cumulative.py": (f"{_REPORT}conditions.py",),
    "cipark_sd/statements/basis.py": ("cipark_sd/statements/test_basis.py", "cipark_sd/statements/test_headline.py"),
    "cipark_sd/statements/claims.py": ("cipark_sd/statements/test_claims.py", f"{_EXPERIMENTS}knockouts.py"),
    "cipark_sd/statements/headline.py": ("cipark_sd/statements/test_headline.py", f"{_REPORT}intervals_said.py"),
    "cipark_sd/base/wording.py": (
        "cipark_sd/statements/test_headline.py",
        f"{_FIT}verdict_words.py",
        f"{_REPORT}intervals_said.py",
    ),
    "cipark_sd/analysis/experiments/effects.py": (
        f"{_EXPERIMENTS}policy_effects.py",
        "cipark_sd/pages/figures/test_plotting.py",
    ),
    "cipark_sd/commands/policy/knockouts.py": (f"{_EXPERIMENTS}knockouts.py",),
    "cipark_sd/commands/report.py": ("cipark_sd/statements/test_headline.py", "cipark_sd/pages/test_report.py"),
    "cipark_sd/verify/checks/course.py": (f"{_CHECKS}checks.py", f"{_REPORT}statements.py"),
    "cipark_sd/verify/checks/evaluate.py": (f"{_CHECKS}checks_expression.py", f"{_CHECKS}checks_file.py"),
    "cipark_sd/verify/checks/run.py": (f"{_CHECKS}checks.py",),
    "cipark_sd/verify/checks/outcome.py": (f"{_CHECKS}outcome.py", f"{_CHECKS}checks.py", f"{_CHECKS}chains.py"),
}
#: Seconds of the processor: tests that a mutant runs against, and how many times as long they may take.
BUDGET = 8.0
PATIENCE = 8.0
#: A file of tests that takes less is run whole, without a look at which lines each test reaches.
WHOLE = 3.0
#: How many times as long the clock on the wall may go, so that a busy machine fells no mutant: what waits for longer
#: has ``stalled``, and counts for nothing.
STALL = 20
#: Imported once, before each mutant's process is forked.
LIBRARIES = (
    *("numpy", "scipy.stats", "scipy.optimize", "scipy.sparse", "pandas", "xarray", "matplotlib.pyplot", "arviz_stats"),
    *("pytest", "rich", "click", "llvmlite.binding", "lxml.etree", "h5netcdf"),
)
#: Lines whose change says nothing: how a figure is laid out, and what protects a value from being changed.
SILENT = re.compile(r"@dataclass|figsize|fontsize|linewidth|lw=|alpha=|color=|layout=|zorder|subplots|__slots__")
OPERATORS = (
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul")),
    *(
        f"core/ReplaceComparisonOperator_{pair}"
        for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_GtE", "Gt_LtE")
    ),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"core/ReplaceUnaryOperator_{pair}" for pair in ("USub_UAdd", "Delete_Not")),
    *(f"core/{name}" for name in ("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr")),
    *(f"core/{name}" for name in ("ReplaceOrWithAnd", "ReplaceBreakWithContinue", "ZeroIterationForLoop")),
)


@dataclass(frozen=True)
class Mutant:
    """One planted fault."""

    module: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: it ``fell``, ``survived``, ran ``too long``, ``stalled`` or could not be imported."""

    mutant: Mutant
    end: str
    seconds: float
    tests: int


def operators() -> dict[str, Any]:
    """The operators by name: Cosmic Ray's, and two for what pages say."""
    from cosmic_ray.ast import is_number
    from cosmic_ray.operators.operator import Operator
    from cosmic_ray.plugins import get_operator
    from parso.python.tree import FStringString, Number, String

    class OtherNumber(Operator):  # type: ignore[misc]
        """A whole number one higher, another one a quarter higher, or a quarter where it is nothing."""

        def mutation_positions(self, node: Any) -> Iterator[Any]:
            if is_number(node):
                yield node.start_pos, node.end_pos

        def mutate(self, node: Any, index: int) -> Any:
            whole = node.value.replace("_", "").isdigit()
            text = str(int(node.value) + 1) if whole else repr(float(node.value) * 1.25 or 0.25)
            return Number(text, node.start_pos, node.prefix)

        @classmethod
        def examples(cls) -> tuple[Any, ...]:
            return ()

    class OtherText(Operator):  # type: ignore[misc]
        """A text with a space in it, so one that a person reads, without its first letters."""

        def mutation_positions(self, node: Any) -> Iterator[Any]:
            if " " in getattr(node, "value", "").strip(" \"'") and isinstance(node, String | FStringString):
                alone = node.parent is not None and node.parent.type == "simple_stmt"
                if not alone:  # no documentation
                    yield node.start_pos, node.end_pos

        def mutate(self, node: Any, index: int) -> Any:
            text = node.value
            quoted = isinstance(node, String)
            start = next(i for i, letter in enumerate(text) if letter in "\"'") + 1 if quoted else 0
            return type(node)(text[:start] + "XX" + text[start + 2 :], node.start_pos, node.prefix)

        @classmethod
        def examples(cls) -> tuple[Any, ...]:
            return ()

    return {name: get_operator(name)() for name in OPERATORS} | {"number": OtherNumber(), "text": OtherText()}


@cache
def places_of(module: str) -> list[tuple[str, int, int]]:
    """Every place of a module that an operator changes: its name, which of its places it is, and the line."""
    from cosmic_ray.ast import ast_nodes, get_ast

    tree = get_ast((ROOT / module).read_text(encoding="utf-8"))
    return [
        (name, occurrence, line)
        for name, operator in operators().items()
        for occurrence, (line, _) in enumerate(
            start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)
        )
    ]


@cache
def mutant_at(module: str, name: str, occurrence: int, line: int) -> Mutant | None:
    """The mutant of a place; None where it changes nothing that is said."""
    source = (ROOT / module).read_text(encoding="utf-8")
    lines = source.split("\n")
    changed = mutated(source, operators()[name], occurrence).split("\n")
    after = next((new for old, new in zip(lines, changed, strict=False) if old != new), "")
    before = lines[line - 1]
    if SILENT.search(before) or _is_of_a_signature(before, after):
        return None
    return Mutant(module, name, occurrence, line, before.strip(), after.strip())


def _all_of(module: str, places: Sequence[tuple[str, int, int]]) -> Iterator[Mutant]:
    return (mutant for place in places if (mutant := mutant_at(module, *place)) is not None)


def _is_of_a_signature(before: str, after: str) -> bool:
    """Whether a star or a slash among parameters was changed, which Cosmic Ray takes for an operator."""
    marks = SequenceMatcher(None, before, after).get_opcodes()
    changed = [(before[a:b], after[c:d], before[b : b + 1]) for kind, a, b, c, d in marks if kind != "equal"]
    return changed in ([("*", "/", ",")], [("/", "*", ",")])


def mutated(source: str, operator: Any, occurrence: int) -> str:
    """The source with one place changed."""
    from cosmic_ray.mutating import mutate_code

    return str(mutate_code(source, operator, occurrence))


def drawn(number: int, seed: int, modules: Sequence[str]) -> list[Mutant]:
    """As many mutants of each module, without one twice; modules that have fewer give all."""
    rng, chosen = random.Random(seed), list[Mutant]()
    pools = sorted(modules, key=lambda module: len(places_of(module)))
    for place, module in enumerate(pools):
        share = (number - len(chosen)) // (len(pools) - place)
        places = places_of(module)
        chosen += islice(_all_of(module, rng.sample(places, len(places))), share)
    return chosen


@dataclass(frozen=True)
class Test:
    """A test, the seconds that it took, those that were spent on the fixtures before it, and the lines it reached.

    None stands for all lines.
    """

    name: str
    seconds: float
    fixtures: float
    lines: frozenset[tuple[str, int]] | None

    @property
    def file(self) -> str:
        """The file of the test."""
        return self.name.partition("::")[0]


class Recorder:
    """A plugin of pytest: which lines of the modules each test reaches. A fixture counts for the whole file.

    A line is written when it is first reached, so that processes that a test forks are heard as well.
    """

    def __init__(self, tree: Path, modules: Sequence[str], sink: Path, *, traced: bool) -> None:
        self.traced = traced
        self.modules = {str(tree / module): module for module in modules}
        self.descriptor = os.open(sink, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.reached: set[tuple[str, int]] = set()
        self.begun = 0.0

    def note(self, *fields: object) -> None:
        os.write(self.descriptor, (json.dumps(fields) + "\n").encode())

    def trace(self, frame: Any, event: str, _: object) -> Any:
        module = self.modules.get(frame.f_code.co_filename)
        if module is None:
            return None
        place = (module, frame.f_lineno)
        if event in ("line", "call") and place not in self.reached:
            self.reached.add(place)
            self.note("line", *place)
        return self.trace

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.reached = set()
        self.note("test", nodeid)
        self.begun = time.process_time()

    def pytest_runtest_call(self, item: object) -> None:
        self.reached = set()
        now = time.process_time()
        self.note("fixtures", now - self.begun)
        self.begun = now

    def pytest_runtest_teardown(self, item: object) -> None:
        self.note("seconds", time.process_time() - self.begun)


def recorded(tree: Path, modules: Sequence[str], file: str) -> list[Test]:
    """The tests of a file, or of the files of a folder, as they run without a mutant."""
    tests = _tests(_notes(tree, modules, file, traced=False))
    if sum(test.seconds + test.fixtures for test in tests) < WHOLE:
        return [replace(test, lines=None) for test in tests]
    # tracing takes its time: what a test costs is known from the first run
    cost = {test.name: (test.seconds, test.fixtures) for test in tests}
    traced = _tests(_notes(tree, modules, file, traced=True))
    return [
        replace(test, seconds=seconds, fixtures=fixtures) for test in traced for seconds, fixtures in (cost[test.name],)
    ]


def _notes(tree: Path, modules: Sequence[str], file: str, *, traced: bool) -> list[list[Any]]:
    with tempfile.TemporaryDirectory(prefix="cipark-mutants-") as place:
        sink = Path(place, "lines")
        recorder = Recorder(tree, modules, sink, traced=traced)
        end, _ = attempt(tree, [f"tests/{file}"], 1800, recorder)
        os.close(recorder.descriptor)
        notes = [json.loads(line) for line in sink.read_text(encoding="utf-8").splitlines()]
    if end != "survived":
        raise SystemExit(f"the tests of {file} do not pass without a mutant: {end}")
    return notes


def _tests(notes: Sequence[Sequence[Any]]) -> list[Test]:
    imported: set[tuple[str, int]] = set()
    by_file: dict[str, set[tuple[str, int]]] = {}
    raw: list[tuple[str, list[float], set[tuple[str, int]]]] = []
    lines = imported
    for kind, *fields in notes:
        if kind == "test":
            lines = by_file.setdefault(fields[0].partition("::")[0], set())
            raw.append((fields[0], [], set()))
        elif kind == "line":
            lines.add((fields[0], fields[1]))
        else:
            raw[-1][1].append(fields[0])
            lines = raw[-1][2]
    return [
        Test(name, times[1], times[0], frozenset(reached | by_file[name.partition("::")[0]] | imported))
        for name, times, reached in raw
        if len(times) == 2
    ]


def statement(module: str, line: int) -> range:
    """The lines of the statement that a line belongs to; of a compound one, those before its body."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    best = range(line, line + 1)
    smallest = math.inf
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            lines = range(node.lineno, max(last, node.lineno) + 1)
            if line in lines and len(lines) < smallest:
                best, smallest = lines, len(lines)
    return best


def guarding(mutant: Mutant, tests: Sequence[Test], budget: float) -> list[Test]:
    """Those that reach a mutant's statement, the cheap ones first, within the budget; the first one in any case."""
    lines = {(mutant.module, line) for line in statement(mutant.module, mutant.line)}
    chosen: list[Test] = []
    spent, paid = 0.0, set[str]()
    fixtures = Counter[str]()
    for test in tests:
        fixtures[test.file] += test.fixtures  # type: ignore[assignment]
    for test in sorted(tests, key=lambda test: test.seconds + fixtures[test.file]):
        if test.lines is not None and lines.isdisjoint(test.lines):
            continue
        cost = test.seconds + (0 if test.file in paid else fixtures[test.file])
        if chosen and spent + cost > budget:
            continue
        chosen.append(test)
        paid.add(test.file)
        spent += cost
    return chosen


def attempt(tree: Path, tests: Sequence[str], limit: float, recorder: Recorder | None = None) -> tuple[str, float]:
    """Tests of a copy of the project in a forked process: how they ended, and how long they took in the processor."""
    child = os.fork()
    if child == 0:
        os.setsid()
        # whatever the children of a mutant do, they end
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        _run_tests(tree, tests, recorder)
    deadline = time.monotonic() + STALL * limit
    while time.monotonic() < deadline:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            end = "too long" if code == -signal.SIGXCPU else {0: "survived", 1: "fell"}.get(code, "broken")
            return end, used.ru_utime + used.ru_stime
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "stalled", limit


def _run_tests(tree: Path, tests: Sequence[str], recorder: Recorder | None) -> None:
    """In the child: never returns."""
    code = 3
    try:
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        import pytest

        options = ["-x", "-q", "-n0", "-m", "not slow", "-p", "no:cacheprovider"]
        if recorder is not None and recorder.traced:
            sys.settrace(recorder.trace)
        code = int(pytest.main([*options, *tests], plugins=[] if recorder is None else [recorder]))
    finally:
        os._exit(code)


def tried(mutant: Mutant, tree: Path, tests: Sequence[Test]) -> Outcome:
    """Plant a mutant in a copy of the project, run the tests that reach it, and take it out again."""
    if not tests:
        return Outcome(mutant, "survived", 0.0, 0)
    place = tree / mutant.module
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    place.write_text(mutated(source, operators()[mutant.operator], mutant.occurrence), encoding="utf-8")
    limit = 60 + PATIENCE * sum(test.seconds + test.fixtures for test in tests)
    try:
        end, seconds = attempt(tree, [test.name for test in tests], limit)
    finally:
        place.write_text(source, encoding="utf-8")
    return Outcome(mutant, end, round(seconds, 1), len(tests))


def copied(folder: Path) -> Path:
    """A copy of what the tests need."""
    for name in ("cipark_sd", "calibration", "tests", "models", "docs", "benchmarks", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@cache
def measured(file: str, tree: Path, modules: Sequence[str] = tuple(GUARDS)) -> list[Test]:
    """The tests of a file, which runs once."""
    tests = recorded(tree, modules, file)
    print(f"{sum(t.seconds + t.fixtures for t in tests):6.1f} s  {file}", flush=True)
    return tests


def main() -> int:
    """Exit code 0 where 85 % and more of the mutants that could be run fell."""
    parser = argparse.ArgumentParser(
        description="Plant small faults in the modules that judge; the tests have to fall."
    )
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--module", default="", help="only modules with this in their name")
    parser.add_argument("--again", action="store_true", help="only the survivors of the output, against all tests")
    parser.add_argument("-o", "--output", type=Path, help="a line of JSON for each outcome, as it is known")
    arguments = parser.parse_args()
    if arguments.again and arguments.output is None:
        parser.error("--again needs the output of an earlier run: -o FILE")
    for library in LIBRARIES:
        __import__(library)
    settled: list[Outcome] = []
    if arguments.again:
        before = _read(arguments.output)
        settled = [outcome for outcome in before if outcome.end != "survived"]
        chosen = [moved for outcome in before if outcome.end == "survived" and (moved := _now(outcome.mutant))]
    else:
        chosen = drawn(arguments.number, arguments.seed, [module for module in GUARDS if arguments.module in module])
        before = _read(arguments.output) if arguments.output and arguments.output.exists() else []
        settled = [outcome for outcome in before if outcome.mutant in chosen]
        known = [outcome.mutant for outcome in settled]
        chosen = [mutant for mutant in chosen if mutant not in known]
    with tempfile.TemporaryDirectory(prefix="cipark-mutants-") as place:
        trees = [
            copied(Path(place, str(worker)))
            for worker in range(arguments.workers)
            if Path(place, str(worker)).mkdir() is None
        ]
        budget = math.inf if arguments.again else BUDGET
        outcomes = list[Outcome]()
        with open(arguments.output or os.devnull, "w", encoding="utf-8") as file:
            for outcome in settled:
                print(json.dumps(asdict(outcome)), file=file, flush=True)
            for module in dict.fromkeys(mutant.module for mutant in chosen):
                tests = [test for guard in GUARDS[module] for test in measured(guard, trees[0])]

                def run(mutant: Mutant, tree: Path, tests: Sequence[Test] = tests) -> Outcome:
                    return tried(mutant, tree, guarding(mutant, tests, budget))

                outcomes += _in_turn([mutant for mutant in chosen if mutant.module == module], trees, file, run)
    return _report([*settled, *outcomes])


def _read(file: Path) -> list[Outcome]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Outcome(**(line | {"mutant": Mutant(**line["mutant"])})) for line in lines]


def _now(mutant: Mutant) -> Mutant | None:
    """The same fault in the module as it stands now, where its line may have moved; None where it is gone."""

    def likeness(candidate: Mutant) -> float:
        return SequenceMatcher(None, mutant.before + mutant.after, candidate.before + candidate.after).ratio()

    places = [place for place in places_of(mutant.module) if place[0] == mutant.operator]
    candidates = list(_all_of(mutant.module, places))
    best = max(
        candidates,
        key=lambda candidate: (round(likeness(candidate), 3), -abs(candidate.line - mutant.line)),
        default=None,
    )
    return None if best is None or likeness(best) < 0.7 else best


def _in_turn(
    chosen: Sequence[Mutant], trees: Sequence[Path], file: TextIO, run: Callable[[Mutant, Path], Outcome]
) -> list[Outcome]:
    """Outcomes in the order of the mutants, each copy of the project with one mutant at a time."""
    free = list(trees)

    def in_free_tree(mutant: Mutant) -> Outcome:
        tree = free.pop()
        try:
            outcome = run(mutant, tree)
        finally:
            free.append(tree)
        print(json.dumps(asdict(outcome)), file=file, flush=True)
        if outcome.end == "survived":
            print(f"survived: {mutant.module}:{mutant.line}  {mutant.before}  ->  {mutant.after}", flush=True)
        return outcome

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(in_free_tree, chosen))


def _report(outcomes: Sequence[Outcome]) -> int:
    ends = Counter((outcome.mutant.module, outcome.end) for outcome in outcomes)
    for module in sorted({module for module, _ in ends}):
        counts = {end: ends[module, end] for end in ("fell", "too long", "survived", "stalled", "broken")}
        print(module, "  ".join(f"{end} {count}" for end, count in counts.items()))
    total = Counter(outcome.end for outcome in outcomes)
    fallen = total["fell"] + total["too long"]
    ran = fallen + total["survived"]
    print(f"{fallen} of {ran} fell ({100 * fallen / max(ran, 1):.0f} %); {len(outcomes) - ran} could not be judged")
    return 0 if fallen >= 0.85 * ran else 1


if __name__ == "__main__":
    raise SystemExit(main())
