"""``cipark show``: a model's variables or equations."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, assert_never

import click

from cipark_sd.base.console import Printable, Rows, echo
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.model.expr import Table
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Auxiliary, Constant, External, Lookup, Piece, Series, Stock, Variable

KINDS = ("stock", "flow", "auxiliary", "constant", "lookup", "series")


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    kinds: tuple[str, ...] = option(
        "--kind", multiple=True, type=click.Choice(KINDS), help="Only variables of this kind."
    )
    search: str | None = option(
        "--search", metavar="TEXT", help="Only variables with TEXT in name, units, sector or documentation."
    )
    as_equations: bool = option("--equations", is_flag=True, help="One line for each equation.")
    as_program: bool = option("--program", is_flag=True, help="The operations that the compiled engines run.")
    causes: str | None = option(
        "--causes", shell_complete=completing.variables(), metavar="NAME", help="Variables that NAME is computed from."
    )
    uses: str | None = option(
        "--uses", shell_complete=completing.variables(), metavar="NAME", help="Variables that are computed from NAME."
    )
    diagram: Path | None = option(
        "--diagram", type=options.PATH, metavar="FILE.svg", help="Write the stock-and-flow diagram."
    )


@command_of(Request, short_help="List a model's variables or equations.")
def command(request: Request) -> Result:
    """List the variables of FILE (Vensim .mdl or XMILE), by default the park model.

    \b
    Examples:
      cipark show
      cipark show my.mdl --kind constant --search price
      cipark show my.xmile --equations
      cipark show my.xmile --program --search price
      cipark show my.mdl --json > variables.json
      cipark show my.mdl --causes "birth rate"       and what its causes are computed from
      cipark show my.mdl --diagram my.svg
    """
    from cipark_sd.model.model import kinds
    from cipark_sd.model.printing import equations

    model = request.model()
    roles = kinds(model)
    chosen = [
        variable
        for variable in model
        if (not request.kinds or roles[variable.name] in request.kinds) and _matches(variable, request.search)
    ]
    records = [_record(model, variable, roles[variable.name]) for variable in chosen]
    result: dict[str, object] = {"model": model.name, "model_digest": model.digest, "variables": records}
    trees = {key: _tree(model, name, key) for key in ("causes", "uses") if (name := getattr(request, key)) is not None}
    printed: list[str | Printable] = []
    if request.diagram is not None:
        result["diagram"] = _write_diagram(model, request.diagram)
        printed = [f"saved {request.diagram}"]
    if trees:
        result |= trees
        printed += [branch for key, tree in trees.items() for branch in _branches(tree, key)]
    elif request.diagram is not None:
        pass
    elif request.as_program:
        result["program"] = program = _program(model, chosen)
        printed += program
    elif request.as_equations:
        printed += [line for variable in chosen for line in equations(model, variable)]
    else:
        printed = [_listed(model, chosen, roles), f"{len(chosen)} of {len(model.variables)} variables of {model.name}"]
    return Result(result, printed=printed)


#: How far a tree of causes or uses goes.
_LEVELS = 2
Tree = dict[str, object]


def _tree(model: Model, name: str, key: str, levels: int = _LEVELS) -> Tree:
    """A variable with its causes, or with what uses it, and theirs.

    Raises
    ------
    UnknownName
    """
    from cipark_sd.model.model import causes, uses

    variable = model[name]
    links = causes(model, variable) if key == "causes" else uses(model, variable)
    branches = [_tree(model, model.by_name[link].label, key, levels - 1) for link in links] if levels else []
    return {"name": variable.label, key: branches}


def _branches(tree: Tree, key: str, depth: int = 0) -> Iterator[str]:
    yield f"{'  ' * depth}{tree['name']}"
    branches: list[Tree] = tree[key]  # type: ignore[assignment]
    if not depth and not branches:
        yield "  nothing"
    for branch in branches:
        yield from _branches(branch, key, depth + 1)


def _write_diagram(model: Model, path: Path) -> Path:
    from cipark_sd.base.files import write_text
    from cipark_sd.data.described import check_writable
    from cipark_sd.pages.player.diagram import svg

    check_writable(path, role="the diagram", endings=(".svg",), where="--diagram")
    return write_text(path, svg(model))


def _program(model: Model, chosen: Sequence[Variable]) -> list[str]:
    from cipark_sd.engines.base import Settings
    from cipark_sd.engines.plan import Columns
    from cipark_sd.engines.programs import program_for

    columns = Columns.of(model, [variable.name for variable in chosen if not isinstance(variable, Lookup)])
    return list(program_for(model, columns.flat, Settings()).listing())


def _matches(variable: Variable, search: str | None) -> bool:
    text = " ".join((variable.label, variable.units, variable.group, variable.doc)).casefold()
    return search is None or search.casefold() in text


def _value_text(model: Model, variable: Variable) -> str:
    """What stands in the file for a constant or the start of a stock; the size of a lookup; else nothing."""
    from cipark_sd.model.printing import expression_text

    texts: list[str] = []
    match variable:
        case Constant(pieces=numbers):
            texts = [
                expression_text(model, piece.expr) if isinstance(piece, Piece) else _source_text(piece.source)
                for piece in numbers
            ]
        case Series(pieces=external):
            texts = [_source_text(piece.source) for piece in external]
        case Stock(pieces=stocks):
            texts = [expression_text(model, piece.initial) for piece in stocks]
        case Lookup(pieces=tables):
            texts = [_source_text(piece.table) for piece in tables]
        case Auxiliary():
            pass
        case _:
            assert_never(variable)
    return "; ".join(dict.fromkeys(texts))


def _source_text(source: External | Table | None) -> str:
    """Where points come from, or how many there are."""
    match source:
        case External(file):
            return f"in {file}"
        case Table(x):
            return f"{len(x)} points"
        case None:
            return "from a scenario"
        case _:
            assert_never(source)


def _limits_text(variable: Variable) -> str:
    """``[0, ?]`` as Vensim writes it; nothing without limits.

    >>> _limits_text(Constant(name="a", label="A", pieces=(), limits=(0.0, None)))
    '[0, ?]'
    """
    from cipark_sd.model.printing import number

    if variable.limits == (None, None):
        return ""
    return f"[{', '.join('?' if end is None else number(end) for end in variable.limits)}]"


def _record(model: Model, variable: Variable, kind: str) -> dict[str, object]:
    """A variable as plain values."""
    from cipark_sd.model.printing import equations

    low, high = variable.limits
    return {
        "name": variable.label,
        "kind": kind,
        "subscripts": [model.dimension_by_name[dim].label for dim in variable.dims],
        "units": variable.units,
        "value": _value_text(model, variable),
        "low": low,
        "high": high,
        "sector": variable.group,
        "documentation": variable.doc,
        "equations": list(equations(model, variable)),
    }


#: A terminal narrower than this has each variable in a paragraph of its own instead of a row.
_WIDE = 120


class _Variables(Rows):
    def show(self, stream: IO[str]) -> None:
        width = shutil.get_terminal_size().columns
        if not stream.isatty() or width >= _WIDE:
            super().show(stream)
            return
        for name, *facts, doc in self.rows:
            echo(f"  {'  '.join(filter(None, facts))}", head=name, stream=stream)
            if doc:
                echo(textwrap.fill(doc, width, initial_indent="    ", subsequent_indent="    "), stream=stream)


def _listed(model: Model, variables: Sequence[Variable], roles: Mapping[str, str]) -> Rows:
    rows = []
    for variable in variables:
        dims = [model.dimension_by_name[dim].label for dim in variable.dims]
        name = variable.label + (f"[{', '.join(dims)}]" if dims else "")
        value = _value_text(model, variable)
        short = value if len(value) <= 40 else value[:39] + "…"
        rows.append([name, roles[variable.name], variable.units, short, _limits_text(variable), variable.doc])
    return _Variables(["Name", "Kind", "Units", "Value", "Limits", "Documentation"], rows, right=())
