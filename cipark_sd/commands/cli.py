"""The command ``cipark``."""

import errno
import importlib
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from cipark_sd.base.console import echo, prepare_streams
from cipark_sd.base.errors import DEBUG, LONGEST, REMOVED, CiparkError, UnknownName, shortened
from cipark_sd.base.library import COMMANDS, check_visible, load
from cipark_sd.commands.result import Command

# Matrices here are small: threads of the linear algebra cost more than they save, and workers share the processors.
# A user's own setting stays; it has to stand before NumPy is imported.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

#: Commands of this package: name -> (module, one line of help). Help is here so that ``cipark --help`` imports nothing.
BUILT_IN: Mapping[str, tuple[str, str]] = {
    "run": ("cipark_sd.commands.run", "Run a model and show the results."),
    "ensemble": ("cipark_sd.commands.ensemble", "Run a model many times into a folder on disk."),
    "show": ("cipark_sd.commands.show", "List a model's variables or equations."),
    "check": ("cipark_sd.commands.check", "Test a model: units, conservation, reality checks, time step."),
    "certify": ("cipark_sd.commands.certify", "Run a model on every engine and compare all numbers."),
    "sensitivity": ("cipark_sd.commands.sensitivity.command", "Find the assumptions that drive the outputs, and when."),
    "policy": ("cipark_sd.commands.policy.command", "Compare policies: effects, decisions, attribution."),
    "report": ("cipark_sd.commands.report", "Combine several reports on one page."),
    "diff": ("cipark_sd.commands.diff", "Compare two models: equations, and what they do to the outputs."),
    "convert": ("cipark_sd.commands.convert", "Write a model in another format."),
    "assist": ("cipark_sd.commands.assist", "Serve the commands to an assistant (MCP)."),
}
#: Commands in the order of work, plug-ins of this project included; commands of other packages come last.
ORDER = (
    *("show", "run", "check", "certify", "diff", "convert", "new-study", "calibrate", "power", "score"),
    *("sensitivity", "policy", "ensemble", "play", "report", "assist"),
)
#: The commands that are functions of Python; the others are functions of values: ``run`` is ``simulate``.
FUNCTIONS = ("show", "check", "certify", "diff", "convert", "new_study", "policy", "play", "report")
#: What an option may be called elsewhere -> what it is called here, where a command has it.
_MEANT: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("--plot", "--plots", "--chart", "--graph"), ("--figure", "--diagram")),
    **dict.fromkeys(("--out", "--outfile", "--outdir"), ("--output",)),
    **dict.fromkeys(("--var", "--vars"), ("--variables", "--value")),
    **dict.fromkeys(("--param", "--params", "--parameter"), ("--set",)),
    **dict.fromkeys(("--end", "--stop"), ("--to",)),
    **dict.fromkeys(("--cores", "--threads", "--jobs"), ("--workers",)),
    **dict.fromkeys(("-n", "--n"), ("--runs", "--rows")),
    "--draws": ("--keep",),
    "--dt": ("--step",),
}
#: The exit code of such an error, EX_SOFTWARE of sysexits.h; 1 is a verdict and 2 the user's mistake.
_SOFTWARE = 70


class UserError(click.ClickException):
    """A mistake of the user's as click reports it: one message, exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        echo(f"error: {self.message}", err=True)


class _Commands(click.Group):
    """Commands that are imported when they are called; one that cannot be imported does not keep the others from it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from importlib import metadata

        names = BUILT_IN.keys() | {entry.name for entry in metadata.entry_points(group=COMMANDS)}
        return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BaseException as problem:
            meant = _as_user_meets_it(problem)
            if meant is None:
                raise
            raise meant from problem

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # looking for the commands of other packages takes a fifth of a short run
        if args and not args[0].startswith("-") and args[0] not in BUILT_IN:
            known = self.list_commands(ctx)
            if args[0] not in known and args[0] in REMOVED:
                raise CiparkError(f"cipark has no command {args[0]!r}; {REMOVED[args[0]]}")
            if args[0] not in known:
                raise UnknownName(args[0], known, kind="command", where="cipark")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = None if name in BUILT_IN else self.get_command(ctx, name)
            rows.append((name, BUILT_IN[name][1] if command is None else command.get_short_help_str(limit=80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _as_user_meets_it(problem: BaseException) -> click.ClickException | None:
    """A mistake of the user, or what the system refuses, as one message; None for all else, which goes on as it is."""
    match problem:
        case CiparkError():
            return UserError(str(problem))
        case click.NoSuchOption() if (option := _option_of(problem)) in REMOVED:
            message = f"No such option {problem.option_name!r}; {REMOVED[option]}."
            return click.NoSuchOption(problem.option_name, message, ctx=problem.ctx)
        case click.NoSuchOption() if problem.option_name in _MEANT:
            return _renamed(problem)
        case click.ClickException() if len(problem.message) > LONGEST:
            # click repeats what was given, however long it is
            return UserError(shortened(problem.format_message()))
        case UnicodeEncodeError():
            # the word alone: what is written may be a page in which a name stands
            before, after = str(problem.object)[: problem.start], str(problem.object)[problem.start :]
            word = re.split(r'[\s"]', before)[-1] + re.split(r'[\s"]', after)[0]
            return UserError(f"{shortened(word, 200)!a} is not valid UTF-8; use a name that is")
        case RecursionError():
            return UserError("something in the input is nested too deeply")
        case MemoryError() | ImportError() | OSError() | RuntimeError() if _lacks_memory(problem):
            reason = f" ({problem})" if isinstance(problem, MemoryError) and str(problem) else ""
            return UserError(f"there is not enough memory{reason}; run less, or save fewer times or variables")
        # EPIPE: whoever read the output has seen enough, and click ends quietly
        case OSError() if problem.errno != errno.EPIPE:
            return UserError(_refused_by_system(problem))
    return None


def _lacks_memory(problem: BaseException) -> bool:
    """Whether there was no memory, also for the code of a library, which the system's linker says in words alone."""
    causes = [problem]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    words = ("failed to map segment", "can't start new thread")
    return any(isinstance(cause, MemoryError) or any(word in str(cause) for word in words) for cause in causes)


def _option_of(problem: click.NoSuchOption) -> str:
    """A command and its option that is not there."""
    return f"{problem.ctx.info_name if problem.ctx else ''} {problem.option_name}"


def _renamed(problem: click.NoSuchOption) -> click.NoSuchOption:
    """The same error with the option that is meant, where letters alone would lead elsewhere."""
    name, known = problem.option_name, problem.ctx.command.params if problem.ctx else ()
    meant = next((there for there in _MEANT[name] if any(there in option.opts for option in known)), "")
    message = f"No such option {name!r}." + (f" Did you mean {meant!r}?" if meant else "")
    return click.NoSuchOption(name, message, ctx=problem.ctx)


def load_command(name: str) -> click.Command | None:
    """A command of this package or of another one; None where there is none of that name."""
    if name in BUILT_IN:
        module = BUILT_IN[name][0]
        return _load(name, lambda: importlib.import_module(module).command, module)
    from importlib import metadata

    for entry in metadata.entry_points(group=COMMANDS, name=name):
        return _load(name, partial(load, entry), entry.value)
    return None


def command_of_name(name: str) -> Command:
    """The command whose name in Python is ``name``.

    Raises
    ------
    UnknownName, HiddenPackage
    CiparkError
        For one that cannot be imported.
    """
    spelt = name.replace("_", "-")
    if spelt not in BUILT_IN:
        from importlib import metadata

        for entry in metadata.entry_points(group=COMMANDS, name=spelt):
            check_visible(entry)
    command = load_command(spelt)
    if command is None:
        raise UnknownName(name, FUNCTIONS, kind="command", where="cipark_sd")
    if not isinstance(command, Command):
        raise CiparkError(f"cipark_sd: the function {name!r} is {command.short_help}")
    return command


def _load(name: str, load: Callable[[], object], source: str) -> click.Command:
    """A command, or one in its place that says why it is not there."""
    try:
        command = load()
        if isinstance(command, click.Command):
            return command
        reason = f"{source} is a {type(command).__name__}, not a command"
    except Exception as problem:  # whatever the import of another package leads to
        reason = f"{source} cannot be imported: {type(problem).__name__}: {problem}"

    @click.command(name, short_help=f"not available: {reason}", add_help_option=False)
    @click.argument("ignored", nargs=-1, type=click.UNPROCESSED)
    def unavailable(ignored: tuple[str, ...]) -> None:
        raise CiparkError(f"the command {name!r} is not available: {reason}")

    unavailable.context_settings["ignore_unknown_options"] = True
    return unavailable


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cipark-sd", prog_name="cipark")
def cli() -> None:
    """Run, check, calibrate and question system-dynamics models.

    \b
    Examples:
      cipark run                          the park model's base run, beside the observed counts
      cipark run my.mdl --set "birth rate=0.02" -o out.nc
      cipark show my.xmile --equations
      cipark check my.mdl
    """


def _refused_by_system(problem: OSError) -> str:
    """What the system refused: a full disk, a folder that may not be written to, a file that is gone."""
    where = f"{problem.filename}: " if problem.filename else "the output cannot be written: "
    return where + (problem.strerror or str(problem))


def _fault(problem: Exception) -> str:
    """Two lines of an error that nobody foresaw, which is a fault of this program and not of the user's."""
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    from importlib import metadata

    version = metadata.version("cipark-sd")
    log = _logged(problem, version)
    sent = f"please report it with {log}, which has the traceback," if log else "please report this line"
    return shortened(
        f"error: cipark {version} failed with {type(problem).__name__}{place}: {problem}\n"
        f"This is a fault of cipark, not of your input: {sent} with the command and its files "
        f"({DEBUG}=1 before the command shows the traceback)."
    )


def _logged(problem: Exception, version: str) -> Path | None:
    """The file into which the traceback went, readable by this user alone; None where it could not be written."""
    import platform
    import tempfile

    import platformdirs

    folder = Path(platformdirs.user_log_dir("cipark_sd", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix="fault-", suffix=".log")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"cipark {version}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n\n")
            file.writelines(traceback.format_exception(problem))
    except OSError:
        return None
    return Path(name)


def _end(reason: str, code: int) -> NoReturn:
    """Say why the command ends, and end it with the exit code, which counts where nothing can be said.

    Output that cannot be written is let go of: Python would try once more at its end, with a traceback.
    """
    with suppress(OSError):
        echo(reason, err=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _one_line(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning without the line of Python that gave it."""
    echo(f"warning: {' '.join(str(message).split())}", err=True)


def main() -> None:
    """Entry point: errors of the user's input, and what the system refuses, become one message and exit code 2."""
    prepare_streams()
    warnings.showwarning = _one_line
    try:
        code = cli.main(standalone_mode=False)
        # what cannot be written is an error while there is still someone to tell
        sys.stdout.flush()
    except click.UsageError as problem:
        command = problem.ctx.command_path if problem.ctx is not None else "cipark"
        _end(f"error: {problem.format_message()}\n{command} --help says what it takes", problem.exit_code)
    except click.ClickException as problem:
        _end(f"error: {problem.format_message()}", problem.exit_code)
    except click.Abort:
        _end("stopped", 130)
    except OSError as problem:
        _end(f"error: {_refused_by_system(problem)}", 2)
    except Exception as problem:  # a fault of this program, whatever it is
        if os.environ.get(DEBUG):
            raise
        _end(_fault(problem), _SOFTWARE)
    sys.exit(code if isinstance(code, int) else 0)
