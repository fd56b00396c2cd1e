"""The size of the house: lines with code by room and its budget, modules, classes, long functions and long signatures.

A line counts when it holds a token of code: docstrings, comments and blank lines do not. Lines of JavaScript count too.
"""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
PRODUCT = ("cipark_sd", "calibration")
#: Lines of code, those of JavaScript included, that a room of a package may have at most: what it has now, and up to
#: 25 more. Who adds to a room takes as much out of it, or says in the commit that raises its number what that buys.
BUDGETS = {
    "cipark_sd/analysis": 3775,
    "cipark_sd/base": 2150,
    "cipark_sd/commands": 5650,
    "cipark_sd/compiler": 5000,
    "cipark_sd/data": 1000,
    "cipark_sd/engines": 2975,
    "cipark_sd/execution": 450,
    "cipark_sd/language": 5275,
    "cipark_sd/model": 1050,
    "cipark_sd/pages": 4350,
    "cipark_sd/simulations": 750,
    "cipark_sd/statements": 650,
    "cipark_sd/verify": 1950,
    "calibration/assess": 1725,
    "calibration/commands": 2250,
    "calibration/front": 600,
    "calibration/inference": 6925,
    "calibration/likelihood": 1275,
    "calibration/new_study": 2350,
    "calibration/noise": 1125,
    "calibration/report": 2775,
    "calibration/study": 2800,
}
#: A function of more lines without its docstring, or with more parameters beside ``self``, says why in a comment above.
LONGEST, MOST_PARAMETERS = 80, 7
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass
class Size:
    """Counts over some files."""

    code: int = 0
    script: int = 0
    modules: int = 0
    classes: int = 0
    dataclasses: int = 0
    long: list[str] = field(default_factory=list)

    @property
    def all(self) -> int:
        """Lines of code in both languages."""
        return self.code + self.script

    def add(self, path: Path) -> None:
        """Count one file in."""
        source = path.read_text(encoding="utf-8")
        if path.suffix == ".js":
            self.script += script_lines(source)
            return
        tree = ast.parse(source)
        self.code += len(code_lines(source, tree))
        self.modules += 1
        self.long += [f"{path.relative_to(ROOT)}:{function}" for function in unexplained(source, tree)]
        # a class that makes its heirs dataclasses, and these
        makers: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                if any("dataclass_transform" in text for text in decorators) or makers & set(
                    map(ast.unparse, node.bases)
                ):
                    makers.add(node.name)
                self.classes += 1
                self.dataclasses += node.name in makers or any("dataclass" in text for text in decorators)


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """The numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for first, last in _docstrings(tree):
        lines.difference_update(range(first, last + 1))
    return lines


def script_lines(source: str) -> int:
    """How many lines of JavaScript hold code: a comment that begins a line counts up to where it ends."""
    n, in_comment = 0, False
    for line in map(str.strip, source.splitlines()):
        begins = in_comment or line.startswith("/*")
        _, ended, after = line.partition("*/") if begins else ("", "", line)
        in_comment = begins and not ended
        n += bool(after.strip()) and not after.startswith("//")
    return n


def over_budget(rooms: Mapping[str, int]) -> list[str]:
    """Of rooms with their lines those beyond their budget, those without one, and budgets that are no room's."""
    grown = [name for name, lines in rooms.items() if lines > BUDGETS.get(name, lines)]
    lines = [f"{name} has {rooms[name]:,} lines, {BUDGETS[name]:,} at most" for name in grown]
    return lines + [f"{name} is a room or has a budget, not both" for name in sorted(rooms.keys() ^ BUDGETS.keys())]


def rooms_of(packages: Iterable[str]) -> Iterator[Path]:
    """The folders right below each package."""
    for name in packages:
        yield from sorted(path for path in (ROOT / name).iterdir() if (path / "__init__.py").is_file())


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    for node in ast.walk(tree):
        yield from _docstring(node)


def _docstring(node: ast.AST) -> Iterator[tuple[int, int]]:
    """The first and last line of what documents a node, where something does."""
    match node:
        case (
            ast.Module(body=[ast.Expr(value=ast.Constant(value=str())) as first, *_])
            | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str())) as first, *_])
            | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str())) as first, *_])
            | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str())) as first, *_])
        ):
            yield first.lineno, first.end_lineno or first.lineno


def unexplained(source: str, tree: ast.Module) -> Iterator[str]:
    """Functions beyond :data:`LONGEST` or :data:`MOST_PARAMETERS` without a comment right above, as ``line name``."""
    lines = source.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        doc = sum(last - first + 1 for first, last in _docstring(node))
        length = (node.end_lineno or node.lineno) - node.lineno + 1 - doc
        named = {name.arg for name in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        begins = min(line.lineno for line in (node, *node.decorator_list))
        explained = begins > 1 and lines[begins - 2].lstrip().startswith("# ")
        if (length > LONGEST or len(named - {"self", "cls"}) > MOST_PARAMETERS) and not explained:
            yield f"{node.lineno} {node.name}"


def size(folder: Path) -> Size:
    """The counts over all files of Python and JavaScript beneath a folder."""
    counted = Size()
    for path in sorted((*folder.rglob("*.py"), *folder.rglob("*.js"))):
        counted.add(path)
    return counted


@click.command(help=__doc__)
@click.option("--rooms", is_flag=True, help="Each folder of the packages by itself.")
@click.option("--long", "show_long", is_flag=True, help="Large functions that do not say why.")
def main(rooms: bool, show_long: bool) -> None:
    folders = [ROOT / name for name in (*PRODUCT, "tests", "tools", "benchmarks")]
    if rooms:
        folders = list(rooms_of(PRODUCT))
    product, counted = [size(ROOT / name) for name in PRODUCT], [size(folder) for folder in folders]
    rows = [(str(folder.relative_to(ROOT)), [of]) for folder, of in zip(folders, counted, strict=True)]
    columns = ("code", "script", "modules", "classes", "dataclasses")
    print(f"{'room':<32}" + "".join(f"{column:>12}" for column in (*columns, "budget")))
    for name, parts in (*rows, ("product", product)):
        sums = [sum(getattr(part, column) for part in parts) for column in columns]
        budget = BUDGETS.get(name, sum(BUDGETS.values()) if name == "product" else "")
        print(f"{name:<32}" + "".join(f"{number:>12}" for number in (*sums, budget)))
    if show_long:
        print(*(line for counted in product for line in counted.long), sep="\n")


if __name__ == "__main__":
    main()
