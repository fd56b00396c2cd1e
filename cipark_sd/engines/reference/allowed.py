"""What Python text that PySD wrote may consist of; anything else is never imported.

The text holds no words of a model (:mod:`cipark_sd.engines.reference.neutral`). This is the second lock: the syntax
tree of each module is held against lists of what PySD's builder writes, of imports, names, attributes, texts and forms,
so that a label which slipped through, or a builder that writes something new, stops before Python runs it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cipark_sd.engines.reference.neutral import LABEL
from cipark_sd.errors import ModelFileError

_BACKEND = "pysd.py_backend."
#: What a module may import, by module.
_IMPORTS = {
    "pathlib": {"Path"},
    "scipy": {"stats"},
    "pysd": {"Component"},
    f"{_BACKEND}model": {"Macro"},
    f"{_BACKEND}data": {"TabData"},
    f"{_BACKEND}lookups": {"HardcodedLookups"},
    f"{_BACKEND}external": {"ExtConstant", "ExtData", "ExtLookup"},
    f"{_BACKEND}allocation": {"allocate_available", "allocate_by_priority"},
    f"{_BACKEND}statefuls": {
        "Delay",
        "DelayFixed",
        "DelayN",
        "Forecast",
        "Initial",
        "Integ",
        "NonNegativeInteg",
        "SampleIfTrue",
        "Smooth",
        "Trend",
    },
    f"{_BACKEND}functions": {
        "active_initial",
        "get_time_value",
        "if_then_else",
        "incomplete",
        "integer",
        "invert_matrix",
        "modulo",
        "not_implemented_function",
        "prod",
        "pulse",
        "quantum",
        "ramp",
        "step",
        "sum",
        "vector_rank",
        "vector_reorder",
        "vector_select",
        "vector_sort_order",
        "vmax",
        "vmin",
        "xidz",
        "zidz",
    },
}
_MODULES = {"numpy": "np", "xarray": "xr"}
_CONTROL = {"initial_time", "final_time", "time_step", "saveper"}
#: Names that PySD makes itself; all others are labels or come from the imports.
_NAMES = {
    "__data",
    "__file__",
    "__pysd_version__",
    "_control_vars",
    "_init_outer_references",
    "_params",
    "_root",
    "_subscript_dict",
    "bool",
    "component",
    "data",
    "def_subs",
    "except_subs",
    "final_subs",
    "float",
    "key",
    "len",
    "time",
    "value",
    "x",
    *_CONTROL,
}
_ATTRIBUTES = {
    # of component, Path, time and the objects that the backend makes
    *("add", "joinpath", "parent", "stage", *_CONTROL),
    # of xarray
    *("DataArray", "expand_dims", "loc", "ones_like", "rename", "reset_coords", "transpose", "values", "zeros_like"),
    # of NumPy and SciPy
    *("abs", "arange", "arccos", "arcsin", "arctan", "array", "cos", "cosh", "exp", "inf", "interp", "log"),
    *("logical_and", "logical_not", "logical_or", "maximum", "minimum", "nan", "pi", "power", "random", "sin", "sinh"),
    *("sqrt", "tan", "tanh", "normal", "uniform", "truncexpon", "truncnorm", "rvs"),
}
_KEYWORDS = {
    *("name", "limits", "subscripts", "comp_type", "comp_subtype", "depends_on", "other_deps", "dim", "dtype", "loc"),
    *("scale", "size", "drop", "time_initialization", "py_name", "width", "magnitude", "repeat_time", "end"),
}
#: Words of PySD's own in quotes.
_TEXTS = {
    *("scope", "time", "initial", "step", "Time", "__external__", "__lookup__", "__data__", *_CONTROL),
    *(name.upper().replace("_", " ") for name in _CONTROL),
    *("interpolate", "extrapolate", "hold_backward", "raw", "look_forward"),
}
#: Kinds of components; a variable of several pieces has several, with commas between them.
_KINDS = {
    *("Auxiliary", "Constant", "Data", "Lookup", "Stateful", "Normal", "External", "Unchangeable", "Hardcoded"),
    *("with Lookup", "Integ", "Initial", "Delay", "DelayFixed", "Smooth", "Trend", "Forecast", "SampleIfTrue"),
}
_MADE = (
    r"_(?:active_initial|data|delay|delayfixed|delayn|ext_constant|ext_data|ext_lookup|forecast|hardcodedlookup|initial"
    r"|integ|macro|sampleiftrue|smooth|trend)"
)
_NUMBERED = rf"(?:{LABEL}|time_step|initial_time|final_time|saveper)"
#: A label, or what PySD makes of labels: ``v0001``, ``_integ_v0001``, ``_macro_m0001_v0002_1``.
_LABEL = re.compile(rf"{LABEL}|{_MADE}(?:_m\d{{4,}})?_{_NUMBERED}(?:_\d+)?")
#: A label in quotes may be a range in a sum, a range that PySD made a second one of, a macro's file, or a cell's star.
_QUOTED = re.compile(rf"(?:{_LABEL.pattern})\d*[!*]?|m\d{{4,}}\.py")
_VERSION = re.compile(r"3\.14\.\d+")
_DOCUMENTS = re.compile(
    r"\s*(?:Current time of the model\.|Python model '(?:model|m\d{4,})\.py'\s+Translated using PySD)\s*"
)
_FORMS = (
    *(ast.Module, ast.Expr, ast.Assign, ast.FunctionDef, ast.Return, ast.For, ast.Lambda, ast.arguments, ast.arg),
    *(ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.Load, ast.Store),
    *(ast.Dict, ast.List, ast.Tuple, ast.Import, ast.ImportFrom, ast.alias),
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


class ForeignCode(ModelFileError):
    """PySD wrote something that no translation consists of; it was not run."""


def require_allowed(source: str, *, path: Path) -> None:
    """Refuse a module that PySD wrote for the model in ``path`` if it holds anything but what its builder writes.

    Raises
    ------
    ForeignCode
        With the first thing that is not on the lists and its line.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as problem:
        raise ForeignCode(path, f"PySD's translation is not Python ({problem}); nothing of it was run") from None
    imported = set(_NAMES)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name for alias in node.names}
    for construct, line in _foreign(tree, imported):
        raise ForeignCode(
            path,
            f"PySD's translation holds {construct} in line {line}, which no translation consists of; "
            "nothing of it was run",
        )


def _foreign(tree: ast.Module, names: set[str]) -> Iterator[tuple[str, int]]:
    """What is on no list, and where."""
    documents = {id(text) for text in _documents(tree)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case _ if not isinstance(node, _FORMS):
                yield f"the form {type(node).__name__}", line
            case ast.Import(aliases):
                yield from (
                    (f"the import of {a.name}", line) for a in aliases if _MODULES.get(a.name, "") != (a.asname or "?")
                )
            case ast.ImportFrom(module, aliases, level):
                allowed = _IMPORTS.get(module or "", set()) if level == 0 else set()
                yield from (
                    (f"the import of {module}.{a.name}", line) for a in aliases if a.name not in allowed or a.asname
                )
            case ast.Name(name) | ast.FunctionDef(name) | ast.arg(name) if not _known(name, names):
                yield f"the name {name}", line
            case ast.FunctionDef() if not _decorated(node):
                yield f"the decorator of {node.name}", line
            case ast.Attribute(_, name) if name not in _ATTRIBUTES:
                yield f"the attribute {name}", line
            case ast.keyword(name) if name not in _KEYWORDS:
                yield f"the argument {name}", line
            case ast.Expr(value) if id(value) not in documents and not _adds(value):
                yield "a statement of its own", line
            case ast.Call(function) if not isinstance(function, ast.Name | ast.Attribute | ast.Subscript):
                yield "a call of a computed function", line
            case ast.Constant(value) if id(node) not in documents and not _constant(value):
                yield f"the constant {str(value)[:40]!r}", line


def _known(name: str, names: set[str]) -> bool:
    return name in names or bool(_LABEL.fullmatch(name))


def _documents(tree: ast.Module) -> Iterator[ast.Constant]:
    """The two documents that PySD writes itself: the module's and the time's."""
    owners = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.FunctionDef))]
    for body in owners:
        match body:
            case [ast.Expr(ast.Constant(str(text)) as constant), *_] if _DOCUMENTS.fullmatch(text):
                yield constant
            case _:
                pass


def _decorated(function: ast.FunctionDef) -> bool:
    """Whether a function has PySD's one decorator, ``component.add(…)``, or is its one without."""
    if function.name == "_init_outer_references":
        return not function.decorator_list
    match function.decorator_list:
        case [ast.Call(ast.Attribute(ast.Name("component"), "add"))]:
            return True
        case _:
            return False


def _adds(value: ast.expr) -> bool:
    """Whether a statement hands further elements to an object: ``_ext_data_v0001.add(…)``."""
    match value:
        case ast.Call(ast.Attribute(ast.Name(name), "add")):
            return bool(_LABEL.fullmatch(name))
        case _:
            return False


def _constant(value: object) -> bool:
    if isinstance(value, str):
        known = value in _TEXTS or _KINDS.issuperset(value.split(", "))
        return known or bool(_QUOTED.fullmatch(value) or _VERSION.fullmatch(value))
    return value is None or isinstance(value, bool | int | float)
