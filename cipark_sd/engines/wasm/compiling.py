"""A program's module for wasm32, two runs in a vector, or the reason why there is none."""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

from cipark_sd.compiler.primitives import LIBRARY
from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.native.object_code import TUNING, object_code
from cipark_sd.engines.wasm.library import DEFINITIONS
from cipark_sd.engines.wasm.linking import linked
from cipark_sd.errors import UnsupportedFeature, raise_all

#: WebAssembly's vectors have 128 bits.
LANES = 2
TRIPLE = "wasm32-unknown-unknown"
#: Vectors are in every browser since 2023.
FEATURES = "+simd128"
_LOCK = threading.Lock()
_COMPILED: dict[str, "Compiled"] = {}


@dataclass(frozen=True)
class Compiled:
    """A module that exports ``run`` and ``memory``, and the vectors of workspace that a block of runs needs."""

    module: bytes
    workspace: int


def compiled(program: Program) -> Compiled:
    """The module of a program, made once.

    Raises
    ------
    UnsupportedFeature, Problems
        For a function that a model takes from the C library, which a module does not have.
    """
    _check_library(program)
    with _LOCK:
        if program.digest not in _COMPILED:
            machine, identity = _machine()
            made = kernel(program, LANES, DEFINITIONS, arrays=False)
            _COMPILED[program.digest] = Compiled(linked(object_code(made, machine, identity)), made.workspace)
        return _COMPILED[program.digest]


@cache
def _machine() -> tuple[Any, str]:
    import llvmlite
    from llvmlite import binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu="generic", features=FEATURES, opt=2)
    return machine, f"{llvmlite.__version__} {llvm.llvm_version_info} {TRIPLE} {FEATURES} {TUNING}"


def _check_library(program: Program) -> None:
    """Raise for each function of the C library: another machine's has other last bits."""
    first: dict[str, int] = {}
    for position, node in enumerate(program.nodes):
        if node.op in LIBRARY and node.op not in DEFINITIONS:
            first.setdefault(node.op, position)
    raise_all(
        f"{program.name} as WebAssembly",
        [beyond(program, f"the function {name}, which it takes from the C library", at) for name, at in first.items()],
    )


def beyond(program: Program, feature: str, node: int) -> UnsupportedFeature:
    """What a module cannot do, under the name of a variable that needs it."""
    return UnsupportedFeature(
        feature,
        variable=_variable(program, node),
        where=f"{program.name} as WebAssembly",
        alternative="write it with EXP, LN, SIN, COS and powers, or run the model with the native engine",
    )


def _variable(program: Program, node: int) -> str:
    """The first variable, or what it moves, whose value the node is or goes into."""
    reached = {node}
    for position in range(node + 1, len(program.nodes)):
        if not reached.isdisjoint(program.nodes[position].args):
            reached.add(position)
    named = [(position, label) for label, position in program.labels]
    named += [(place, state.label) for state in program.states for place in (state.initial, state.rate)]
    named += [(place, cell.label) for cell in program.cells for place in (cell.initial, cell.following)]
    named += [(place, pipe.label) for pipe in program.pipes for place in (pipe.initial, pipe.entering, pipe.length)]
    return min(((position, label) for position, label in named if position in reached), default=(0, program.name))[1]
