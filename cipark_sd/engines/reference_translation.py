"""From a model file to a freshly loaded PySD model, without a trace in the model's folder."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cipark_sd.errors import CiparkError, ModelFileError
from cipark_sd.frontends.external_files import located
from cipark_sd.frontends.kept import current_digest
from cipark_sd.frontends.via_pysd import sanitised_file
from cipark_sd.model.model import Format, Model, Origin


@dataclass(frozen=True)
class _Translation:
    """Python text by file name, the main one first, as PySD writes it."""

    sources: Mapping[str, str]


@lru_cache(maxsize=32)
def _translation(path: Path, source_format: Format, digest: str) -> _Translation:
    """The translation of the file; ``digest`` is part of the key, so a changed file is translated anew."""
    from pysd.builders.python.python_model_builder import ModelBuilder

    from cipark_sd.engines.reference_repairs import repair_expressions

    with tempfile.TemporaryDirectory(prefix="cipark-") as scratch:
        try:
            file = sanitised_file(path, source_format)
            file.parse()
            # subscripts that stand in a file are read here, from the model's own folder
            builder = ModelBuilder(repair_expressions(file.get_abstract_model()))
            for section in builder.sections:
                section.path = Path(scratch) / section.path.name
                section.root = Path(scratch)
            builder.build_model()
        except CiparkError:
            raise
        except Exception as problem:  # PySD's parsers and builders raise whatever goes wrong inside them
            raise ModelFileError(path, f"cannot be translated by PySD: {one_line(problem)}") from problem
        return _Translation(
            {section.path.name: section.path.read_text(encoding="utf-8") for section in builder.sections}
        )


@contextmanager
def loaded_afresh(model: Model) -> Iterator[tuple[Any, Path]]:
    """A PySD model for one run and its scratch folder, which is gone afterwards; only its externals are initialised.

    Raises
    ------
    ModelFileError
        When the file has changed since it was read, or PySD cannot translate or load it.
    """
    import pysd
    from pysd.py_backend.external import Excels

    from cipark_sd.engines.reference_repairs import repair_objects

    if current_digest(model) != model.digest:
        raise ModelFileError(model.name, "has changed on disk since it was read; read it again")
    assert model.origin is not None
    translation = _translation(model.origin.path, model.origin.format, model.digest)
    with tempfile.TemporaryDirectory(prefix="cipark-") as scratch:
        for name, text in translation.sources.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        try:
            loaded = pysd.load(Path(scratch) / next(iter(translation.sources)), initialize=False)
            repair_objects(loaded)
            _read_externals(loaded, model.origin)
        except (ValueError, OSError, AttributeError, KeyError, TypeError) as problem:
            raise ModelFileError(model.origin.path, f"cannot be loaded by PySD: {one_line(problem)}") from problem
        finally:
            # PySD keeps the spreadsheets of a reading that failed for the next one
            Excels.clean()
        yield loaded, Path(scratch)


def _read_externals(loaded: Any, origin: Origin) -> None:
    """Read external data beside the original file rather than beside the scratch copy; macros included.

    Raises
    ------
    OutsideFolder, ModelFileError
        For files that may not be read; their names are those of the translated text.
    """
    for external in loaded._external_elements:
        external.root = origin.path.parent
        for file in external.files:
            located(origin.path, file, origin.allowed)
    loaded.initialize_external_data()
    for lookup in loaded._lookup_elements:
        lookup.initialize()
    loaded.lookups_loaded = True
    for macro in loaded._macro_elements:
        _read_externals(macro, origin)


def one_line(problem: Exception) -> str:
    """A message of PySD's, which break theirs over lines, in one."""
    return " ".join(str(problem).split()) or type(problem).__name__
