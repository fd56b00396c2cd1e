"""The methods in the order of the page: another one is a file beside this and a row here."""

from cipark_sd.commands.sensitivity.methods.base import Method
from cipark_sd.commands.sensitivity.methods.loops import Loops
from cipark_sd.commands.sensitivity.methods.ranges import Ranges
from cipark_sd.commands.sensitivity.methods.sample import Sample, Tornado
from cipark_sd.commands.sensitivity.methods.shapley import Shapley
from cipark_sd.commands.sensitivity.methods.sobol import Sobol

#: Asked for by an option of its own.
LOOPS = Loops()
METHODS: tuple[Method, ...] = (Shapley(), Sobol(), Sample(), Ranges(), Tornado())


def names() -> tuple[str, ...]:
    """Of the methods that ``--method`` takes."""
    return tuple(method.name for method in METHODS)
