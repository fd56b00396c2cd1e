"""The size of the house: lines with code by room, modules, classes, long functions and long signatures.

A line counts when it holds a token of code: docstrings, comments and blank lines do not.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
PRODUCT = ("cipark_sd", "calibration")
#: A function of more lines without its docstring, or with more parameters beside ``self``, says why in a comment above.
LONGEST, MOST_PARAMETERS = 80, 7
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass
class Size:
    """Counts over some files."""

    code: int = 0
    modules: int = 0
    classes: int = 0
    dataclasses: int = 0
    long: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Count one file in."""
        source = path.read_text(encoding="utf-8")
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
    """The counts over all Python files beneath a folder."""
    counted = Size()
    for path in sorted(folder.rglob("*.py")):
        counted.add(path)
    return counted


@click.command(help=__doc__)
@click.option("--rooms", is_flag=True, help="Each folder of the packages by itself.")
@click.option("--long", "show_long", is_flag=True, help="Large functions that do not say why.")
def main(rooms: bool, show_long: bool) -> None:
    folders = [ROOT / name for name in (*PRODUCT, "tests", "tools", "benchmarks")]
    if rooms:
        folders = [path for name in PRODUCT for path in sorted((ROOT / name).iterdir()) if path.is_dir()]
    print(f"{'room':<32}{'code':>8}{'modules':>9}{'classes':>9}{'dataclasses':>13}")
    for folder in folders:
        if (counted := size(folder)).modules:
            name = str(folder.relative_to(ROOT))
            print(f"{name:<32}{counted.code:>8,}{counted.modules:>9}{counted.classes:>9}{counted.dataclasses:>13}")
    product = [size(ROOT / name) for name in PRODUCT]
    print(
        f"{'product':<32}{sum(p.code for p in product):>8,}{sum(p.modules for p in product):>9}"
        f"{sum(p.classes for p in product):>9}{sum(p.dataclasses for p in product):>13}"
    )
    if show_long:
        print(*(line for counted in product for line in counted.long), sep="\n")


if __name__ == "__main__":
    main()
