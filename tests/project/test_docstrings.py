"""What a function of several arguments takes and gives stands in its docstring, by name."""

import ast
import re
from collections.abc import Iterator

from places import ROOT

SECTION = r"^{}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)"


def arguments(function: ast.FunctionDef) -> list[str]:
    """Those that have names; what stands behind a star has none."""
    return [name.arg for name in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]


def lacking(function: ast.FunctionDef) -> list[str]:
    """Arguments that ``Parameters`` does not name, and ``Returns`` where something is returned and not described."""
    text = ast.get_docstring(function) or ""
    section = re.search(SECTION.format("Parameters"), text, flags=re.MULTILINE | re.DOTALL)
    heads = [line.partition(" :")[0] for line in (section[1] if section else "").splitlines() if not line[:1].isspace()]
    named = set(re.findall(r"\w+", " ".join(heads)))
    faults = [name for name in arguments(function) if name not in named]
    nothing = function.returns is None or ast.unparse(function.returns) in ("None", "NoReturn")
    if not nothing and not re.search(SECTION.format("(?:Returns|Yields)"), text, flags=re.MULTILINE | re.DOTALL):
        faults.append("Returns")
    return faults


def public() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of two arguments or more that other modules use; a command's are described by its options."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for top in ("cipark_sd", "calibration")
        for path in sorted((ROOT / top).rglob("*.py"))
    }
    words = {path: set(re.findall(r"\w+", text)) for path, text in texts.items()}
    for path, text in texts.items():
        for node in ast.parse(text).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or len(arguments(node)) < 2:
                continue
            if any("command" in ast.unparse(decorator) for decorator in node.decorator_list):
                continue
            if any(node.name in others for other, others in words.items() if other != path):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def test_functions_that_others_call_say_what_they_take_and_give() -> None:
    faults = {name: lacks for name, function in public() if (lacks := lacking(function))}
    assert faults == {}


def test_what_a_docstring_lacks_is_seen() -> None:
    text = 'def mean(values: Array, axis: int, *, weights: Array) -> Array:\n    """Mean.\n\n    {}\n    """\n'
    whole = (
        "Parameters\n    ----------\n    values, weights : (n, k)\n    axis : int\n\n    Returns\n    -------\n    (n,)"
    )

    def faults(doc: str) -> list[str]:
        function = ast.parse(text.format(doc)).body[0]
        assert isinstance(function, ast.FunctionDef)
        return lacking(function)

    assert faults(whole) == []
    assert faults(whole.replace("    axis : int\n", "")) == ["axis"]
    assert faults(whole.replace("values, weights", "values")) == ["weights"]
    assert faults(whole.replace("Returns", "Raises")) == ["Returns"]
    assert faults("") == ["values", "axis", "weights", "Returns"]
