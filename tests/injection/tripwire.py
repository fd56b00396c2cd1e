"""Commands on hostile files in one process under a tripwire; every case and command with ``--all``.

::

    python tests/injection/tripwire.py result.json --all          # every case, every command that reads it
    python tests/injection/tripwire.py result.json "--all 1/4"    # a quarter of that
    python tests/injection/tripwire.py result.json plan.json      # pairs of a case's name and a command

Finds are printed as they come, and the result has all outcomes. The tripwire is Python's audit hook (PEP 578). It sees
what cannot be hidden from it: text that is compiled (as ``eval``, ``exec`` and ``compile`` do), code that is run,
modules that are imported, processes, sockets, and files that are opened for writing, moved or removed. After a first
round over plain files, it reports

- a payload's word in anything that is compiled or run, and any import of the payload's module;
- a module that the first round did not need, but for packages that it did;
- any process or connection that the first round did not start;
- any write outside the folders for output, cache and temporary files.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "shared"))
sys.path.insert(0, str(Path(__file__).parent))

from cases import BELL, POLICIES, PROBLEM, Case, cases, filled
from plants import UNGUARDED, plants, unguarded

from cipark_sd.data.netcdf import CHILD

#: Modules that do something when they are imported; a display file could name them.
_LOUD = {BELL, "antigravity", "this", "webbrowser"}
_WRITING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_PROCESSES = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "pty.spawn",
)
_NETWORK = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "urllib.Request",
    "ftplib.connect",
    "http.client.connect",
)
_OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Tripwire:
    """What happened in a case that no data may bring about."""

    def __init__(self, writable: Path) -> None:
        self.writable = str(writable.resolve())
        self.known_packages: set[str] = set()
        self.known_modules: set[str] = set()
        self.known_processes: set[str] = set()
        self.learning = True
        self.watching = False
        self.finds: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, details: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        self.watching = False
        try:
            found = self._look(event, details)
            if found:
                self.finds.append(found)
        finally:
            self.watching = True

    def _look(self, event: str, details: tuple[Any, ...]) -> str | None:
        if event == "compile":
            return self._compiled(*details)
        if event == "exec":
            return f"exec of {details[0].co_filename}" if _holds_payload(details[0]) else None
        if event == "import":
            return self._imported(str(details[0]))
        if event == "open":
            return self._opened(*details)
        if event in _WRITING or event.startswith("shutil."):
            # of a copy, the place where it goes
            places = details[1:2] if event.startswith("shutil.copy") else details
            outside = [str(p) for p in places if isinstance(p, str | bytes | os.PathLike) and not self._inside(p)]
            return f"{event} {outside}" if outside else None
        if event in ("subprocess.Popen", "os.posix_spawn") and tuple(details[1][1:4]) == CHILD:
            # NetCDF is read by a child whose code is a constant; the file's path is a word of its own. From Python 3.14
            # on subprocess starts it by posix_spawn
            return None
        if event.startswith(_PROCESSES) or event.startswith(_NETWORK):
            shown = f"{event} {details!r}"[:300]
            if self.learning:
                self.known_processes.add(shown)
            return None if shown in self.known_processes else shown
        return None

    def _compiled(self, source: Any, filename: Any) -> str | None:
        text = source.decode("utf-8", "replace") if isinstance(source, bytes | bytearray) else source
        named = str(filename)
        if named.startswith(str(Path(__file__).parent)):
            return None
        if isinstance(text, str) and BELL in text:
            return f"compile of {text[:200]!r}"
        return f"compile of the file {named}" if BELL in named else None

    def _imported(self, name: str) -> str | None:
        top = name.partition(".")[0]
        if top in _LOUD or BELL in name:
            return f"import of {name}"
        if self.learning:
            self.known_packages.add(top)
            self.known_modules.add(name)
            return None
        if name in self.known_modules or (top in self.known_packages and top not in sys.stdlib_module_names):
            return None
        return f"import of {name}, which no other file needs"

    def _opened(self, path: Any, mode: Any, flags: Any) -> str | None:
        writes = set(mode or "") & set("wax+") or (isinstance(flags, int) and flags & _OPENS_TO_WRITE)
        if not writes or not isinstance(path, str | bytes | os.PathLike) or self._inside(path):
            return None
        return f"open for writing of {path!r}"

    def _inside(self, path: Any) -> bool:
        text = os.path.realpath(os.fsdecode(path))
        return text.startswith(self.writable + os.sep) or text == self.writable or text == os.devnull

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The finds of what runs inside."""
        self.finds = []
        self.watching = True
        try:
            yield self.finds
        finally:
            self.watching = False

    def learned(self) -> None:
        """From here on, what is new is a find."""
        self.learning = False
        self.known_modules |= set(sys.modules)
        self.known_packages |= {name.partition(".")[0] for name in sys.modules}


def _holds_payload(code: Any) -> bool:
    if not isinstance(code, types.CodeType) or code.co_filename.startswith(str(Path(__file__).parent)):
        return False
    texts = [code.co_name, *code.co_names, *code.co_varnames, *(c for c in code.co_consts if isinstance(c, str))]
    return any(BELL in text for text in texts) or any(map(_holds_payload, code.co_consts))


#: Arguments by command: {model}, {data}, {scenario}, {study} and {out} stand for what a case has.
COMMANDS: dict[str, tuple[str, ...]] = {
    "certify": ("certify", "{model}", "{scenario}", "-o", "{out}/certificate.json"),
    "certify pysd": ("certify", "{model}", "{scenario}", "--engines", "native,pysd", "-o", "{out}/certificate.json"),
    "run": ("run", "{model}", "{scenario}", "-o", "{out}/run.csv", "--figure", "{out}/run.svg"),
    "run numpy": ("run", "{model}", "{scenario}", "--engine", "numpy"),
    "run pysd": ("run", "{model}", "{scenario}", "--engine", "pysd"),
    "show": ("show", "{model}"),
    "show equations": ("show", "{model}", "--equations"),
    "show program": ("show", "{model}", "--program"),
    "show json": ("show", "{model}", "--json"),
    "check": ("check", "{model}", "-o", "{out}/findings.json"),
    "check pysd": ("check", "{model}", "--engine", "pysd"),
    "convert to xmile": ("convert", "{model}", "-o", "{out}/again.xmile"),
    "convert to mdl": ("convert", "{model}", "-o", "{out}/again.mdl", "--flat"),
    "new-study": ("new-study", "{model}", "{data}", "-o", "{out}/study"),
    "calibrate": ("calibrate", "{study}", "--starts", "1", "--no-profiles", "-o", "{out}/fit"),
    "calibrate pysd": (
        "calibrate",
        "{study}",
        "--fast",
        "--starts",
        "1",
        "--no-profiles",
        "--engine",
        "pysd",
        "-o",
        "{out}/slow",
    ),
    "sensitivity": ("sensitivity", "{model}", "--variables", "Cup", "--method", "tornado", "-o", "{out}/which"),
    "sensitivity of the study": ("sensitivity", "{study}", "--method", "tornado", "-o", "{out}/of"),
    "loops": (
        "sensitivity",
        "{model}",
        "--variables",
        "Cup",
        "--method",
        "tornado",
        "--loops",
        "1",
        "-o",
        "{out}/loops",
    ),
    "policy": (
        *("policy", "{study}", "--draws", "prior", "--runs", "4"),
        *("--part", "effects", "--part", "decisions", "-o", "{out}/policy"),
    ),
}
#: Commands by the template of a case, where they are not all.
_READERS: dict[str, tuple[str, ...]] = {
    "display": ("run", "run pysd"),
    "checks": ("check", "check pysd"),
    "loops": ("loops",),
    "scenario": ("certify", "run", "run numpy", "run pysd"),
    "problem": ("calibrate", "calibrate pysd", "sensitivity of the study", "policy"),
    "policies": ("policy", "sensitivity of the study"),
    "sensitivity": ("sensitivity of the study",),
}


def pairs() -> Iterator[tuple[str, str]]:
    """Every case with every command that it has a file for."""
    for case in cases():
        for command in _READERS.get(case.kind, tuple(COMMANDS)):
            yield case.name, command


def _arguments(case: Case, command: str, folder: Path, out: Path) -> list[str]:
    if not case.study and "{study}" in COMMANDS[command]:
        # a plain study of the hostile model
        for name, text in (("problem.toml", filled(PROBLEM)), ("policies.toml", filled(POLICIES))):
            (folder / name).write_text(text.replace("model.mdl", case.model), encoding="utf-8")
    words: list[str] = []
    for word in COMMANDS[command]:
        if word == "{scenario}":
            words += ["--scenario", str(folder / "scenario.toml")] if case.scenario is not None else []
        else:
            place = {"model": folder / case.model, "data": folder / "counts.csv", "study": folder, "out": out}
            words.append(word.format(**place) if "{" in word else word)
    return words


def _run(words: list[str]) -> str:
    """What became of a command: its exit code, or the class of an error that nobody caught."""
    from cipark_sd.commands import cli

    sys.argv = ["cipark", *words]
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cli.main()
        except SystemExit as stop:
            text = sink.getvalue()
            return f"exit {stop.code}" + (
                f": {text.strip().splitlines()[-1][:160]}" if stop.code and text.strip() else ""
            )
        except Exception as problem:  # a traceback is a fault of another kind, which the result names
            return f"traceback {type(problem).__name__}: {str(problem)[:160]}"
    return "exit 0"


def _no_figures() -> contextlib.AbstractContextManager[object]:
    # imported late: matplotlib looks for its folder in the environment
    from matplotlib.figure import Figure
    from undrawn import UNDRAWN

    return mock.patch.multiple(Figure, **UNDRAWN)


def attempt(
    tripwire: Tripwire, case: Case, command: str, base: Path, *, drawn: bool = True
) -> tuple[str, list[str], float]:
    """A command on a case's files: what became of it, what the tripwire saw, and its processor time."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory(dir=base / "models") as place:
        folder = Path(place)
        for name, text in case.files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        if case.scenario is not None:
            (folder / "scenario.toml").write_text(case.scenario, encoding="utf-8")
        with tempfile.TemporaryDirectory(dir=base / "writable") as out:
            words = _arguments(case, command, folder, Path(out))
            # matplotlib reads it from the working folder: with TeX it would start a program on words of the model
            Path(out, "matplotlibrc").write_text(f"text.usetex: True\nbackend: module://{BELL}\n", encoding="utf-8")
            before = os.getcwd()
            os.chdir(out)
            try:
                with contextlib.nullcontext() if drawn else _no_figures(), tripwire.watched() as finds:
                    outcome = _run(words)
                outcome = _without_pysd(Path(out, "certificate.json")) or outcome
            finally:
                os.chdir(before)
    return outcome, finds, round(time.process_time() - begun, 3)


def _without_pysd(certificate: Path) -> str:
    """Why the engine that writes Python took no part, or nothing: a certificate stands without it."""
    if not certificate.is_file():
        return ""
    left_out = json.loads(certificate.read_text(encoding="utf-8"))["left_out"]
    return next((f"without pysd: {side['reason']}" for side in left_out if side["name"] == "pysd"), "")


def _chosen(plan: str) -> list[tuple[str, str]]:
    """``--all``, ``--all 1/4`` for a quarter of it, or the pairs in a file."""
    if not plan.startswith("--all"):
        return [(case, command) for case, command in json.loads(Path(plan).read_text(encoding="utf-8"))]
    part, _, parts = (plan.removeprefix("--all").strip() or "1/1").partition("/")
    return list(pairs())[int(part) - 1 :: int(parts)]


def main(result: str, plan: str) -> None:
    """Write what became of every pair of the plan, and of the plants, to ``result``."""
    known = {case.name: case for case in cases()}
    with tempfile.TemporaryDirectory(prefix="cipark-injection-") as place:
        base = Path(place)
        for folder in ("models", "writable", "elsewhere"):
            (base / folder).mkdir()
        for variable in ("TMPDIR", "CIPARK_CACHE", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
            (base / "writable" / variable).mkdir()
            os.environ[variable] = str(base / "writable" / variable)
        tempfile.tempdir = os.environ["TMPDIR"]
        sys.dont_write_bytecode = True
        chosen = _chosen(plan)
        tripwire = Tripwire(base / "writable")
        used, applicable = {command for _, command in chosen}, set(pairs())
        first = {
            f"{case} | {command}": attempt(tripwire, known[case], command, base)
            for case, commands in _LESSONS.items()
            for command in COMMANDS
            if (command in used and (case, command) in applicable and (command not in _DEAR or case in _DEAR_FOR))
            or command in commands
        }
        tripwire.learned()
        found = {}
        for case, command in chosen:
            # in the suite figures are drawn of plain files, of display files and by the commands that draw one
            drawn = plan.startswith("--all") or command not in ("policy", "sensitivity of the study")
            found[f"{case} | {command}"] = attempt(tripwire, known[case], command, base, drawn=drawn)
            for find in found[f"{case} | {command}"][1]:
                sys.stderr.write(f"{case} | {command}: {find}\n")
        planted = {}
        for name, act in plants(base / "elsewhere").items():
            with tripwire.watched() as finds:
                act()
            planted[name] = list(finds)
        for guard, case, command in UNGUARDED:
            os.environ["CIPARK_CACHE"] = tempfile.mkdtemp(dir=base / "writable")
            with unguarded(guard):
                planted[f"{guard} off: {case}"] = attempt(tripwire, known[case], command, base)[1]
    Path(result).write_text(json.dumps({"first": first, "found": found, "planted": planted}, indent=1))


#: Files without a payload that show the tripwire what the commands need, and refused ones for the errors' needs.
_LESSONS: dict[str, tuple[str, ...]] = {
    "mdl/plain": ("sensitivity",),
    "external/plain": (),
    "xmile/plain": (),
    "problem/plain": (),
    "display/plain": (),
    "checks/plain": (),
    "mdl/table point/call": ("show",),
    "mdl/documentation/plain": ("run pysd",),
    "external/file/path": ("show",),
    "xmile/argument/call": ("show",),
    "checks/id/plain": ("check",),
    "scenario/set/plain": ("run",),
    "display/column/plain": ("run",),
}

#: Commands that take seconds are shown on plain files of these templates only.
_DEAR = ("calibrate", "calibrate pysd", "sensitivity", "sensitivity of the study", "policy")
_DEAR_FOR = ("problem/plain",)

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
