"""What the command line of ``cipark policy`` asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cipark_sd.commands.policy.target import Target
from cipark_sd.errors import CiparkError, UnknownName, raise_all
from cipark_sd.experiments.definition import Structure
from cipark_sd.study import DrawSource


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for; no parts stand for all that the catalogue has tables for."""

    engine: str
    target: str | None = None
    parts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    n_draws: int = 500
    rivals: tuple[str, ...] = ()
    weights: Path | None = None
    outcomes: tuple[str, ...] = ()
    seed: int = 20191126
    output: Path | None = None
    fresh: bool = False
    dask: str | None = None
    keep_runs: bool = False
    allow_failed: float | None = None
    allow_files: tuple[Path, ...] = ()


def chosen_rivals(request: Request, target: Target) -> tuple[Structure, ...]:
    """The rivals that the command line wants; all that it wants and is not there is told at once.

    Raises
    ------
    UnknownName, Problems
    """
    ids = [rival.id for rival in target.rivals]
    outcomes = [*target.catalogue.outcome_by_id, "all"]
    wrong: list[CiparkError] = [
        UnknownName(name, ids, kind="rival", where="--rivals") for name in request.rivals if name not in ids
    ]
    wrong += [
        UnknownName(name, outcomes, kind="outcome", where="--outcome")
        for name in request.outcomes
        if name not in outcomes
    ]
    raise_all("cipark policy", wrong)
    return tuple(rival for rival in target.rivals if not request.rivals or rival.id in request.rivals)


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
    if tuple(draws) == ("fit",):
        return "fit"
    if len(draws) == 1 and Path(draws[0]).is_dir():
        return Path(draws[0])
    files: dict[str, Path] = {}
    for text in named:
        rival, equals, path = text.partition("=")
        if equals and rival not in ids and not Path(text).is_file():
            raise UnknownName(rival, ids, kind="rival", where="--draws")
        files |= {rival: Path(path)} if equals and rival in ids else {ids[0]: Path(text)}
    return files
