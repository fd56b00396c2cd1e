"""The commands as typed, one after the other in a folder, each with its processor time and a limit to it."""

import contextlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gauntlet_case import Case

#: Seconds of processor time of each command at most, and of all together.
LIMITS = {"new-study": 15, "calibrate": 75, "posterior": 120, "play": 15, "policy": 25, "sensitivity": 40}
BUDGET = 250
CIPARK = Path(sys.executable).with_name("cipark")


@dataclass(frozen=True)
class Step:
    """A command that has ended.

    ``exit`` is its code, -1 where it was stopped at its ``limit``; ``last`` is its error or its first caution, else the
    last line that it printed.
    """

    name: str
    command: str
    exit: int
    cpu: float
    limit: int
    last: str

    @property
    def ended_well(self) -> bool:
        """Whether it did what it was called for."""
        return self.exit == 0


def run(command: Sequence[str], folder: Path, name: str, limit: int) -> Step:
    """A command in ``folder``; what it prints goes to NAME.out and NAME.err there."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}

    def bound() -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))

    with (folder / f"{name}.out").open("w") as out, (folder / f"{name}.err").open("w") as err:
        # the file's own executable stands for the word cipark
        words = [str(CIPARK), *command[1:]]
        process = subprocess.Popen(words, cwd=folder, stdout=out, stderr=err, env=environment, preexec_fn=bound)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        # workers of a command that was stopped
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    cpu = usage.ru_utime + usage.ru_stime
    stopped = process.returncode == -signal.SIGXCPU or cpu >= limit
    lines = [line for end in ("out", "err") for line in (folder / f"{name}.{end}").read_text().strip().splitlines()]
    last = next((line for line in lines if line.startswith(("error", "Caution"))), lines[-1] if lines else "")
    return Step(name, shlex.join(command), -1 if stopped else process.returncode, round(cpu, 1), limit, last[:300])


def study_folder(folder: Path) -> Path | None:
    """What new-study has made."""
    return next((path.parent for path in sorted(folder.glob("*/problem.toml"))), None)


def run_chain(case: Case, folder: Path, slack: float = 1.0, *, fits: bool = False) -> list[Step]:
    """All commands, or with ``fits`` the first two; none after one whose result it needs, or after the budget.

    ``slack`` multiplies all limits, for a machine that others use: a second of processor time does less on it.
    """
    limits = {name: round(slack * limit) for name, limit in LIMITS.items()}
    steps = [run(case.command, folder, "new-study", limits["new-study"])]
    study = study_folder(folder)
    if study is None:
        return steps
    commands = {
        "calibrate": ("cipark", "calibrate", study.name, "--fast", "--workers", "1"),
        "posterior": ("cipark", "calibrate", study.name, "--fast", "--posterior", "--workers", "1"),
        "play": ("cipark", "play", study.name),
        "policy": ("cipark", "policy", study.name, "--runs", "100"),
        "sensitivity": ("cipark", "sensitivity", study.name, "--rows", "256", "--workers", "1"),
    }
    for name, words in list(commands.items())[: 1 if fits else None]:
        left = slack * BUDGET - sum(step.cpu for step in steps)
        if left < 5:
            break
        steps.append(run(words, folder, name, int(min(limits[name], left))))
        output = folder / "cipark-output" / study.name
        if name == "calibrate" and output.exists():
            # the second call writes into the same folder
            shutil.copytree(output, folder / "fast", ignore=shutil.ignore_patterns("checkpoints", "*.p??", "*.svg"))
    (folder / "steps.json").write_text(json.dumps([asdict(step) for step in steps], indent=1))
    return steps


def refusal(case: Case, step: Step, folder: Path) -> bool:
    """Whether a step refused with exit code 2 and one sentence, the one that the case names where it names one."""
    text = (folder / f"{step.name}.err").read_text().strip()
    is_refusal = step.exit == 2 and text.startswith("error:") and "fault of cipark" not in text
    return bool(is_refusal and case.refusal and re.search(case.refusal, text))
