"""A program's module for wasm32, two runs in a vector.

In place of the C library it has LLVM assembly. ``fmod`` is exact, so every right way gives the same bits.
"""

import math
import threading
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cipark_sd.compiler.program import Program
from cipark_sd.engines.native.elementary import number
from cipark_sd.engines.native.kernel import kernel
from cipark_sd.engines.native.object_code import TUNING, object_code
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


_SIGN, _SIZE, _INFINITE = -(2**63), 2**63 - 1, 0x7FF << 52
_HIDDEN, _FRACTION = 1 << 52, (1 << 52) - 1


def _parts(name: str) -> str:
    """Significand with its first bit in place 52, and exponent, of a number's size; a subnormal one is moved up."""
    return f"""
  %exponent0_{name} = lshr i64 %size_{name}, 52
  %fraction_{name} = and i64 %size_{name}, {_FRACTION}
  %subnormal_{name} = icmp eq i64 %exponent0_{name}, 0
  %zeros_{name} = call i64 @llvm.ctlz.i64(i64 %fraction_{name}, i1 false)
  %room_{name} = sub i64 %zeros_{name}, 11
  %up_{name} = select i1 %subnormal_{name}, i64 %room_{name}, i64 0
  %hidden_{name} = select i1 %subnormal_{name}, i64 0, i64 {_HIDDEN}
  %whole_{name} = or i64 %fraction_{name}, %hidden_{name}
  %significand_{name} = shl i64 %whole_{name}, %up_{name}
  %lower_{name} = sub i64 1, %up_{name}
  %exponent_{name} = select i1 %subnormal_{name}, i64 %lower_{name}, i64 %exponent0_{name}
"""


#: The remainder of a division, with the sign of ``x``: a long division in binary.
FMOD = f"""
define internal double @cipark_fmod(double %x, double %y) noinline nounwind {{
  %bits_x = bitcast double %x to i64
  %bits_y = bitcast double %y to i64
  %sign = and i64 %bits_x, {_SIGN}
  %size_x = and i64 %bits_x, {_SIZE}
  %size_y = and i64 %bits_y, {_SIZE}
  %by_zero = icmp eq i64 %size_y, 0
  %by_nan = icmp ugt i64 %size_y, {_INFINITE}
  %unbounded = icmp uge i64 %size_x, {_INFINITE}
  %no_divisor = or i1 %by_zero, %by_nan
  %undefined = or i1 %no_divisor, %unbounded
  br i1 %undefined, label %nan, label %numbers
numbers:
  %smaller = icmp ult i64 %size_x, %size_y
  br i1 %smaller, label %same, label %divide
divide:{_parts("x")}{_parts("y")}
  br label %digit
digit:
  %left = phi i64 [ %significand_x, %divide ], [ %doubled, %next ]
  %exponent = phi i64 [ %exponent_x, %divide ], [ %less, %next ]
  %difference = sub i64 %left, %significand_y
  %fits = icmp sge i64 %difference, 0
  %rest = select i1 %fits, i64 %difference, i64 %left
  %more = icmp sgt i64 %exponent, %exponent_y
  br i1 %more, label %next, label %last
next:
  %doubled = shl i64 %rest, 1
  %less = sub i64 %exponent, 1
  br label %digit
last:
  %nothing = icmp eq i64 %rest, 0
  br i1 %nothing, label %zero, label %scale
scale:
  %zeros = call i64 @llvm.ctlz.i64(i64 %rest, i1 false)
  %up = sub i64 %zeros, 11
  %significand = shl i64 %rest, %up
  %scaled = sub i64 %exponent_y, %up
  %normal = icmp sgt i64 %scaled, 0
  %fraction = and i64 %significand, {_FRACTION}
  %placed = shl i64 %scaled, 52
  %as_normal = or i64 %fraction, %placed
  %down0 = sub i64 1, %scaled
  %down = select i1 %normal, i64 0, i64 %down0
  %as_subnormal = lshr i64 %significand, %down
  %size = select i1 %normal, i64 %as_normal, i64 %as_subnormal
  %bits = or i64 %size, %sign
  %result = bitcast i64 %bits to double
  ret double %result
zero:
  %signed_zero = bitcast i64 %sign to double
  ret double %signed_zero
same:
  ret double %x
nan:
  ret double {number(math.nan)}
}}
"""


#: By the name of the function of the C library that each stands for.
DEFINITIONS = {"fmod": f"{FMOD}\ndeclare i64 @llvm.ctlz.i64(i64, i1)"}
