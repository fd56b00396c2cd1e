"""What ``cipark policy`` has found: what it is of, and a result for each part, which come back from their files."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cipark_sd.commands.findings import load_result, save_result
from cipark_sd.commands.policy.about import About
from cipark_sd.records import WrongRecordError, of_this_version, read_record, write_record

R = TypeVar("R")
#: The file of what all results rest on.
FILE = "findings-policy.zip"


@dataclass(frozen=True, eq=False)
class Findings:
    """Results by the name of their part, and what they rest on."""

    about: About
    results: Mapping[str, object]

    def of(self, kind: type[R]) -> R | None:
        """The result of that type, None where it was not computed."""
        return next((result for result in self.results.values() if isinstance(result, kind)), None)

    def with_result(self, name: str, result: object) -> "Findings":
        """The findings with another result."""
        return replace(self, results={**self.results, name: result})


def save(findings: Findings, name: str, folder: Path) -> None:
    """Write the result of a part into a folder, and what it rests on."""
    about = findings.about
    attributes = {"basis": about.basis, "catalogue": about.catalogue.digest}
    save_result(findings.results[name], folder / result_file(name), about.identity, attributes)
    write_record(about, folder / FILE)


def load(folder: Path, kinds: Mapping[str, type]) -> Findings:
    """The findings in a folder: its results of the draws, the model and the catalogue of the last call.

    Parameters
    ----------
    kinds : mapping of str to type
        Of results, by part.

    Raises
    ------
    InvalidValue
        For a file that cannot be read.
    """
    path = folder / FILE
    with of_this_version("findings", path):
        about = read_record(About, path)
        return Findings(about, saved_results(about, folder, kinds))


def saved_results(about: About, folder: Path, kinds: Mapping[str, type], *, damaged: bool = False) -> dict[str, object]:
    """Results in a folder that are of the same draws of the same model and the same catalogue, by part.

    With ``damaged`` a file of another version, or one that was cut short, is passed over and no error.
    """
    results: dict[str, object] = {}
    for name, kind in kinds.items():
        with suppress(*([WrongRecordError] if damaged else [])):
            results[name] = load_result(kind, folder / result_file(name), about.identity)
    return {name: result for name, result in results.items() if result is not None}


def result_file(part: str) -> str:
    """The name of the file of a part's result."""
    return f"findings-policy-{part}.zip"
