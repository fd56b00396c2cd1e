"""Which files a model reads, what they hold by now, and the parsed model of an earlier reading.

Parsing the park model takes PySD's reader about a second; the model that came of it is kept in the user's cache folder.
"""

from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from cipark_sd.cache import keep, kept
from cipark_sd.errors import ModelFileError
from cipark_sd.frontends.external_files import external_contents, external_names
from cipark_sd.inputs import MODEL_LIMIT, read_bytes
from cipark_sd.model.model import Format, Model, Origin, digest_of
from cipark_sd.model.stored import from_text, to_text

VENSIM_SUFFIXES = (".mdl",)
XMILE_SUFFIXES = (".xmile", ".xml", ".stmx")


def current_digest(model: Model) -> str:
    """The digest that the file of ``model`` has by now: another one than the model's where it has changed since.

    Raises
    ------
    ModelFileError
        When the model has no file or the file is gone.
    """
    if model.origin is None:
        raise ModelFileError(model.name, "was not read from a file")
    path = model.origin.path
    if not path.exists():
        raise ModelFileError(path, "does not exist any more")
    files = external_names(model.variables, model.macros, model.range_files)
    return digest_of(model_bytes(path), *external_contents(path, files, model.origin.allowed))


def model_bytes(path: Path) -> bytes:
    """What a model file holds.

    Raises
    ------
    ModelFileError
        When it cannot be read: a folder, a pipe, a device, a file beyond all size.
    """
    try:
        return read_bytes(path, MODEL_LIMIT)
    except IsADirectoryError:
        raise ModelFileError(path, "is a folder, not a model file") from None
    except OSError as problem:
        raise ModelFileError(path, f"cannot be read: {problem.strerror}") from None


def parsed_before(path: Path, raw: bytes, allowed: tuple[Path, ...]) -> Model | None:
    """The model of an earlier reading of a file with these bytes; ``None`` when there is none that still holds.

    Raises
    ------
    OutsideFolder, ModelFileError, Problems
        When it names files that may not be read.
    """
    content = kept("models", _key(path, raw))
    if content is None:
        return None
    try:
        model = from_text(content.decode())
    except ValueError:
        return None
    source_format: Format = "vensim" if path.suffix.lower() in VENSIM_SUFFIXES else "xmile"
    model = replace(model, name=path.stem, origin=Origin(path.resolve(), source_format, allowed))
    # the key has the model file only: which others it reads is known by now
    return model if current_digest(model) == model.digest else None


def remember_parsed(model: Model, raw: bytes) -> Model:
    """Keep a model that was parsed just now from these bytes; it is returned as it is."""
    assert model.origin is not None
    try:
        text = to_text(model)
    except RecursionError:
        # an expression too deep for the writer is parsed each time
        return model
    keep("models", _key(model.origin.path, raw), text.encode())
    return model


def _key(path: Path, raw: bytes) -> str:
    """Everything that decides what parsing gives, but for the other files that the model reads."""
    return digest_of(raw, path.suffix.lower().encode(), version("pysd").encode(), _code_digest())


@cache
def _code_digest() -> bytes:
    """A digest of the code that makes a model of a file, so that no other version's work is taken for its own."""
    here = Path(__file__).parent
    sources = sorted([*here.glob("*.py"), *(here.parent / "model").glob("*.py"), here.parent / "naming.py"])
    return digest_of(*(source.read_bytes() for source in sources)).encode()
