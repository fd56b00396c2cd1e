"""Places of states, cells and pipes: each is known at once, and its parts are made later.

What a stock's flow reads may be the stock itself, so a state has to have a node before its rate has one.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from cipark_sd.compiler.graph import Graph

Part = TypeVar("Part")


class Places(Generic[Part]):
    """The states, the cells or the pipes of a program in the making.

    Parameters
    ----------
    graph : Graph
    op : str
        The source node that stands for one of them.
    later : deque of callable
        Where the making of the parts is put off to.
    """

    def __init__(self, graph: Graph, op: str, later: deque[Callable[[], None]]) -> None:
        self._graph = graph
        self._op = op
        self._later = later
        self._positions: dict[object, int] = {}
        self._parts: dict[int, Part] = {}

    def node(self, key: object, make: Callable[[], Part]) -> int:
        """The node of the place of a key; what a new one consists of is made later."""
        if key not in self._positions:
            position = self._positions[key] = len(self._positions)

            def task() -> None:
                self._parts[position] = make()

            self._later.append(task)
        return self.existing(key)

    def existing(self, key: object) -> int:
        """The node of a place that there is."""
        return self._graph.source(self._op, self._positions[key])

    def parts(self) -> tuple[Part, ...]:
        """What has been made, in the order of the places."""
        return tuple(self._parts[position] for position in sorted(self._parts))
