"""From a model file to a freshly loaded PySD model, without a trace in the model's folder."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from cipark_sd.engines.reference.neutral import Labels, neutral_model
from cipark_sd.errors import CiparkError, ModelFileError
from cipark_sd.frontends.external_files import check_separator, located
from cipark_sd.frontends.file_state import current_digest
from cipark_sd.frontends.via_pysd import abstract_model
from cipark_sd.model.model import Format, Model, Origin


@dataclass(frozen=True)
class _Translation:
    """Python text by file name, the main one first, as PySD writes it, and what its labels stand for."""

    sources: Mapping[str, str]
    labels: Labels


@lru_cache(maxsize=32)
def _translation(path: Path, source_format: Format, digest: str) -> _Translation:
    """The translation of the file; ``digest`` is part of the key, so a changed file is translated anew."""
    from pysd.builders.python.python_model_builder import ModelBuilder

    from cipark_sd.engines.reference.allowed import require_allowed
    from cipark_sd.engines.reference.repairs import repair_expressions

    labels = Labels({}, {}, {})
    with tempfile.TemporaryDirectory(prefix="cipark-") as scratch:
        try:
            read = _with_ranges_read(abstract_model(path, source_format), path.parent)
            neutral, labels = neutral_model(repair_expressions(read), Path(scratch), path.name)
            with _in_the_models_words(labels), unformatted():
                builder = ModelBuilder(neutral)
                builder.build_model()
        except CiparkError:
            raise
        except Exception as problem:  # PySD's parsers and builders raise whatever goes wrong inside them
            reason = labels.restored(one_line(problem))
            raise ModelFileError(path, f"cannot be translated by PySD: {reason}") from problem
        sources = {section.path.name: section.path.read_text(encoding="utf-8") for section in builder.sections}
    for source in sources.values():
        require_allowed(source, path=path)
    return _Translation(sources, labels)


def _with_ranges_read(model: Any, folder: Path) -> Any:
    """The abstract model with the elements of its ranges that stand in a file."""
    from pysd.py_backend.external import ExtSubscript

    main, *macros = model.sections
    if any(isinstance(sub.subscripts, dict) for macro in macros for sub in macro.subscripts):
        # the folders in which they may lie were looked at for the model's own ranges only
        raise ValueError("a macro has a subscript range that stands in a file")
    for sub in main.subscripts:
        if isinstance(sub.subscripts, dict):
            place = dict(sub.subscripts)
            elements = ExtSubscript(file_name=place.pop("file"), root=folder, **place).subscript
            if not elements:
                raise ValueError(f"the subscript range {sub.name!r} is empty")
            sub.subscripts = elements
    return model


@contextmanager
def loaded_afresh(model: Model) -> Iterator[tuple[Any, Path, Labels]]:
    """A PySD model for one run, its scratch folder, which is gone afterwards, and what its labels stand for.

    Only its externals are initialised. Warnings speak of the variables by their own names.

    Raises
    ------
    ModelFileError
        When the file has changed since it was read, or PySD cannot translate or load it.
    """
    import pysd
    from pysd.py_backend.external import Excels

    from cipark_sd.engines.reference.repairs import repair_functions, repair_objects

    if current_digest(model) != model.digest:
        raise ModelFileError(model.name, "has changed on disk since it was read; read it again")
    assert model.origin is not None
    translation = _translation(model.origin.path, model.origin.format, model.digest)
    labels = translation.labels
    with tempfile.TemporaryDirectory(prefix="cipark-") as scratch, _in_the_models_words(labels):
        for name, text in translation.sources.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        try:
            loaded = pysd.load(Path(scratch) / next(iter(translation.sources)), initialize=False)
            repair_objects(loaded)
            repair_functions(loaded, model.origin.format)
            _read_externals(loaded, model.origin, labels)
        except (ValueError, OSError, AttributeError, KeyError, TypeError, BadZipFile) as problem:
            reason = labels.restored(one_line(problem))
            raise ModelFileError(model.origin.path, f"cannot be loaded by PySD: {reason}") from problem
        finally:
            # PySD keeps the spreadsheets of a reading that failed for the next one
            Excels.clean()
        yield loaded, Path(scratch), labels


class _AsItIs:
    """In the place of Black."""

    @staticmethod
    def format_file_contents(text: str, **_: object) -> str:
        """The text."""
        return text

    @staticmethod
    def FileMode(**_: object) -> None:  # noqa: N802
        """No mode."""


@contextmanager
def unformatted() -> Iterator[None]:
    """PySD leaves its programs as it wrote them: nobody reads them, and Black takes a third of the time."""
    from pysd.builders.python import python_model_builder

    black = python_model_builder.black
    python_model_builder.black = _AsItIs
    try:
        yield
    finally:
        python_model_builder.black = black


@contextmanager
def _in_the_models_words(labels: Labels) -> Iterator[None]:
    """Warnings with the modeller's labels in the place of neutral ones."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def restored(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            show(category(labels.restored(str(message))), category, *place, **options)

        warnings.showwarning = restored
        yield


def _read_externals(loaded: Any, origin: Origin, labels: Labels) -> None:
    """Read external data beside the original file rather than beside the scratch copy; macros included.

    Raises
    ------
    OutsideFolder, ModelFileError
        For files that may not be read.
    """
    for external in loaded._external_elements:
        external.root = origin.path.parent
        for places in ("files", "tabs", "cells", "x_row_or_cols", "time_row_or_cols"):
            tokens = vars(external).get(places)
            if tokens is not None:
                setattr(external, places, [labels.text(token) for token in tokens])
        for file, tab in zip(external.files, external.tabs, strict=True):
            located(origin.path, file, origin.allowed)
            check_separator(origin.path, file, tab)
    loaded.initialize_external_data()
    for lookup in loaded._lookup_elements:
        lookup.initialize()
    loaded.lookups_loaded = True
    for macro in loaded._macro_elements:
        _read_externals(macro, origin, labels)


def one_line(problem: Exception) -> str:
    """A message of PySD's, which break theirs over lines, in one."""
    return " ".join(str(problem).split()) or type(problem).__name__
