"""``cipark convert``: a model in another format."""

from dataclasses import dataclass
from pathlib import Path

from cipark_sd.base.errors import ModelFileError
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.model.model import Model

#: Endings of what can be written.
_VENSIM = (".mdl",)
_XMILE = (".xmile", ".xml", ".stmx")
_WASM = (".wasm",)


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    file: Path | Model = argument(shell_complete=completing.models, type=options.MODEL)
    output: Path = option("-o", "--output", required=True, type=options.PATH, help="FILE.xmile, FILE.mdl or FILE.wasm.")
    flat: bool = option("--flat", is_flag=True, help="Expand subscripts: Residents[SOE] becomes Residents SOE.")
    inline_lookups: bool = option(
        "--inline-lookups",
        is_flag=True,
        help="XMILE only: write a table at each use of a lookup, for tools that cannot read named tables.",
    )


@command_of(Request, short_help="Write a model in another format.")
def command(request: Request) -> Result:
    """Read FILE (Vensim .mdl or XMILE) and write it as OUTPUT, in the other language or as WebAssembly.

    Names, units, documentation, ranges, sectors and equations are kept, and the diagram from Vensim to XMILE;
    macros and values in other files are written into the equations. What the other language cannot say is an error
    that names every such equation.

    A .wasm file runs in browsers, node and other hosts without this package, to the same bits: its constants can be
    set, and it gives every variable that changes. docs/reference/webassembly.md describes it.

    \b
    Examples:
      cipark convert models/cipark.mdl -o cipark.xmile
      cipark convert my.xmile -o my.mdl
      cipark convert my.mdl -o my_flat.mdl --flat
      cipark convert my.mdl -o my.wasm
    """
    from cipark_sd.language.write.apart import flat_model

    file, output, flat = request.path, request.output, request.flat
    _check_output(file, output, flat, request.inline_lookups)
    model = request.model()
    if output.suffix.lower() in _WASM:
        sizes = _write_wasm(model, output)
        line = f"{output}: {sizes['constants']} constants, {sizes['outputs']} outputs at {sizes['times']} times"
        return Result({"output": output, **sizes}, printed=[line])
    if flat:
        model, _ = flat_model(model)
    _write(model, output, request.inline_lookups)
    n = len(model.variables)
    return Result({"output": output, "variables": n}, printed=[f"{output}: {n} variables"])


def _check_output(file: Path, output: Path, flat: bool, inline_lookups: bool) -> None:
    from cipark_sd.base.files import remove_abandoned

    suffix, known = output.suffix.lower(), (*_VENSIM, *_XMILE, *_WASM)
    if suffix not in known:
        raise ModelFileError(output, f"has no ending that says its format (known: {', '.join(known)})")
    if inline_lookups and suffix in _VENSIM:
        raise ModelFileError(output, "is a Vensim file; --inline-lookups is for XMILE")
    if suffix in _WASM and (flat or inline_lookups):
        raise ModelFileError(output, "is a WebAssembly file; --flat and --inline-lookups are for Vensim and XMILE")
    if output.is_dir():
        raise ModelFileError(output, "is a folder")
    if output.exists() and file.exists() and output.samefile(file):
        raise ModelFileError(output, "is the input itself; give another name")
    if not output.parent.is_dir():
        raise ModelFileError(output, f"cannot be written: the folder {output.parent} does not exist")
    remove_abandoned(output.parent)


def _write_wasm(model: Model, output: Path) -> dict[str, int]:
    from cipark_sd.base.files import write_bytes
    from cipark_sd.engines.wasm.carried import carried

    made = carried(model)
    write_bytes(output, made.module)
    return {"constants": len(made.constants), "outputs": len(made.plan.outputs), "times": len(made.plan.times)}


def _write(model: Model, output: Path, inline_lookups: bool) -> None:
    from cipark_sd.language.write.mdl import write_mdl
    from cipark_sd.language.write.xmile import write_xmile

    if output.suffix.lower() in _VENSIM:
        write_mdl(model, output)
    else:
        write_xmile(model, output, inline_lookups=inline_lookups)
