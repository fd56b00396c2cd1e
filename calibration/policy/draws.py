"""Where the draws of ``cipark policy`` come from: a fit, an approximation at its optimum, files, priors or ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from calibration.assess.rival_draws import RIVALS, WEIGHTS, draws_file, listed_in
from calibration.assess.rivals import with_variant
from calibration.for_analyses.approximation import OnStructure, approximated
from calibration.for_analyses.study_draws import draws_for, read_weights
from calibration.policy.study import PolicyStudy
from calibration.sampling.draws import problem_digest
from calibration.study.library import DEFAULT_STUDY
from calibration.study.variants import Variant
from cipark_sd.errors import InvalidValue
from cipark_sd.experiments.definition import Rival
from cipark_sd.experiments.draws import Draws
from cipark_sd.files import OUTPUT_FOLDER

#: Prior draws that expectations are set against: 300 that are all true bound a probability to above 0.98.
PRIOR_DRAWS = 300
#: Where a call keeps approximations, in its output folder.
APPROXIMATIONS = "laplace"


@dataclass(frozen=True)
class Found:
    """Draws of each rival.

    Parameters
    ----------
    rivals : tuple of Rival
        Those that have draws: one that the data refute is left out.
    draws : dict of str to Draws
    prior : dict of str to Draws
        What expectations are set against: draws that have seen no data, the same under each rival.
    weights : Path or None
        The file that their weights come from.
    notes : tuple of str
        Sentences: where they come from, and what a reader must know of them.
    """

    rivals: tuple[Rival, ...]
    draws: dict[str, Draws]
    prior: dict[str, Draws]
    weights: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """What a place holds: a file for each rival that has one, the weights, and rivals that the data refute."""

    place: Path
    files: Mapping[str, Path]
    weights: Path | None = None
    refuted: tuple[str, ...] = ()

    @cached_property
    def attributes(self) -> Mapping[str, Mapping[str, object]]:
        """What each file says of its draws, by rival; each is opened once."""
        return {rival: _attributes(path) for rival, path in self.files.items()}


def find_draws(
    study: PolicyStudy,
    rivals: tuple[Rival, ...],
    sources: Sequence[str],
    n: int,
    seed: int,
    folder: Path,
    weights: Path | None = None,
    *,
    engine: str,
    on_structure: OnStructure | None = None,
) -> Found:
    """``n`` draws for each rival.

    Parameters
    ----------
    sources : sequence of str
        ``prior``, a folder, or files as :func:`calibration.for_analyses.study_draws.draws_for` takes them. Without
        any: the first posterior of this very study (same model, data, priors and settings) in ``folder`` and in the
        default output folders of ``cipark policy`` and ``cipark calibrate``; a rival that has none gets a Laplace
        approximation at its own optimum.
    folder : Path
        Where this call writes.
    weights : Path, optional
        A table of weights in place of the one beside the draws.
    on_structure : function, optional
        Called while rivals are approximated.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    if not study.fitted:
        if tuple(sources) not in ((), ("prior",)):
            expected = "prior: a model without a study has no data, and its inputs are drawn from their ranges"
            raise InvalidValue("the draws", ", ".join(sources), expected, where="--draws")
        ranges = study.draws_from_ranges(rivals, n, seed)
        return Found(rivals, ranges, ranges)
    notes: list[str] = []
    kept: _Kept | None = None
    if not sources:
        kept = _with_approximations(study, rivals, seed, folder, notes, engine, on_structure)
    elif len(sources) == 1 and sources[0] != "prior" and Path(sources[0]).is_dir():
        kept = _in_folder(Path(sources[0]), rivals)
        if not kept.files:
            expected = f"a folder with {draws_file(Path(), rivals[0].id)} or draws.nc"
            raise InvalidValue("the draws", sources[0], expected, where="--draws")
        notes.append(f"Draws: {kept.place}.")
    files = {} if kept is None else kept.files
    asked = tuple(f"{rival}={path}" for rival, path in files.items()) or tuple(sources)
    table = weights or (None if kept is None else kept.weights)
    refuted = () if kept is None else kept.refuted
    able = tuple(rival for rival in rivals if rival.id not in refuted)
    if not able:
        raise InvalidValue("the rivals", ", ".join(refuted), "one that the data do not refute", where="--rivals")
    if kept is not None:
        notes += _doubts(study, rivals, kept)
    given = None if table is None else read_weights(table, study.rivals)
    drawn = draws_for(study.problem, able, asked, n, seed, given)
    unseen = all(one.origin == "prior" for one in drawn.values())
    prior = drawn if unseen else draws_for(study.problem, able, ("prior",), PRIOR_DRAWS, seed + 1)
    return Found(able, drawn, prior, table, tuple(notes))


def _with_approximations(
    study: PolicyStudy,
    rivals: tuple[Rival, ...],
    seed: int,
    folder: Path,
    notes: list[str],
    engine: str,
    on_structure: OnStructure | None,
) -> _Kept:
    """The posteriors at hand, and for the rivals without one an approximation; where each comes from is noted."""
    name = study.problem.folder.resolve().name
    kept = _at_hand(study, rivals, folder, notes) or _Kept(folder / APPROXIMATIONS, {})
    missing = tuple(rival for rival in rivals if rival.id not in (*kept.files, *kept.refuted))
    if kept.files:
        notes.append(f"Draws: {kept.place}.")
    if not missing:
        return kept
    fit = OUTPUT_FOLDER / name
    files, refuted = approximated(
        study.problem, missing, fit, folder / APPROXIMATIONS, seed, engine=engine, on_structure=on_structure
    )
    who = (
        ""
        if len(rivals) == 1
        else f" of {', '.join(rival.id for rival in missing)}"
        if kept.files
        else " of each rival"
    )
    study_name = "" if name == DEFAULT_STUDY else f" {study.problem.folder}"
    more = " --all" if len(rivals) > 1 else " --posterior"
    notes.append(
        f"No posterior{who} is at hand in {fit}: a Laplace approximation at the optimum stands for it. "
        f"'cipark calibrate{study_name}{more}' samples the posterior, which is then taken up from there."
    )
    return _Kept(kept.place, {**kept.files, **files}, kept.weights, (*kept.refuted, *refuted))


def _at_hand(study: PolicyStudy, rivals: Sequence[Rival], folder: Path, notes: list[str]) -> _Kept | None:
    """The first place with posterior draws of this very study; what is found and not taken is noted."""
    name = study.problem.folder.resolve().name
    places = (folder / "posterior", OUTPUT_FOLDER / f"{name}-policy" / "posterior", OUTPUT_FOLDER / name)
    for place in dict.fromkeys(places):
        kept = _in_folder(place, rivals)
        if rivals[0].id not in kept.files:
            continue
        if _others(study, rivals, kept):
            notes.append(
                f"{kept.place} is not taken: it is a fit of other data, priors or settings, or of another version of "
                "the model."
            )
            continue
        return kept
    return None


def _in_folder(folder: Path, rivals: Sequence[Rival]) -> _Kept:
    """Draws in a folder: those of each rival, in it or in what a calibration left in it, else those of the first."""
    for place in (folder / RIVALS, folder):
        files = {rival.id: draws_file(place, rival.id) for rival in rivals}
        there = {rival: path for rival, path in files.items() if path.is_file()}
        if there:
            listed = listed_in(place)
            refuted = tuple(rival.id for rival in rivals if listed.get(rival.id))
            return _Kept(place, there, place / WEIGHTS if listed else None, refuted)
    path = folder / "draws.nc"
    return _Kept(path, {rivals[0].id: path} if path.is_file() else {})


def _others(study: PolicyStudy, rivals: Sequence[Rival], kept: _Kept) -> list[str]:
    """Rivals whose draws are not those of this study; a file that does not say what it is of passes."""
    by_id = {rival.id: rival for rival in rivals}
    found = []
    for name, said in kept.attributes.items():
        rival = by_id[name]
        wanted = [problem_digest(with_variant(study.problem, Variant(rival.id, rival.title, rival.scenario)))]
        if not rival.scenario.overrides:
            # the study as it stands, which a calibration fits before its rivals
            wanted.append(problem_digest(study.problem))
        if said.get("study_digest", wanted[0]) not in wanted:
            found.append(name)
    return found


def _doubts(study: PolicyStudy, rivals: Sequence[Rival], kept: _Kept) -> list[str]:
    """What a reader must know of draws: refuted, not converged, of another study."""
    said = []
    if kept.refuted:
        said.append(
            f"Left out, since the data are impossible under it whatever the parameters: {', '.join(kept.refuted)}."
        )
    rough = [name for name, attributes in kept.attributes.items() if attributes.get("converged", 1) != 1]
    if rough:
        said.append(f"Not converged, so that their bands are rough: {', '.join(rough)}.")
    others = _others(study, rivals, kept)
    if others:
        said.append(
            f"Fitted to other data, priors or settings, or to another version of the model, than this study has now: "
            f"{', '.join(others)}."
        )
    return said


def _attributes(path: Path) -> Mapping[str, object]:
    import xarray as xr

    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return {str(key): value for key, value in tree.attrs.items()}
    except (OSError, ValueError, KeyError):
        return {}  # the reader of the draws says what is wrong with the file
