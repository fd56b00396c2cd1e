"""An entry of a docstring says more than the type that the annotation has; what is exported is described whole."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest
from places import ROOT

SECTION = r"^{}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)"
#: Words of types, which say nothing beside an annotation; names of classes begin with a capital.
TYPE_WORDS = """
    int str float bool bytes object any optional function callable mapping sequence list tuple iterable iterator dict
    set frozenset collection array of or to and path number type xarray pandas generator floats
"""
TYPES = frozenset(TYPE_WORDS.split())


def entries(text: str, section: str) -> Iterator[tuple[str, str]]:
    """The heads of a section's entries, each with the text below it."""
    match = re.search(SECTION.format(section), text, flags=re.MULTILINE | re.DOTALL)
    for entry in re.split(r"\n(?=\S)", match[1].strip("\n")) if match else ():
        head, _, below = entry.partition("\n")
        yield head, below.strip()


def bare(text: str) -> list[str]:
    """Entries of a docstring that say a type alone: no text, no shape, no unit, no words to choose from."""
    heads = []
    for section in ("Parameters", "Returns", "Yields", "Attributes"):
        for head, below in entries(text, section):
            kind = head.partition(" : ")[2] or head
            words = re.findall(r"[\w.]+", kind)
            plain = all(word in TYPES or word[0].isupper() or "." in word for word in words)
            if not below and plain and not re.search(r"""[(\[{"'=<>]""", kind):
                heads.append(f"{section}: {head}")
    return heads


def documented() -> Iterator[tuple[str, str]]:
    """Every docstring of the packages, with its place."""
    for top in ("cipark_sd", "calibration"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield f"{path.relative_to(ROOT)}:{node.name}", ast.get_docstring(node) or ""


def test_no_entry_says_a_type_alone() -> None:
    assert {place: heads for place, text in documented() if (heads := bare(text))} == {}


def lacking(made: object) -> list[str]:
    """Arguments of what is exported that ``Parameters`` does not name, and ``Returns`` where something comes back."""
    # what a class has from another one stands there
    owners = inspect.getmro(made) if inspect.isclass(made) else (made,)
    texts = [inspect.getdoc(owner) or "" for owner in owners]
    heads = (head.partition(" :")[0] for text in texts for head, _ in entries(text, "Parameters"))
    named = set(re.findall(r"\w+", " ".join(heads)))
    signature = inspect.signature(made)  # type: ignore[arg-type]
    faults = [name for name in signature.parameters if name not in named]
    if not inspect.isclass(made) and signature.return_annotation not in (None, "None"):
        faults += [] if [*entries(texts[0], "Returns")] or [*entries(texts[0], "Yields")] else ["Returns"]
    return faults


#: Functions of commands are described by their options, and errors by their classes.
OF_OPTIONS = {"calibrate", "certify", "check", "convert", "diff", "new_study", "play", "policy", "report", "show"}
EXPORTED = [
    (package, name)
    for package in ("cipark_sd", "calibration")
    for name in importlib.import_module(package).__all__
    if name not in OF_OPTIONS | {"CiparkError"}
]


@pytest.mark.parametrize(("package", "name"), EXPORTED)
def test_what_is_exported_is_described_whole(package: str, name: str) -> None:
    assert lacking(getattr(importlib.import_module(package), name)) == []


def test_what_a_docstring_lacks_is_seen() -> None:
    takes = "Parameters\n----------\nvalues, weights : (n, k)\naxis : int\n    Of the mean."
    whole = f"Mean.\n\n{takes}\n\nReturns\n-------\n(n,)"

    def mean(values: object, axis: int, *, weights: object) -> object:
        return values, axis, weights

    def faults(text: str) -> list[str]:
        mean.__doc__ = text
        return lacking(mean)

    assert faults(whole) == []
    assert faults(whole.replace("axis : int\n    Of the mean.\n", "")) == ["axis"]
    assert faults(whole.replace("values, weights", "values")) == ["weights"]
    assert faults(whole.replace("Returns", "Raises")) == ["Returns"]
    assert faults("") == ["values", "axis", "weights", "Returns"]
    assert bare(whole) == []
    assert bare(whole.replace("    Of the mean.\n", "")) == ["Parameters: axis : int"]
    assert bare(whole.replace("(n,)", "Array")) == ["Returns: Array"]
