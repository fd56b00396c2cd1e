"""Messages of a model file with the line of the variable that they are about."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from cipark_sd.errors import AlgebraicLoop, CiparkError, Problems
from cipark_sd.model.model import Model

#: The variable that a message names first, in quotes as Python writes a text, and before it what it says of it.
_NAMED = re.compile(
    r"""(?:, |: )(?:the equation of |the subscript range )?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")"""
)


def placed(problem: CiparkError, names: Sequence[str], lines: Mapping[str, int]) -> CiparkError:
    """A problem whose message begins with the name of a file or model, with the line of the variable it names.

    Parameters
    ----------
    names : sequence of str
        The file's name, which is put first, and other names that messages begin with.
    lines : mapping
        Where each variable begins, by its name as it is written.
    """
    if isinstance(problem, Problems):
        where = names[0] if problem.where in names else problem.where
        return Problems(where, [placed(part, names, lines) for part in problem.problems])
    for name in names:
        match = _NAMED.match(problem.message, len(name)) if problem.message.startswith(name) else None
        label = problem.loop[0] if isinstance(problem, AlgebraicLoop) else match and (match[1] or match[2])
        line = lines.get(_written(label or ""))
        if line is not None and problem.message.startswith(name):
            return problem.saying(f"{names[0]}:{line}{problem.message[len(name) :]}")
    return problem


def _written(label: str) -> str:
    """A variable's name in a message, without the element that it may say."""
    return label.replace("\\'", "'").partition("[")[0]


@contextmanager
def lines_of(model: Model) -> Iterator[None]:
    """Problems of a model that come up after it was read, with the line in its file."""
    try:
        yield
    except CiparkError as problem:
        origin = model.origin
        if origin is None or not origin.lines:
            raise
        better = placed(problem, (origin.path.name, model.name), origin.lines)
        if better is problem:
            raise
        raise better from None
