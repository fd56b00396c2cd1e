"""Mutants of the modules that judge and say: small faults are planted one by one, and the tests have to fall.

    python tools/mutants.py [--number 400] [--seed 1] [--workers 2] [--module PART] [-o mutants.json]

A mutant is a module with one operator, comparison, number, flag, branch or text changed; Cosmic Ray makes them (``pip
install cosmic-ray`` into the environment of the tests), with two operators of our own: numbers are moved by a quarter,
and a sentence loses its first letters. As many are drawn of each module, at random by the seed. Each is run in a copy
of the project against the tests that guard its module (``GUARDS``), in a process that is forked after the libraries are
imported. Prints the survivors with their line, and the share that fell by module. An hour for 400 on two cores.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: The modules that judge and say, each with the tests that guard it; a folder stands for the files in it.
GUARDS: dict[str, tuple[str, ...]] = {
    "calibration/fit/profile.py": ("calibration/fit/test_profiles.py", "calibration/fit/test_switch_dates.py"),
    "calibration/fit/verdict.py": ("calibration/fit/test_profiles.py", "calibration/report/test_statements.py"),
    "calibration/fit/threshold.py": ("calibration/fit/test_profiles.py", "calibration/report/test_intervals_said.py"),
    "calibration/fit/conditions.py": ("calibration/report/test_conditions.py",),
    "calibration/sampling/convergence.py": (
        "calibration/sampling/test_monte_carlo_error.py",
        "calibration/sampling/test_sampler.py",
        "calibration/report/test_statements.py",
    ),
    "calibration/assess/scores.py": ("calibration/assess/test_inference.py", "calibration/assess/test_pit.py"),
    "calibration/assess/forecast.py": (
        "calibration/report/test_statements.py",
        "calibration/likelihood/test_check_rows.py",
        "calibration/assess/test_inference.py",
    ),
    "cipark_sd/experiments/effects.py": (
        "cipark_sd/experiments/test_policy_effects.py",
        "calibration/report/test_statements.py",
    ),
    "cipark_sd/experiments/robustness.py": (
        "cipark_sd/experiments/test_policy_robustness.py",
        "calibration/report/test_statements.py",
    ),
    "cipark_sd/claims.py": ("cipark_sd/test_claims.py", "calibration/report/test_statements.py"),
    "cipark_sd/basis.py": ("cipark_sd/test_basis.py",),
    "calibration/report/conclusions.py": ("calibration/report", "calibration/commands/test_inquiry.py"),
    "calibration/report/figures_fit.py": ("calibration/report", "calibration/commands/test_calibration_command.py"),
    "cipark_sd/plotting/policies.py": ("cipark_sd/plotting", "calibration/report/test_statements.py"),
}
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
    """What became of a mutant: it ``fell``, ``survived``, made a test run for too long, or could not be imported."""

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
        """A whole number one higher, another one a quarter higher."""

        def mutation_positions(self, node: Any) -> Iterator[Any]:
            if is_number(node):
                yield node.start_pos, node.end_pos

        def mutate(self, node: Any, index: int) -> Any:
            whole = node.value.replace("_", "").isdigit()
            text = str(int(node.value) + 1) if whole else repr(float(node.value) * 1.25)
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


def mutants_of(module: str, known: dict[str, Any]) -> list[Mutant]:
    """Every mutant of a module."""
    from cosmic_ray.ast import ast_nodes, get_ast

    source = (ROOT / module).read_text(encoding="utf-8")
    tree, lines, made = get_ast(source), source.split("\n"), []
    for name, operator in known.items():
        places = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, _) in enumerate(places):
            changed = mutated(source, operator, occurrence)
            after = next((new for old, new in zip(lines, changed.split("\n"), strict=False) if old != new), "")
            if not SILENT.search(lines[line - 1]):
                made.append(Mutant(module, name, occurrence, line, lines[line - 1].strip(), after.strip()))
    return made


def mutated(source: str, operator: Any, occurrence: int) -> str:
    """The source with one place changed."""
    from cosmic_ray.mutating import mutate_code

    return str(mutate_code(source, operator, occurrence))


def drawn(number: int, seed: int, modules: Sequence[str]) -> list[Mutant]:
    """As many mutants of each module, without one twice; modules that have fewer give all."""
    known, rng, chosen = operators(), random.Random(seed), []
    pools = sorted((mutants_of(module, known) for module in modules), key=len)
    for place, pool in enumerate(pools):
        share = (number - len(chosen)) // (len(pools) - place)
        chosen += rng.sample(pool, min(share, len(pool)))
    return chosen


def attempt(tree: Path, files: Sequence[str], limit: float) -> tuple[str, float]:
    """The tests of a copy of the project in a forked process: how they ended, and how long they took."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        _run_tests(tree, files)
    while time.monotonic() - begun < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {0: "survived", 1: "fell"}.get(code, "broken"), time.monotonic() - begun
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "too long", limit


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

        code = int(
            pytest.main(
                ["-x", "-q", "-n0", "-m", "not slow", "-p", "no:cacheprovider", *(f"tests/{file}" for file in files)]
            )
        )
    finally:
        os._exit(code)


def tried(mutant: Mutant, tree: Path, limit: float) -> Outcome:
    """Plant a mutant in a copy of the project, run its guards, and take it out again."""
    place = tree / mutant.module
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    place.write_text(mutated(source, operators()[mutant.operator], mutant.occurrence), encoding="utf-8")
    try:
        end, seconds = attempt(tree, GUARDS[mutant.module], limit)
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


def limits(modules: Sequence[str], tree: Path) -> dict[str, float]:
    """The seconds that a module's guards may take, five times their usual ones; without a mutant they have to pass."""
    most = {}
    for module in modules:
        end, seconds = attempt(tree, GUARDS[module], 1800)
        if end != "survived":
            raise SystemExit(f"the tests of {module} do not pass without a mutant: {end}")
        print(f"{seconds:6.1f} s  {module}")
        most[module] = 60 + 5 * seconds
    return most


def main() -> int:
    """Exit code 0 where 85 % and more of the mutants that could be run fell."""
    parser = argparse.ArgumentParser(
        description="Plant small faults in the modules that judge; the tests have to fall."
    )
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--module", default="", help="only modules with this in their name")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file of all outcomes")
    asked = parser.parse_args()
    modules = [module for module in GUARDS if asked.module in module]
    for library in LIBRARIES:
        __import__(library)
    chosen = drawn(asked.number, asked.seed, modules)
    with tempfile.TemporaryDirectory(prefix="cipark-mutants-") as place:
        trees = [
            copied(Path(place, str(worker)))
            for worker in range(asked.workers)
            if Path(place, str(worker)).mkdir() is None
        ]
        most = limits(modules, trees[0])
        outcomes = _in_turn(chosen, trees, lambda mutant, tree: tried(mutant, tree, most[mutant.module]))
    return _report(outcomes, asked.output)


def _in_turn(chosen: Sequence[Mutant], trees: Sequence[Path], run: Callable[[Mutant, Path], Outcome]) -> list[Outcome]:
    """Outcomes in the order of the mutants, each copy of the project with one mutant at a time."""
    free = list(trees)

    def one(mutant: Mutant) -> Outcome:
        tree = free.pop()
        try:
            outcome = run(mutant, tree)
        finally:
            free.append(tree)
        if outcome.end == "survived":
            print(f"survived: {mutant.module}:{mutant.line}  {mutant.before}  ->  {mutant.after}", flush=True)
        return outcome

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(one, chosen))


def _report(outcomes: Sequence[Outcome], output: Path | None) -> int:
    ends = Counter((outcome.mutant.module, outcome.end) for outcome in outcomes)
    for module in sorted({module for module, _ in ends}):
        counts = {end: ends[module, end] for end in ("fell", "too long", "survived", "broken")}
        print(module, "  ".join(f"{end} {count}" for end, count in counts.items()))
    total = Counter(outcome.end for outcome in outcomes)
    fallen, ran = total["fell"] + total["too long"], len(outcomes) - total["broken"]
    print(f"{fallen} of {ran} fell ({100 * fallen / max(ran, 1):.0f} %); {total['broken']} could not be run")
    if output is not None:
        output.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n", encoding="utf-8")
    return 0 if fallen >= 0.85 * ran else 1


if __name__ == "__main__":
    raise SystemExit(main())
