"""Object code of a kernel for any target of LLVM, kept on disk."""

import hashlib
from typing import Any

from cipark_sd.cache import cached, keep
from cipark_sd.engines.native.kernel import Kernel

#: What LLVM's passes are told beside the level of optimisation; lanes are vectors already.
TUNING = {"loop_vectorization": False, "slp_vectorization": False}


def object_code(made: Kernel, machine: Any, identity: str) -> bytes:
    """The object code of a kernel for a target machine, from disk or compiled now.

    The same bits come out of a run whatever the effort: no pass may change what an operation on doubles gives.

    Parameters
    ----------
    machine : llvmlite.binding.TargetMachine
        Its own level of optimisation is that of the choice of instructions; the passes follow the kernel's effort.
    identity : str
        What tells this machine, its level and the version of LLVM from others.
    """
    key = object_key(made, identity)
    code = cached("kernels", key)
    if code is None:
        code = compiled(made, machine)
        keep("kernels", key, code)
    return code


def object_key(made: Kernel, identity: str) -> str:
    """The digest of all that decides what object code comes out: the assembly itself, how it is optimised, and where.

    Emitting the text costs some 2 microseconds an operation, which is what it takes never to trust a version number.
    """
    return hashlib.sha256(f"{identity} {made.effort}\n{made.text}".encode()).hexdigest()


def compiled(made: Kernel, machine: Any) -> bytes:
    """The object code of a kernel, compiled now."""
    from llvmlite import binding as llvm

    module = llvm.parse_assembly(made.text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    if made.effort:
        options = llvm.create_pipeline_tuning_options(speed_level=made.effort)
        for name, value in TUNING.items():
            setattr(options, name, value)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))
