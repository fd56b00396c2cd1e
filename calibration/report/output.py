"""What ``cipark calibrate`` leaves in its folder, made of findings alone: no model is run and no number drawn."""

import json
from pathlib import Path

from calibration.report.findings import FILE, Findings, load
from calibration.report.record import fitted_scenario, record
from calibration.report.sections import registry
from cipark_sd.files import write_text
from cipark_sd.pages import output
from cipark_sd.pages.blocks import Page
from cipark_sd.pages.parts import Pictures


def page(findings: Findings, pictures: Pictures) -> Page:
    """The page of findings, with the pictures that there are."""
    return output.page_of(registry.SECTIONS, findings, pictures, findings.fit.study.title, _identity(findings))


def write(findings: Findings, folder: Path, *, for_print: bool = False) -> list[Path]:
    """Write tables, figures, the record and the page into a folder that exists, each file whole or not at all."""
    heading = output.Heading(findings.fit.study.title, _identity(findings))
    record_of_fit = write_fit(findings, folder)
    return record_of_fit + output.write(registry.SECTIONS, findings, folder, heading, for_print=for_print)


def write_fit(findings: Findings, folder: Path) -> list[Path]:
    """Write the record of the fit and the scenario of its estimate, which other commands take up."""
    text = json.dumps(record(findings), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return [
        write_text(folder / "fit.json", text),
        write_text(folder / "fitted.toml", fitted_scenario(findings.fit)),
    ]


write_again = output.again(FILE, load, write)


def _identity(findings: Findings) -> str:
    fit = findings.fit
    return (
        f"Model {fit.study.model} ({fit.study.model_digest[:12]}), cipark_sd {fit.version}, engine {fit.engine}, seed "
        f"{fit.seed}."
    )
