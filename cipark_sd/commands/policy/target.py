"""What ``cipark policy`` starts from: a catalogue of policies with the study or the model that it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cipark_sd.errors import InvalidValue, UnknownName, raise_all
from cipark_sd.experiments.catalogue import FILE, model_named_in, read_catalogue
from cipark_sd.experiments.definition import Catalogue, Structure
from cipark_sd.experiments.extended import extended
from cipark_sd.frontends.model_file import read_model
from cipark_sd.inputs import all_beneath, beneath
from cipark_sd.library import bundled
from cipark_sd.model.model import Model
from cipark_sd.sensitivities.factors import Factor
from cipark_sd.study import DrawSource, PlainModel, Study, readers, study_in


@dataclass(frozen=True)
class Target:
    """A catalogue, and the study beside it or the one that it names; of one that names a model alone, that model."""

    folder: Path
    catalogue: Catalogue
    study: Study

    @cached_property
    def model(self) -> Model:
        """That of the study, with what the catalogue adds."""
        return extended(self.study.model, self.catalogue)

    @property
    def rivals(self) -> tuple[Structure, ...]:
        """The rivals of the catalogue, or where it has none of its own those that the study refits."""
        from_catalogue = self.catalogue.own_rivals or not self.study.structures
        return self.catalogue.rivals if from_catalogue else self.study.structures


def read_target(folder: Path, *, allow_files: Sequence[Path] = ()) -> Target:
    """The catalogue in a folder with its study or its model.

    Raises
    ------
    InvalidValue, Problems, ModelFileError, EquationError
        For what is wrong in one of the files, all of a file together.
    """
    path = folder / FILE
    named, series = model_named_in(path)
    if "file" in named or "bundled" in named:
        file = (
            bundled(named["bundled"])
            if "bundled" in named
            else beneath(folder, named["file"], allow_files, where=str(path))
        )
        data = all_beneath(folder, series, allow_files, where=str(path))
        model = read_model(file, allow_files=allow_files, series=data)
        catalogue = read_catalogue(path, model)
        ranges = tuple(
            Factor(uncertainty.name, uncertainty.quantile, uncertainty.title) for uncertainty in catalogue.uncertainties
        )
        return Target(folder, catalogue, PlainModel(folder.resolve().name, folder, model, ranges))
    study = study_in(_study_folder(folder, named["study"], allow_files) if named else folder, allow_files)
    if study is None:
        files = " or ".join(reader.FILE for reader in readers())
        expected = f"a model: {files} beside the file, or [model] in it with file, bundled or study"
        raise InvalidValue("[model]", None, expected, where=str(path))
    return Target(folder, read_catalogue(path, study.model), study)


def _study_folder(folder: Path, name: str, allow_files: Sequence[Path]) -> Path:
    """The folder of a study that a catalogue names: one beneath it, or one that comes with a package."""
    if (folder / name).is_dir():
        return beneath(folder, name, allow_files, where=str(folder / FILE))
    shipped = {name: place for reader in readers() for name, place in reader.shipped_studies(reader.FILE).items()}
    if name not in shipped:
        files = " or ".join(reader.FILE for reader in readers())
        kind = f"folder with {files} beneath {folder} and no bundled study"
        raise UnknownName(name, shipped, kind=kind, where=str(folder / FILE))
    return shipped[name]


def chosen_rivals(ids: Sequence[str], target: Target) -> tuple[Structure, ...]:
    """The rivals of these ids, all of them where there are none; all that is not there is told at once.

    Raises
    ------
    UnknownName, Problems
    """
    known = [rival.id for rival in target.rivals]
    raise_all("cipark policy", [UnknownName(i, known, kind="rival", where="--rivals") for i in ids if i not in known])
    return tuple(rival for rival in target.rivals if not ids or rival.id in ids)


def draw_source(draws: Sequence[str], ids: Sequence[str]) -> DrawSource:
    """What ``--draws`` names: words, a folder, files of one structure each, or the file of the first.

    Raises
    ------
    UnknownName
        For ``RIVAL=FILE`` with a rival that there is not.
    """
    named = [text for text in draws if text != "prior"]
    if not named:
        return "prior" if draws else "at hand"
    if len(draws) == 1 and Path(draws[0]).is_dir():
        return Path(draws[0])
    files: dict[str, Path] = {}
    for text in named:
        rival, equals, path = text.partition("=")
        if equals and rival not in ids and not Path(text).is_file():
            raise UnknownName(rival, ids, kind="rival", where="--draws")
        files |= {rival: Path(path)} if equals and rival in ids else {ids[0]: Path(text)}
    return files
