"""A program's module for wasm32, two runs in a vector."""

import threading
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.native.object_code import TUNING, object_code
from cipark_sd.engines.wasm.library import DEFINITIONS
from cipark_sd.engines.wasm.linking import linked

#: WebAssembly's vectors have 128 bits.
LANES = 2
TRIPLE = "wasm32-unknown-unknown"
#: Vectors are in every browser since 2023.
FEATURES = "+simd128"
_LOCK = threading.Lock()
_COMPILED: dict[tuple[str, bool], "Compiled"] = {}


@dataclass(frozen=True)
class Compiled:
    """A module that exports ``run`` and ``memory``, the vectors of workspace that a block of runs needs, and the
    address from which on its memory is free.
    """

    module: bytes
    workspace: int
    free: int


def compiled(program: Program, *, skips: bool = False) -> Compiled:
    """The module of a program, made once; with ``skips`` no time goes into powers of 1 and 0."""
    key = (program.digest, skips)
    with _LOCK:
        if key not in _COMPILED:
            machine, identity = _machine()
            made = kernel(program, LANES, DEFINITIONS, skips=skips)
            # a page runs its module many times: some optimisation always pays
            made = replace(made, effort=max(made.effort, 1))
            module, free = linked(object_code(made, machine, identity))
            _COMPILED[key] = Compiled(module, made.workspace, free)
        return _COMPILED[key]


@cache
def _machine() -> tuple[Any, str]:
    import llvmlite
    from llvmlite import binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu="generic", features=FEATURES, opt=2)
    return machine, f"{llvmlite.__version__} {llvm.llvm_version_info} {TRIPLE} {FEATURES} {TUNING}"
