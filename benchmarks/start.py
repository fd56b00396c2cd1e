"""What it takes to begin: compiling, a cached kernel, the command line, and a model of 15,000 operations."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from cases import CASES
from measure import in_turn, seconds, show, show_machine

GOALS = {
    "park, first compile": 2.0,
    "park, kernel from disk": 0.05,
    "cipark --help": 0.5,
    "generated, lowered and compiled": 10.0,
}
#: In a process of its own: seconds to get a kernel ready for a program that is already there.
_READY = """
import sys, time
sys.path.insert(0, {here!r})
from cases import CASES
program = CASES[{name!r}].program
start = time.perf_counter()
from cipark_sd.engines.native.engine import load
load(program)
print(time.perf_counter() - start)
"""


def _environment(cache: str) -> dict[str, str]:
    """That of this process, with a cache of its own and with compiled Python kept, as in an ordinary installation."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "CIPARK_CACHE": cache, "PYTHONPYCACHEPREFIX": str(Path(cache) / "bytecode")}


def ready(name: str, cache: str) -> float:
    """Seconds until a kernel can be called, in a new process."""
    text = _READY.format(here=str(Path(__file__).parent), name=name)
    made = subprocess.run(
        [sys.executable, "-c", text],
        env=_environment(cache),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(made.stdout)


def command(arguments: list[str], cache: str) -> Callable[[], None]:
    """A call of ``cipark`` in a new process."""
    program = Path(sys.executable).with_name("cipark")

    def call() -> None:
        subprocess.run([str(program), *arguments], env=_environment(cache), capture_output=True, check=True)

    return call


def generated(n_elements: int) -> str:
    """A model with subscripts, about fifteen operations for each element once it is unrolled."""
    elements = ",".join(f"e{i}" for i in range(n_elements))
    return f"""{{UTF-8}}
Place: {elements} ~ ~ |
Growth=0.05 ~ 1/Year ~ |
Limit=100 ~ thing ~ |
Spread=0.01 ~ 1/Year ~ |
Mean=SUM(Level[Place!])/{n_elements} ~ thing ~ |
Room[Place]=MAX(0,1-Level[Place]/Limit) ~ Dmnl ~ |
Pull[Place]=(Mean-Level[Place])*Spread/(1+ABS(Mean-Level[Place])/Limit) ~ thing/Year ~ |
Gain[Place]=Growth*Level[Place]*Room[Place]+MIN(1,Level[Place])*0.01 ~ thing/Year ~ |
Loss[Place]=IF THEN ELSE(Level[Place]>Limit/2,0.01*Level[Place],0) ~ thing/Year ~ |
Level[Place]=INTEG(Gain[Place]-Loss[Place]+Pull[Place],1) ~ thing ~ |
INITIAL TIME=0 ~ Year ~ |
FINAL TIME=10 ~ Year ~ |
TIME STEP=0.25 ~ Year ~ |
SAVEPER=1 ~ Year ~ |
"""


def large(n_elements: int) -> dict[str, float | int]:
    """Operations of the generated model, and seconds to read, lower and compile it."""
    from cipark_sd.engines.native.engine import load
    from cipark_sd.engines.programs import program_for
    from cipark_sd.engines.settings import Settings
    from cipark_sd.frontends.model_file import read_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.mdl"
        path.write_text(generated(n_elements), encoding="utf-8")
        start = time.perf_counter()
        model = read_model(path)
        read = time.perf_counter()
        program = program_for(model, ("mean",), Settings())
        lowered = time.perf_counter()
        load(program)
        compiled = time.perf_counter()
    n_operations = sum(1 for node in program.dynamic if program.nodes[node].args)
    return {"n": n_operations, "read": read - start, "lower": lowered - read, "compile": compiled - lowered}


@click.command(help=__doc__)
@click.option("--repeats", default=3, show_default=True)
@click.option("--quick", is_flag=True, help="Once, with a small generated model.")
def main(repeats: int, quick: bool) -> None:
    repeats = 1 if quick else repeats
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CIPARK_CACHE"] = cache
        rows: list[tuple[str, float]] = [("park, first compile", ready("park", cache))]
        rows.append(("park, kernel from disk", sorted(ready("park", cache) for _ in range(repeats))[repeats // 2]))
        calls = {"cipark --help": command(["--help"], cache)}
        runs = command(
            ["run", str(CASES["park"].path), "--engine", "native", "-o", str(Path(cache) / "out.csv")], cache
        )
        start = time.perf_counter()
        runs()
        rows.append(("cipark run of the park, first", time.perf_counter() - start))
        calls["cipark run of the park, again"] = runs
        rows += [(name, t.median) for name, t in in_turn(calls, repeats=repeats).items()]
        made = large(50 if quick else 850)
        rows.append((f"generated, {made['n']} operations: read", made["read"]))
        rows.append(("generated, lowered and compiled", made["lower"] + made["compile"]))
    show(
        "start, wall time",
        ("what", "median", "goal", "of the goal"),
        [
            (
                action,
                seconds(t),
                *((seconds(GOALS[action]), f"{t / GOALS[action]:.2f}") if action in GOALS else ("", "")),
            )
            for action, t in rows
        ],
    )
    show_machine()


if __name__ == "__main__":
    main()
