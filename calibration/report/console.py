"""What ``cipark calibrate`` ends with: the finding, what is known, not known and assumed, and where to read."""

from dataclasses import replace
from pathlib import Path

from calibration.report.findings import Findings
from calibration.report.sections.answer import first_screen
from cipark_sd.console import say_lines


def show(findings: Findings, page: Path) -> None:
    """Five lines, and one more for each thing that keeps the numbers from being used."""
    say_lines(lines(findings, page))


def lines(findings: Findings, page: Path) -> list[tuple[str, str]]:
    """Each line with its name."""
    screen = first_screen(findings)
    title = screen.title if findings.fit.study.questions.finding else f"{screen.subject}: {screen.title}"
    return replace(screen, title=title).ending(page)
