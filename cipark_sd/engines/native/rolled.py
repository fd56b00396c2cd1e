"""Operations that repeat with other places: a loop over tables instead of text for each element of an array.

The operations of a program fall into blocks: an operation belongs to the block of all that use it, and begins a block
of its own where these differ. A block leaves one value for others. Blocks of one shape that do not wait for each other
become one loop; what they read and write stands in tables of places. Neither changes what an operation gives.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.elementary import Register
from cipark_sd.engines.native.ir import ON_DEMAND, Body, arguments_of, is_source

#: Blocks of one shape from which on a loop takes less than their text.
FEWEST = 3
#: What is read from elsewhere, by where it is: a number of the program, and places in parameters and workspace.
_NUMBER, _PARAMETERS, _WORKSPACE = "", "%p", "%ws"
_MEMORY = {**dict.fromkeys(ON_DEMAND), "const": _NUMBER, "param": _PARAMETERS, "state": _WORKSPACE, "cell": _WORKSPACE}
Shape = tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Block:
    """Operations, in order, of which others read the last alone; what they read from elsewhere; and their shape."""

    nodes: tuple[int, ...]
    read: tuple[int, ...]
    shape: Shape


def blocks(program: Program, nodes: Sequence[int], heads: Container[int], most: int) -> list[Block]:
    """The blocks of operations that are computed together, each of at most ``most``.

    Parameters
    ----------
    nodes : sequence of int
        In order.
    heads : container of int
        Those that something outside of ``nodes`` reads.
    most : int
        Operations of a block.

    Returns
    -------
    list of Block
        In the order of their last operations.
    """
    several = -1
    user: dict[int, int] = {}
    inside = set(nodes)
    members: dict[int, list[int]] = {}
    for node in reversed(nodes):
        head = user.get(node, several)
        if head == several or node in heads or len(members[head]) >= most:
            head = node
        members.setdefault(head, []).append(node)
        for argument in arguments_of(program, node):
            if argument in inside:
                user[argument] = head if user.get(argument, head) == head else several
    return [_block(program, tuple(reversed(members[head]))) for head in reversed(members)]


def in_turns(parts: Sequence[Block]) -> list[list[list[Block]]]:
    """Blocks by turns: those of a turn need none of each other; in each, those of one shape together."""
    turn: dict[int, int] = {}
    turns: list[dict[Shape, list[Block]]] = []
    for block in parts:
        at = max((turn[node] + 1 for node in block.read if node in turn), default=0)
        turn[block.nodes[-1]] = at
        while len(turns) <= at:
            turns.append({})
        turns[at].setdefault(block.shape, []).append(block)
    return [list(shapes.values()) for shapes in turns]


def memory_of(program: Program, node: int) -> str | None:
    """Where a value lies that another function left or that the run is given; None where it is made in other ways.

    Returns
    -------
    str or None
        A pointer of the kernel's arguments, empty for a number; None where the value is made in other ways.
    """
    return _MEMORY.get(program.nodes[node].op, _WORKSPACE)


def _block(program: Program, nodes: tuple[int, ...]) -> Block:
    place = {node: i for i, node in enumerate(nodes)}
    read: dict[int, int] = {}

    def code(node: int) -> tuple[object, ...]:
        if node in place:
            return (place[node],)
        memory, number = memory_of(program, node), read.setdefault(node, len(read))
        if memory is None:
            entry = program.nodes[node]
            return number, entry.op, entry.payload
        return number, memory

    shape = []
    for node in nodes:
        entry = program.nodes[node]
        pipe = _pipe(program, node)
        payload = entry.payload if pipe is None else program.pipes[pipe].conveys
        shape.append((entry.op, payload, *(code(argument) for argument in arguments_of(program, node))))
    return Block(nodes, tuple(read), tuple(shape))


def _pipe(program: Program, node: int) -> int | None:
    """The pipe whose memory a node reads."""
    entry = program.nodes[node]
    return entry.payload if entry.op in ("pipe", "past") and isinstance(entry.payload, int) else None


def compute(body: Body, group: Sequence[Block]) -> None:
    """A loop over blocks of one shape that need none of each other; each leaves its value in the workspace.

    Parameters
    ----------
    group : sequence of Block
        Of one shape, none of which reads another.
    """
    first = group[0]
    with _Loop(body, len(group)) as loop:
        for i, node in enumerate(first.read):
            body.values[node] = loop.value([block.read[i] for block in group])
        for i, node in enumerate(first.nodes):
            if (slot := _pipe(body.program, node)) is not None:
                pipes = [_pipe(body.program, block.nodes[i]) for block in group]
                body.rings[slot] = loop.place([pipe for pipe in pipes if pipe is not None], 2)
            body.compute(node)
        head = body.use(first.nodes[-1])
        body.store(head, "%ws", loop.place([body.slots.node(block.nodes[-1]) for block in group]))


def copy(body: Body, nodes: Sequence[int], pointer: str, places: Sequence[int]) -> None:
    """A loop that stores values of one memory at places of their own.

    Parameters
    ----------
    nodes : sequence of int
        All in one memory.
    pointer : str
        Where they go.
    places : sequence of int
        One for each node, in vectors.
    """
    with _Loop(body, len(nodes)) as loop:
        body.store(loop.value(nodes), pointer, loop.place(places))


class _Loop:
    """A loop in a function's text that counts the elements; the function has nothing else."""

    def __init__(self, body: Body, n: int) -> None:
        self.body, self.n = body, n

    def __enter__(self) -> "_Loop":
        self.body.lines += ["entry:", "  br label %next", "next:", "  %k = phi i64 [ 0, %entry ], [ %k1, %next ]"]
        return self

    def __exit__(self, *_: object) -> None:
        self.body.lines += [
            "  %k1 = add i64 %k, 1",
            f"  %more = icmp slt i64 %k1, {self.n}",
            "  br i1 %more, label %next, label %done",
            "done:",
        ]

    def value(self, nodes: Sequence[int]) -> Register:
        """The value of the element's node; all are in one memory, or are one node."""
        body, program = self.body, self.body.program
        if len(set(nodes)) == 1:
            return body.use(nodes[0])
        memory = memory_of(program, nodes[0])
        if memory == _NUMBER:
            numbers = [program.nodes[node].payload for node in nodes]
            array = body.slots.array([number for number in numbers if isinstance(number, float)])
            return body.spread(body.scalar(array, "%k"))
        assert memory is not None
        return body.load(memory, self.place([self._slot(node) for node in nodes]))

    def _slot(self, node: int) -> int:
        entry, slots = self.body.program.nodes[node], self.body.slots
        if not is_source(self.body.program, node):
            return slots.node(node)
        assert isinstance(entry.payload, int)
        return entry.payload + {"param": 0, "state": slots.states, "cell": slots.cells}[entry.op]

    def place(self, slots: Sequence[int], width: int = 0) -> str:
        """The element's place, of places in vectors or in units of ``width``: computed where they are evenly apart."""
        body, width = self.body, width or self.body.lanes
        apart = slots[1] - slots[0]
        if all(b - a == apart for a, b in pairwise(slots)):
            along = body.emit(f"mul i64 %k, {apart * width}")
            return body.emit(f"add i64 {along}, {slots[0] * width}")
        table = body.slots.table([slot * width for slot in slots])
        return body.emit(f"load i64, ptr {body.emit(f'getelementptr i64, ptr {table}, i64 %k')}, align 8")
