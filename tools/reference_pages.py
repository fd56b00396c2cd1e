"""Pages of reference that are made, not written: the public names, the commands, the keys of TOML files.

:mod:`tools.site` puts them on the site: docstrings and declared options are their only source, and the keys are those
that the readers ask for while they read the studies, catalogues and checks that come with the package.
"""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: A section of a docstring: its name and the line below it.
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", flags=re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
#: What is read by a method of ``Section``, in words.
_KINDS = {
    "text": "text", "choice": "a word", "number": "number", "ends": "[low, high]", "whole": "whole number",
    "number_or_name": "number or name", "flag": "true or false", "names": "names", "table": "a table",
    "tables": "tables", "raw": "",
}  # fmt: skip


def api() -> str:
    """The public names, each with its signature and what its docstring says."""
    import cipark_sd

    names = sorted(cipark_sd.__all__, key=str.casefold)
    parts = [
        "# Python",
        "",
        "What `import cipark_sd as cp` has, by name. [From Python](../../how-to/python.md) is the way in.",
        "",
    ]
    for name in names:
        public = getattr(cipark_sd, name)
        parts += [f"## {name}", "", *_described(f"cp.{name}", public)]
        for label, member in _members(public) if inspect.isclass(public) else ():
            parts += [f"### {name}.{label}", "", *_described(f"{name}.{label}", member)]
    return "\n".join(parts) + "\n"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class has of its own, or of a class of the package, with a docstring."""
    if issubclass(kind, BaseException):
        return
    owned = {name: member for owner in reversed(kind.__mro__[:-1]) for name, member in vars(owner).items()}
    for name, member in owned.items():
        described = inspect.isfunction(member) or isinstance(member, classmethod | staticmethod | property)
        if not name.startswith("_") and (described or hasattr(member, "func")) and inspect.getdoc(member):
            yield name, member


def _described(name: str, public: Any) -> Iterator[str]:
    is_called = callable(public) or isinstance(public, classmethod | staticmethod)
    if is_called:
        function = public.__func__ if isinstance(public, classmethod | staticmethod) else public
        parameters = [
            re.sub(r": .*?(?= = |$)", "", str(parameter).replace("\n", " "))
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in ("self", "cls")
        ]
        yield from (
            "```python",
            *textwrap.wrap(f"{name}({', '.join(parameters)})", 76, subsequent_indent="    "),
            "```",
            "",
        )
    yield from (markdown(inspect.getdoc(public) or ""), "")


def markdown(docstring: str) -> str:
    """A docstring in NumPy's form as Markdown."""
    plain = re.sub(r"``([^`]+)``", r"`\1`", _ROLE.sub(r"`\1`", docstring))
    before, *sections = _SECTION.split(plain)
    parts = [_prose(before)]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        parts.append(f"**{title}**")
        lists = title in ("Parameters", "Returns", "Attributes", "Raises", "Warns", "Yields")
        parts.append("\n".join(_entries(body)) if lists else _prose(body))
    return "\n\n".join(part for part in parts if part.strip())


def _entries(body: str) -> Iterator[str]:
    for entry in re.split(r"\n(?=\S)", body.strip("\n")):
        head, _, below = entry.partition("\n")
        name, colon, kind = head.partition(" : ")
        text = " ".join(textwrap.dedent(below).split())
        yield f"- `{name}`" + (f" ({kind})" if colon else "") + (f": {text}" if text else "")


def _prose(text: str) -> str:
    """Paragraphs, examples as blocks of code."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        shown = block.lstrip().startswith(">>>")
        blocks.append(f"```pycon\n{textwrap.dedent(block)}\n```" if shown else block.replace("::", ":"))
    return "\n\n".join(blocks)


def commands() -> str:
    """Each command with its usage, what it does and its options."""
    import click

    from cipark_sd.commands.cli import cli

    top = click.Context(cli, info_name="cipark")
    parts = ["# Commands", "", "What `cipark --help` and `cipark COMMAND --help` say.", ""]
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=top)
        parts += [f"## cipark {name}", "", "```", context.command.get_usage(context), "```", ""]
        parts += [_prose(inspect.cleandoc(command.help or "").replace("\b\n", "")), ""]
        rows = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
        if rows:
            parts += ["| option | what it does |", "|---|---|"]
            parts += [f"| `{_cell(options)}` | {_cell(text)} |" for options, text in rows] + [""]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def keys() -> str:
    """The keys of studies, questions, catalogues, checks and scenarios, as the readers ask for them."""
    tables_of: dict[str, dict[str, dict[str, tuple[str, str]]]] = {}
    for file, read in _readings():
        with _watched(tables_of.setdefault(file, {})):
            read()
    parts = [
        "# Keys of TOML files",
        "",
        "What each reader asks for while it reads the files that come with the package, by table.",
        "",
    ]
    parts[2] += (
        " A default stands where a key may be left out; what depends on another key is there where a file has that."
    )
    for file, tables in tables_of.items():
        parts += [f"## {file}", ""]
        for heading, rows in sorted(tables.items()):
            parts += [f"### {heading or 'at the top'}", "", "| key | value | default |", "|---|---|---|"]
            parts += [f"| `{key}` | {_cell(kind)} | {_cell(default)} |" for key, (kind, default) in rows.items()]
            parts.append("")
    return "\n".join(parts) + "\n"


@contextmanager
def _watched(tables: dict[str, dict[str, tuple[str, str]]]) -> Iterator[None]:
    """What sections are asked for goes into the tables: by heading and key what it is, and its default."""
    from cipark_sd.base.section import Section

    methods, depth = {name: getattr(Section, name) for name in _KINDS}, [0]

    def watched(kind: str) -> Any:
        takes = inspect.signature(methods[kind])

        @functools.wraps(methods[kind])
        def reads(section: Section, key: str, *values: Any, **options: Any) -> Any:
            bound = takes.bind(section, key, *values, **options).arguments
            words = " or ".join(f"`{word}`" for word in bound.get("options", ())) or _KINDS[kind]
            default = bound.get("default")
            if not depth[0]:
                shown = "" if default is None or callable(default) else str(default)
                old = tables.setdefault(_heading(section), {}).get(key)
                if old is None or not old[0]:
                    tables[_heading(section)][key] = words, shown
            depth[0] += 1
            try:
                return methods[kind](section, key, *values, **options)
            finally:
                depth[0] -= 1

        return reads

    for name in methods:
        setattr(Section, name, watched(name))
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(Section, name, method)


def _heading(section: Any) -> str:
    """``[[parameter]]`` of ``parameter 'beta'``, ``[parameter.prior]`` of what stands within it."""
    if section.content.get("id") == section.name:
        return "[[check]]"
    bare = re.sub(r" ('[^']*'|\"[^\"]*\"|\d+)(?=,|$)", "", section.name)
    named = section.title or bare.rpartition(", ")[2] != section.name.rpartition(", ")[2]
    bare = ".".join(step.strip("[]") for step in bare.split(", "))
    bare = re.sub(r"^runs\.\w+$", "runs.NAME", bare)
    return f"[[{bare}]]" if named else f"[{bare}]" if bare else ""


def _readings() -> Iterator[tuple[str, Callable[[], object]]]:
    """What reads each file of a user that comes with the package, by the kind of file."""
    from calibration.commands.for_analyses.study import read_question
    from calibration.study.problem import read_problem
    from cipark_sd.analysis.experiments.catalogue import read_catalogue
    from cipark_sd.analysis.sensitivities.loops import read_loops
    from cipark_sd.language.read.model_file import read_model
    from cipark_sd.pages.figures.observed import display_of
    from cipark_sd.verify.checks.file import read_checks

    studies = sorted(path.parent for path in (ROOT / "calibration" / "studies").glob("*/problem.toml"))
    for folder in studies:
        yield "problem.toml", lambda folder=folder: read_problem(folder)
    for folder in studies:
        if (folder / "sensitivity.toml").is_file():
            problem = read_problem(folder)
            yield "sensitivity.toml", lambda problem=problem: read_question(problem, ())
        if (folder / "policies.toml").is_file():
            model = read_problem(folder).model
            yield "policies.toml", lambda folder=folder, model=model: read_catalogue(folder / "policies.toml", model)
    for name in ("core", "cipark"):
        path = ROOT / "models" / f"{name}.mdl"
        model = read_model(path)
        yield "MODEL.checks.toml", lambda path=path, model=model: read_checks(path.with_suffix(".checks.toml"), model)
        yield "MODEL.display.toml", lambda path=path: display_of(path)
        yield "MODEL.loops.toml", lambda path=path, model=model: read_loops(path.with_suffix(".loops.toml"), model)


#: The pages by their names on the site.
PAGES: dict[str, Callable[[], str]] = {"python": api, "commands": commands, "keys": keys}
