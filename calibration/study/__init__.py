"""A study: its model, observations, parameters, calendar and questions, read from a folder and checked as a whole.

Here: the studies that come with the package.
"""

from collections.abc import Mapping
from pathlib import Path

#: What makes a folder a study.
FILE = "problem.toml"
STUDIES = Path(__file__).parent.parent / "studies"
#: The study that runs when none is named.
DEFAULT_STUDY = "great_stone"


def shipped_studies(file: str = FILE) -> Mapping[str, Path]:
    """The studies that come with the package and have a file of that name, by name, in order."""
    return {path.name: path for path in sorted(STUDIES.iterdir()) if (path / file).is_file()}
