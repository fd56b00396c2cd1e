"""What ``cipark sensitivity`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.commands.sensitivity.findings import FILE, Findings, largest_failure, load
from cipark_sd.commands.sensitivity.methods import registry
from cipark_sd.commands.sensitivity.methods.base import Method
from cipark_sd.files import write_text
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Block, Listing, Page, Paragraph, Section, Table
from cipark_sd.pages.parts import Part, Pictures, Words
from cipark_sd.results import write_netcdf

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class _Rests(Words[Findings]):
    """What the draws are; set apart for all but those of chains that have converged."""

    def sections(self, found: Findings, pictures: Pictures) -> Iterator[Section]:
        basis = found.facts.basis
        sure = basis.origin == "posterior" and bool(basis.converged)
        first, *more = found.rests_on
        yield Section("Basis and assumptions", (Paragraph(first, warning=not sure), *map(Paragraph, more)))


@dataclass(frozen=True, slots=True)
class _Sureness(Words[Findings]):
    """How sure the results of the methods ``of`` are, and failed runs."""

    of: tuple[Method, ...]

    def sections(self, found: Findings, pictures: Pictures) -> Iterator[Section]:
        blocks: list[Block] = [block for method in self.of for block in method.sureness(found, pictures)]
        failed = [
            f"{name}: up to {most} runs of one output and time failed; they are left out of all sums."
            for name, most in largest_failure(found.results.items()).items()
            if most
        ]
        yield Section("How sure this is", (Listing(tuple(failed or ["No run failed."])), *blocks))


@dataclass(frozen=True, slots=True)
class _Constants(Words[Findings]):
    """What each constant is thought to be."""

    def sections(self, found: Findings, pictures: Pictures) -> Iterator[Section]:
        constants = found.facts.constants
        rows = tuple((c.name, f"{c.low:.4g}", f"{c.middle:.4g}", f"{c.high:.4g}", c.why) for c in constants)
        table = Table(("constant", "5 %", "median", "95 %", "why"), rows)
        yield Section(f"Uncertain inputs: {len(constants)} constants", (table,))


@dataclass(frozen=True, slots=True)
class _Sources(Words[Findings]):
    """How the results of the methods ``of`` were computed."""

    of: tuple[Method, ...]

    def sections(self, found: Findings, pictures: Pictures) -> Iterator[Section]:
        told = tuple(source for method in self.of for name, source in method.sources.items() if name in found.results)
        yield Section("How it was computed", (Listing(told),))


def _methods() -> tuple[Method, ...]:
    return (*registry.METHODS, registry.LOOPS)


def parts() -> tuple[Part[Findings], ...]:
    """The parts of the page in their order."""
    methods = _methods()
    return (_Rests(), *methods, _Sureness(methods), _Constants(), _Sources(methods))


def sentences(found: Findings) -> list[str]:
    """What people read."""
    said = [sentence for method in _methods() for sentence in method.sentences(found)]
    failed = {name: most for name, most in largest_failure(found.results.items()).items() if most}
    if failed:
        counts = ", ".join(f"{name} {count}" for name, count in failed.items())
        said.append(f"Some runs failed and were left out (at most, of any output and time): {counts}.")
    return said


def together(found: Findings) -> "xr.Dataset | None":
    """Indices of all methods in one Dataset with dims parameter, (parameter_2,) output, time; None without any.

    Of Morris' screening those of the first count of levels; each method has its own ``n_failed``.
    """
    import xarray as xr

    parts = [part for method in _methods() for part in method.together(found)]
    return xr.merge(parts, compat="no_conflicts", join="exact", combine_attrs="drop") if parts else None


def page(found: Findings, pictures: Pictures) -> Page:
    """The page of what was computed, with the pictures that there are."""
    return output.page_of(parts(), found, pictures, _title(found), _identity(found))


def write(found: Findings, folder: Path, workers: int = 1) -> list[Path]:
    """Write everything but the results themselves into a folder that exists, each file whole or not at all."""
    basis, written = found.facts.basis, []
    indices = together(found)
    if indices is not None:
        written.append(write_netcdf(indices.assign_attrs(basis=basis.sentence), folder / "all_indices.nc"))
    text = "\n\n".join([found.facts.title, *found.rests_on, *sentences(found)]) + "\n"
    written.append(write_text(folder / "summary.txt", text))
    title, identity = _title(found), _identity(found)
    return written + output.write(
        parts(), found, folder, title=title, identity=identity, draws=basis.label, workers=workers
    )


def write_again(folder: Path) -> list[Path] | None:
    """Write the files of a folder again from the findings in it; None where it has none of this command.

    Raises
    ------
    InvalidValue
        For findings that cannot be read.
    """
    return write(load(folder), folder) if (folder / FILE).is_file() else None


def _title(found: Findings) -> str:
    return f"Which assumptions matter: {found.facts.title}"


def _identity(found: Findings) -> str:
    facts = [found.facts.basis.sentence, f"{found.facts.model}, digest {found.facts.model_digest[:12]}"]
    for name, result in found.results.items():
        counts = [f"{result.attrs[key]} {key}" for key in ("rows", "draws", "runs") if key in result.attrs]
        facts += [f"{name}: {', '.join(counts)}"] if counts else []
    seeds = sorted({int(result.attrs["seed"]) for result in found.results.values() if "seed" in result.attrs})
    facts += [f"seeds {', '.join(map(str, seeds))}"] if seeds else []
    return "; ".join(facts)
