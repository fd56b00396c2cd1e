"""What the command line asks of a page for a folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """A folder with a study, or with ``policies.toml`` alone; ``scratch`` keeps what is computed for draws.

    ``fit`` is the output folder of a fit in another than its usual place.
    """

    folder: Path
    scratch: Path
    variables: tuple[str, ...] = ()
    levers: tuple[str, ...] = ()
    draws: str = ""
    runs: int = 200
    seed: int = 1
    structures: bool = False
    allow_files: tuple[Path, ...] = ()
    fit: Path | None = None
