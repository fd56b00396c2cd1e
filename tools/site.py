"""Build the site of the documents: pages where they stand in the repository, notebooks run, nothing from a network.

.venv/bin/pip install -e '.[docs]' && .venv/bin/python tools/site.py FOLDER
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Room for a line of code; tables whose cells wrap and notebooks whose cells have the width of a page, on a phone too.
_STYLE = """.wy-nav-content { max-width: 60rem; }
.wy-table-responsive table :is(td, th, code) { white-space: normal; }
.jp-InputPrompt, .jp-OutputPrompt { display: none !important; }
@media (max-width: 768px) { .wy-nav-content, .jupyter-wrapper .jp-Notebook { padding: 0.5rem !important; } }
"""
#: A link or a picture of Markdown, without its anchor.
_LINK = re.compile(r"\]\(([^)#\s]+)")
#: What a built page may not load from elsewhere; links that a reader follows are no such thing.
_LOADED = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc="https?://[^"]*|<link[^>]*\shref="https?://[^"]*""")


def pages() -> set[Path]:
    """The tracked pages, and the files that they link to, relative to the repository."""
    command = ["git", "ls-files", "*.md", "docs/notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    texts = [
        Path(name) for name in listed.stdout.split("\n") if name and not name.startswith(("tests/", "tools/pages/"))
    ]
    return {*texts, *(target for page in texts if page.suffix == ".md" for target in linked(page))}


def linked(page: Path) -> Iterator[Path]:
    """The files of the repository that a page links to."""
    for link in _LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        target = (ROOT / page).parent / link
        if target.is_file() and target.resolve().is_relative_to(ROOT):
            yield target.resolve().relative_to(ROOT)


def loaded_from_elsewhere(site: Path) -> list[str]:
    """What the pages of a site would load from the network."""
    return [
        f"{path.relative_to(site)}: {match}"
        for path in sorted(site.rglob("*.html"))
        for match in _LOADED.findall(path.read_text(encoding="utf-8"))
        if 'rel="canonical"' not in match
    ]


def add_example(docs: Path) -> None:
    """Make the page with levers of the core model, which is not kept, and link it from the page about such pages."""
    from click.testing import CliRunner

    from cipark_sd.commands.cli import cli

    page = docs / "example" / "core.html"
    page.parent.mkdir(parents=True)
    CliRunner().invoke(cli, ["play", "core", "-o", str(page)], catch_exceptions=False)
    with (docs / "how-to" / "play.md").open("a", encoding="utf-8") as text:
        text.write("\n[An example: the core model](../example/core.html)\n")


def build(site: Path) -> None:
    """Build the site into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        for page in pages():
            place = Path(scratch) / "pages" / page
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / page, place)
        add_example(Path(scratch) / "pages" / "docs")
        (Path(scratch) / "pages" / "site.css").write_text(_STYLE)
        config = Path(scratch) / "mkdocs.yml"
        config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: pages\nsite_dir: {site.resolve()}\n")
        # a page of a site speaks with no Python: frames in the place of widgets, whose scripts come from a network
        (Path(scratch) / "anywidget.py").write_text("raise ImportError\n")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": scratch})
    if elsewhere := loaded_from_elsewhere(site):
        sys.exit("\n".join(["the site loads from the network:", *elsewhere]))


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
