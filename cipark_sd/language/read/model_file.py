"""Model files: which there are, what they hold by now, and the one way to read one."""

import os
from collections.abc import Sequence
from pathlib import Path

from cipark_sd.base.errors import ModelFileError, UnusableInput, like_file
from cipark_sd.base.library import located
from cipark_sd.language.read.data_files import with_series
from cipark_sd.language.read.external_files import VENSIM_SUFFIXES, XMILE_SUFFIXES, model_bytes
from cipark_sd.model.model import Model

SUFFIXES = (*VENSIM_SUFFIXES, *XMILE_SUFFIXES)


def read_model(path: Path | str, *, allow_files: Sequence[Path | str] = (), series: Sequence[Path | str] = ()) -> Model:
    """The model in a Vensim (``.mdl``) or XMILE (``.xmile``, ``.xml``, ``.stmx``) file.

    >>> from cipark_sd import bundled, read_model
    >>> model = read_model(bundled("core.mdl"))
    >>> model["Potential Firms"].units
    'firm'

    Parameters
    ----------
    path : path
        Or the name of a model that comes with the package, such as ``core``.
    allow_files : sequence of path
        Folders beneath which files may lie that the model names (``GET DIRECT …``), beside the model's own.
    series : sequence of path
        Files with values over time for the model's data variables; see
        :func:`cipark_sd.language.read.data_files.with_series`.

    Returns
    -------
    Model

    Raises
    ------
    ModelFileError
        When the file is missing, is neither format, is no regular file or too large, or cannot be taken apart into
        equations.
    OutsideFolder
        When it names a file that lies elsewhere, links resolved.
    EquationError, UnknownName, Problems
        For what is wrong in the equations, all of it at once.
    InvalidValue
        When a file of ``series`` cannot be read or has nothing for the model.
    """
    path = located(Path(path))
    # Path raises where a name is too long
    if not os.path.exists(path):
        raise ModelFileError(path, _missing(path))
    if path.suffix.lower() not in SUFFIXES and not path.is_dir():
        listed = ", ".join(SUFFIXES)
        raise ModelFileError(path, f"is neither a Vensim nor an XMILE model (known endings: {listed})")
    raw = model_bytes(path)
    allowed = tuple(Path(folder).resolve() for folder in allow_files)
    # of the two readers the one that is needed
    if path.suffix.lower() in VENSIM_SUFFIXES:
        from cipark_sd.language.read.vensim.reader import read_vensim as read
    else:
        from cipark_sd.language.read.xmile.reader import read_xmile as read
    return with_series(read(path, raw, allowed), series, where="--series")


def as_model(model: Model | Path | str) -> Model:
    """A model as it is; of a path, the model in that file.

    Raises
    ------
    ModelFileError, OutsideFolder, EquationError, UnknownName, Problems
        As :func:`read_model`.
    UnusableInput
        For anything else.
    """
    if not isinstance(model, Model | Path | str):
        within = "; its model is .model" if hasattr(model, "model") else ""
        raise UnusableInput(f"{type(model).__name__} is neither a model nor a path{within}", where="the model")
    return model if isinstance(model, Model) else read_model(model)


def _missing(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path()
    near = like_file(path.name, (entry.name for entry in folder.iterdir() if entry.is_file()))
    return "does not exist" + (f"; did you mean {near!r}?" if near else "")
