"""The packages as a graph of imports, wherever in a file an import stands, and what their code may not do."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from places import ROOT

from cipark_sd.engines import registry

PACKAGES = ("cipark_sd", "calibration")
Graph = dict[str, set[str]]


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax of every module, by its name."""
    parsed = {}
    for package in PACKAGES:
        # python -m is a door and no room
        for path in sorted(set((ROOT / package).rglob("*.py")) - {ROOT / package / "__main__.py"}):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            parsed[name] = ast.parse(path.read_text(encoding="utf-8"))
    return parsed


def imported(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """The modules that a tree imports at any depth: in functions and for types alone too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in modules)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    # a name of a package is its submodule's where there is one
                    whole = f"{module}.{alias.name}"
                    if whole in modules or module in modules:
                        yield whole if whole in modules else module
            case ast.ImportFrom(level=level) if level:
                raise AssertionError("relative imports are not read here")
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[target, *_]):
                if isinstance(target, ast.Constant):
                    yield from {str(target.value)} & modules


@cache
def graph() -> Graph:
    """For each module those that it imports."""
    modules = set(trees())
    return {name: set(imported(tree, modules)) - {name} for name, tree in trees().items()}


def cycle(imports: Graph) -> list[str]:
    """The modules of one cycle, the first once more at the end; nothing where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        # each is imported by the one after it
        return [str(module) for module in reversed(error.args[1])]
    return []


def test_no_import_closes_a_cycle() -> None:
    """An import in a function, or for types, ties modules as one at the top does."""
    found = cycle(graph())
    assert not found, " imports ".join(found)


def layers(package: str) -> list[list[str]]:
    """The floors of a package's contract, from the top, each with its rooms."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (contract,) = (entry for entry in contracts if entry.get("containers") == [package])
    return [re.findall(r"\w+", floor) for floor in contract["layers"]]


def arrows(imports: Graph, package: str) -> set[tuple[str, str]]:
    """Pairs of rooms of a package of which the first imports the second."""
    pairs = {
        (module.split(".")[1], target.split(".")[1])
        for module, targets in imports.items()
        for target in targets
        if module.startswith(f"{package}.") and target.startswith(f"{package}.")
    }
    return {(room, below) for room, below in pairs if room != below}


def upward(pairs: set[tuple[str, str]], floors: list[list[str]]) -> list[tuple[str, str]]:
    """The arrows that do not lead to a lower floor."""
    depth = {room: n for n, rooms in enumerate(floors) for room in rooms}
    return sorted((room, below) for room, below in pairs if depth[room] >= depth[below])


PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")


@cache
def counted(package: str) -> dict[str, int]:
    """What the page's table of the graph says, by the beginnings of its rows."""
    pairs, floors = arrows(graph(), package), layers(package)
    inside = {module for module in trees() if module.partition(".")[0] == package}
    return {
        "rooms": len({module.split(".")[1] for module in inside - {package}}),
        "floors": len(floors),
        "arrows from": len(pairs),
        "arrows that": len(upward(pairs, floors)),
        "modules": len(inside),
        "imports": sum(len(graph()[module] & inside) for module in inside),
        "cycles": int(bool(cycle(graph()))),
    }


def off(page: str) -> list[str]:
    """Rows of the page whose numbers are not near those of the graph: a module more is no news, an arrow up is."""
    counts = [counted(package) for package in PACKAGES]
    faults = []
    for name in counts[0]:
        match = re.search(rf"^\| {name}[^|]* \| (\d+) \| (\d+) \|$", page, flags=re.MULTILINE)
        numbers = map(int, match.groups()) if match else (-1, -1)
        for number, of in zip(numbers, counts, strict=True):
            if abs(number - of[name]) > 0.05 * of[name]:
                faults.append(f"{name}: {number} on the page, {of[name]} counted")
    return faults


def test_the_figures_of_the_page_are_near_those_of_the_graph() -> None:
    assert off(PAGE) == []
    for row in ("rooms", "floors", "arrows from", "arrows that", "modules", "imports", "cycles"):
        planted = re.sub(rf"^(\| {row}[^|]* \| )(\d+)", r"\g<1>1\2", PAGE, flags=re.MULTILINE)
        assert [fault.partition(":")[0] for fault in off(planted)] == [row]


def listed(page: str) -> dict[str, list[list[str]]]:
    """The rooms of each package as the page's list has them: floor after floor, from the top."""
    head, *lines = re.findall(r"```\n(.*?)```", page, flags=re.DOTALL)[0].splitlines()
    middle = head.index(PACKAGES[1])
    # a text of the left that is long reaches into the right
    texts = lines, [line[middle:] for line in lines if line[middle:].startswith("  ")]
    cells = [[re.split(r" {2,}", text.strip())[0] for text in column] for column in texts]
    rows = ([floor.split(", ") for cell in column for floor in cell.split("; ")] for column in cells)
    return dict(zip(PACKAGES, rows, strict=True))


def misplaced(page: str) -> list[str]:
    """Rooms that are in the page's lists or the contracts alone, or that do not stand in the contracts' order."""
    faults = []
    for package, rows in listed(page).items():
        depth = {room: n for n, rooms in enumerate(layers(package)) for room in rooms}
        rooms = [room for row in rows for room in row]
        faults += sorted(set(rooms) ^ set(depth)) + [room for room in set(rooms) if rooms.count(room) > 1]
        floors = [sorted(depth[room] for room in row if room in depth) or [-1] for row in rows]
        faults += [", ".join(row) for row, floor in zip(rows, floors, strict=True) if floor[0] < floor[-1]]
        faults += [
            below[0] for (upper, lower), below in zip(pairwise(floors), rows[1:], strict=True) if upper[-1] > lower[0]
        ]
    return faults


def test_the_lists_of_the_page_hold_the_rooms_of_the_contracts_in_their_order() -> None:
    assert misplaced(PAGE) == []
    for before, after, fault in (
        ("  pages ", "  wages ", "wages"),
        ("  commands       one each; the ", "  base; commands ", "base"),
        ("  data ", "  dates ", "dates"),
        ("  model ", "  zoo ", "zoo"),
    ):
        assert before in PAGE
        assert fault in misplaced(PAGE.replace(before, after))


def test_an_arrow_that_points_up_is_seen() -> None:
    imports = {
        "calibration.study.rows": {"calibration.inference.profile.profile"},
        "calibration.inference.profile.walk": {"calibration.study.rows"},
    }
    assert upward(arrows(imports, "calibration"), [["inference"], ["study"]]) == [("study", "inference")]


def test_a_cycle_is_found_and_named() -> None:
    text = "def f():\n    from cipark_sd.b import g\n"
    back = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cipark_sd import a\n"
    modules = {"cipark_sd", "cipark_sd.a", "cipark_sd.b"}
    imports = {
        "cipark_sd.a": set(imported(ast.parse(text), modules)),
        "cipark_sd.b": set(imported(ast.parse(back), modules)),
    }
    found = cycle(imports)
    assert found[0] == found[-1]
    assert set(found) == {"cipark_sd.a", "cipark_sd.b"}
    assert all(target in imports[module] for module, target in pairwise(found))


#: Modules that load others by a name of a table: the packages' faces, the engines, the commands, optional libraries.
TABLES = {"cipark_sd", "calibration", "cipark_sd.engines.registry", "cipark_sd.commands.cli", "cipark_sd.base.library"}


def unnamed(tree: ast.AST) -> list[int]:
    """Lines that import a module whose name is made when they run."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    loading = (call for call in calls if "import_module" in ast.unparse(call.func))
    return [call.lineno for call in loading if not isinstance(call.args[0], ast.Constant)]


def test_a_module_that_is_loaded_by_its_name_counts_as_an_import() -> None:
    found = {module for module, tree in trees().items() if unnamed(tree)}
    assert found == TABLES
    planted = ast.parse('importlib.import_module("cipark_sd.a")\nimport_module(f"cipark_sd.{name}")\n')
    assert list(imported(planted, {"cipark_sd.a"})) == ["cipark_sd.a"]
    assert unnamed(planted) == [2]


def compared_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines on which a value is compared with, looked up among, or matched against the name of an engine."""
    names = set(registry.names())
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                sides += side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
        if isinstance(node, ast.MatchValue):
            sides = [node.value]
        for side in sides:
            if isinstance(side, ast.Constant) and side.value in names:
                yield node.lineno, str(side.value)


def test_no_code_asks_for_an_engine_by_its_name() -> None:
    """What an engine can do is said by the engine."""
    found = [f"{module}:{line} {name}" for module, tree in trees().items() for line, name in compared_names(tree)]
    assert found == []
    planted = 'x = engine == "pysd"\ny = engine in ("native", "numpy")\n'
    assert list(compared_names(ast.parse(planted))) == [(1, "pysd"), (2, "native"), (2, "numpy")]


@pytest.mark.parametrize("name", registry.names())
def test_the_registry_says_of_an_engine_what_the_engine_says(name: str) -> None:
    engine, row = registry.choose(name), registry.ENGINES[name]
    assert (engine.name, engine.compiled) == (name, row.compiled)
    assert engine.foreign == (name == registry.REFERENCE)
