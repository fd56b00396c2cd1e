"""Which files a model reads, what they hold by now, and the parsed model of an earlier reading.

Parsing the park model takes PySD's reader about a second; the model that came of it is kept in the user's cache folder.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from cipark_sd.cache import keep, kept
from cipark_sd.errors import ModelFileError
from cipark_sd.frontends.sanitise import decoded
from cipark_sd.model.model import Format, Model, Origin, digest_of
from cipark_sd.model.stored import from_text, to_text
from cipark_sd.model.variables import External, ExternalPiece, TablePiece, Variable

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
    if not path.is_file():
        raise ModelFileError(path, "does not exist any more")
    return digest_of(path.read_bytes(), *external_contents(path, model.variables))


def external_contents(path: Path, variables: Iterable[Variable]) -> Iterator[bytes]:
    """The bytes of each file that the model reads, once, in order of name; a missing file is left to the run."""
    # the names of a range may stand in a file too; they are in no variable
    text = decoded(path.read_bytes()) if path.suffix.lower() in VENSIM_SUFFIXES else ""
    files = set(re.findall(r"GET[ _]+(?:XLS|DIRECT)[ _]+SUBSCRIPT\s*\(\s*'([^']*)'", text, flags=re.IGNORECASE))
    for variable in variables:
        for piece in variable.pieces:
            match piece:
                case ExternalPiece(source=External(file)) | TablePiece(table=External(file)):
                    files.add(file)
                case _:
                    pass
    for file in sorted(files):
        target = path.parent / file
        if target.is_file():
            yield target.read_bytes()


def parsed_before(path: Path) -> Model | None:
    """The model of an earlier reading of a file with these bytes; ``None`` when there is none that still holds."""
    content = kept("models", _key(path))
    if content is None:
        return None
    try:
        model = from_text(content.decode())
    except ValueError:
        return None
    source_format: Format = "vensim" if path.suffix.lower() in VENSIM_SUFFIXES else "xmile"
    model = replace(model, name=path.stem, origin=Origin(path.resolve(), source_format))
    # the key has the model file only: which others it reads is known by now
    return model if current_digest(model) == model.digest else None


def remember_parsed(model: Model) -> Model:
    """Keep a model that was parsed just now; it is returned as it is."""
    assert model.origin is not None
    try:
        text = to_text(model)
    except RecursionError:
        # an expression too deep for the writer is parsed each time
        return model
    keep("models", _key(model.origin.path), text.encode())
    return model


def _key(path: Path) -> str:
    """Everything that decides what parsing gives, but for the other files that the model reads."""
    return digest_of(path.read_bytes(), path.suffix.lower().encode(), version("pysd").encode(), _code_digest())


@cache
def _code_digest() -> bytes:
    """A digest of the code that makes a model of a file, so that no other version's work is taken for its own."""
    here = Path(__file__).parent
    sources = sorted([*here.glob("*.py"), *(here.parent / "model").glob("*.py"), here.parent / "naming.py"])
    return digest_of(*(source.read_bytes() for source in sources)).encode()
