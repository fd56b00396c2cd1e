"""Object code of a kernel for any target of LLVM, kept on disk."""

import hashlib
from typing import Any

from cipark_sd.cache import cached, keep
from cipark_sd.engines.native.kernel import Kernel

#: What LLVM's passes are told beside the level of optimisation; lanes are vectors already.
TUNING = {"loop_vectorization": False, "slp_vectorization": False}


def object_code(made: Kernel, machine: Any, identity: str) -> bytes:
    """The object code of a kernel for a target machine, from disk or compiled now.

    Parameters
    ----------
    machine : llvmlite.binding.TargetMachine
    identity : str
        What tells this machine and version of LLVM from others.
    """
    key = object_key(made, identity)
    code = cached("kernels", key)
    if code is None:
        code = _compiled(made, machine)
        keep("kernels", key, code)
    return code


def object_key(made: Kernel, identity: str) -> str:
    """The digest of all that decides what object code comes out: the assembly itself, how it is optimised, and where.

    Emitting the text costs some 2 microseconds an operation, which is what it takes never to trust a version number.
    """
    return hashlib.sha256(f"{identity} {made.short}\n{made.text}".encode()).hexdigest()


def _compiled(made: Kernel, machine: Any) -> bytes:
    from llvmlite import binding as llvm

    module = llvm.parse_assembly(made.text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2 if made.short else 1)
    for name, value in TUNING.items():
        setattr(options, name, value)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))
