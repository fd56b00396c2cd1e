"""Mutants of the modules that judge and say: small faults are planted one by one, and the tests have to fall.

    python tools/mutants.py [--number 400] [--seed 1] [--workers 2] [--module PART] [-o mutants.jsonl] [--again]

A mutant is a module with one operator, comparison, number, flag, branch or text changed; Cosmic Ray makes them (``pip
install cosmic-ray`` into the environment of the tests), with two operators of our own: numbers are moved by a quarter,
and a sentence loses its first letters. As many are drawn of each module, at random by the seed. First the files of
tests that guard a module (``GUARDS``) run once without a mutant, to know what they cost. Each mutant of it then runs in
a copy of the project against them, the cheap ones first, as many as fit into ``BUDGET`` seconds, in a process that is
forked after the libraries are imported. What survives is printed at once. Each outcome is a line of the output; the
same command with the same output goes on where it was stopped. With ``--again`` the survivors of the output run once
more, against all their guards, whatever those cost.
"""

import argparse
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import cache, partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[1]
#: The modules that judge and say, each with the tests that guard it; a folder stands for the files in it.
_SEARCH, _PROFILE, _JUDGE = (f"calibration/inference/{room}/test_" for room in ("search", "profile", "judge"))
_ASSESS, _REPORT = "calibration/assess/test_", "calibration/report/test_"
_EXPERIMENTS, _CHECKS = "cipark_sd/analysis/experiments/test_", "cipark_sd/verify/checks/test_"
_SAID = (f"{_REPORT}sections_said.py", f"{_REPORT}judging_said.py", f"{_REPORT}statements.py", f"{_REPORT}answer.py")
GUARDS: dict[str, tuple[str, ...]] = {
    "calibration/inference/profile/walk.py": (
        f"{_PROFILE}profiles.py",
        f"{_PROFILE}prediction_profile.py",
        f"{_SEARCH}other_optima.py",
    ),
    "calibration/inference/profile/profile.py": (
        f"{_PROFILE}profiling.py",
        f"{_PROFILE}profiles.py",
        f"{_SEARCH}other_optima.py",
        f"{_PROFILE}switch_dates.py",
    ),
    "calibration/inference/profile/verdict.py": (
        f"{_PROFILE}obstacles.py",
        f"{_PROFILE}profiles.py",
        f"{_PROFILE}verdict_words.py",
        f"{_REPORT}conditions_words.py",
    ),
    "calibration/inference/profile/interval_rules.py": (f"{_PROFILE}verdict_words.py",),
    "calibration/inference/judge/conditions.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/judge/held.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/judge/residuals.py": (f"{_REPORT}conditions_words.py", f"{_REPORT}conditions.py"),
    "calibration/inference/judge/identifiability.py": (f"{_JUDGE}shares.py", f"{_REPORT}conditions.py"),
    "calibration/inference/sample/failed_draws.py": (f"{_SEARCH}feasibility.py",),
    "calibration/inference/judge/verification.py": (f"{_ASSESS}verification.py",),
    "calibration/inference/sample/convergence.py": (
        "calibration/inference/sample/test_monte_carlo_error.py",
        "calibration/inference/sample/test_sampler.py",
        f"{_REPORT}statements.py",
    ),
    "calibration/inference/sample/trajectories.py": ("calibration/inference/sample/test_soundness.py",),
    "calibration/assess/scores.py": (f"{_ASSESS}scores.py", f"{_ASSESS}holdout_words.py", f"{_ASSESS}pit.py"),
    "calibration/assess/holdout.py": (f"{_ASSESS}holdout_words.py", f"{_ASSESS}structures_ahead.py"),
    "calibration/assess/forecast.py": (f"{_ASSESS}forecast.py", f"{_REPORT}judging_said.py"),
    "calibration/assess/posterior_predictive.py": (f"{_ASSESS}discrepancies.py", f"{_REPORT}judging_said.py"),
    "calibration/report/conclusions.py": (f"{_REPORT}conclusions.py", *_SAID),
    "calibration/report/findings.py": (f"{_REPORT}answer.py", f"{_REPORT}one_verdict.py"),
    "calibration/report/sections/constants.py": (f"{_REPORT}one_verdict.py", f"{_REPORT}sections_said.py"),
    "calibration/report/collect.py": (f"{_REPORT}study_facts.py",),
    "calibration/report/sections/answer.py": _SAID,
    "calibration/report/sections/posterior.py": _SAID,
    "calibration/report/sections/predictions.py": (*_SAID, f"{_REPORT}predictions_said.py"),
    "calibration/study/consistency.py": ("calibration/study/test_double_counting.py",),
    "calibration/study/cumulative.py": (f"{_REPORT}conditions.py",),
    "cipark_sd/statements/claims.py": (
        "cipark_sd/statements/test_basis.py",
        "cipark_sd/statements/test_claims.py",
        f"{_EXPERIMENTS}knockouts.py",
        f"{_EXPERIMENTS}decisions.py",
    ),
    "cipark_sd/statements/standing.py": ("cipark_sd/statements/test_standing.py",),
    "cipark_sd/statements/headline.py": ("cipark_sd/statements/test_headline.py", f"{_REPORT}intervals_said.py"),
    "cipark_sd/base/wording.py": (
        "cipark_sd/statements/test_headline.py",
        f"{_PROFILE}verdict_words.py",
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
BUDGET = 20.0
PATIENCE = 8.0
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


@cache
def cost(file: str, tree: Path) -> float:
    """Seconds of the processor of a file of tests, which has to pass without a mutant."""
    end, seconds = attempt(tree, [file], 1800)
    if end != "survived":
        raise SystemExit(f"the tests of {file} do not pass without a mutant: {end}")
    print(f"{seconds:6.1f} s  {file}", flush=True)
    return seconds


def guarding(module: str, tree: Path, budget: float) -> dict[str, float]:
    """The files of tests that guard a module, with their seconds: cheap ones first, in the budget, one in any case."""
    seconds = sorted((cost(file, tree), file) for file in GUARDS[module])
    totals = accumulate(taken for taken, _ in seconds)
    return {file: taken for (taken, file), total in zip(seconds, totals, strict=True) if total <= max(budget, taken)}


def attempt(tree: Path, files: Sequence[str], limit: float) -> tuple[str, float]:
    """Tests of a copy of the project in a forked process: how they ended, and how long they took in the processor."""
    child = os.fork()
    if child == 0:
        os.setsid()
        # whatever the children of a mutant do, they end
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        _run_tests(tree, [f"tests/{file}" for file in files])
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


def _run_tests(tree: Path, files: Sequence[str]) -> None:
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
        code = int(pytest.main([*options, *files]))
    finally:
        os._exit(code)


def tried(mutant: Mutant, tree: Path, guards: Mapping[str, float]) -> Outcome:
    """Plant a mutant in a copy of the project, run the files of tests that guard it, and take it out again."""
    place = tree / mutant.module
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    place.write_text(mutated(source, operators()[mutant.operator], mutant.occurrence), encoding="utf-8")
    try:
        end, seconds = attempt(tree, [*guards], 60 + PATIENCE * sum(guards.values()))
    finally:
        place.write_text(source, encoding="utf-8")
    return Outcome(mutant, end, round(seconds, 1))


def copied(folder: Path) -> Path:
    """A copy of what the tests need."""
    for name in ("cipark_sd", "calibration", "tests", "models", "docs", "benchmarks", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    return folder


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
    before = _read(arguments.output) if arguments.output and arguments.output.exists() else []
    if arguments.again:
        settled = [outcome for outcome in before if outcome.end != "survived"]
        chosen = [outcome.mutant for outcome in before if outcome.end == "survived" and _is_there(outcome.mutant)]
    else:
        chosen = drawn(arguments.number, arguments.seed, [module for module in GUARDS if arguments.module in module])
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
                run = partial(tried, guards=guarding(module, trees[0], budget))
                outcomes += _in_turn([mutant for mutant in chosen if mutant.module == module], trees, file, run)
    return _report([*settled, *outcomes])


def _read(file: Path) -> list[Outcome]:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Outcome(**(line | {"mutant": Mutant(**line["mutant"])})) for line in lines]


def _is_there(mutant: Mutant) -> bool:
    """Whether the module still has the line of a mutant, where it was."""
    return mutant == mutant_at(mutant.module, mutant.operator, mutant.occurrence, mutant.line)


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
