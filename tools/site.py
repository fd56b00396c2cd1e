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

from reference_pages import PAGES

ROOT = Path(__file__).resolve().parents[1]
#: Contrasts of at least 4.5 in either scheme, links that are seen without colour, tables whose cells wrap, no prompts.
_STYLE = """:root, [data-md-color-scheme=default] { --md-primary-fg-color: #1f4e79; --md-accent-fg-color: #1a5a96;
  --md-typeset-a-color: #1a5a96; --md-default-fg-color--light: #4a4a4a; --md-code-hl-comment-color: #595959;
  --md-code-hl-generic-color: #4a4a4a; --md-code-hl-number-color: #b3122b; --md-code-hl-operator-color: #4a4a4a;
  --md-code-hl-keyword-color: #2b4fb5; --md-code-hl-string-color: #176639; --md-code-hl-name-color: #26323a;
  --md-code-hl-constant-color: #5b3fb5; --md-code-hl-function-color: #8e3a9d; --md-code-hl-special-color: #a3195b;
  --md-code-hl-variable-color: #26323a; --md-code-hl-punctuation-color: #4a4a4a; }
[data-md-color-scheme=slate] { --md-accent-fg-color: #8ab8ea; --md-typeset-a-color: #8ab8ea;
  --md-default-fg-color--light: #c3c6d0; --md-code-hl-comment-color: #a9adba; --md-code-hl-generic-color: #c3c6d0;
  --md-code-hl-number-color: #ff9aa5; --md-code-hl-operator-color: #c3c6d0; --md-code-hl-keyword-color: #9db7ff;
  --md-code-hl-string-color: #8fdcac; --md-code-hl-name-color: #dfe2ea; --md-code-hl-constant-color: #c3b1ff;
  --md-code-hl-function-color: #e3a8ee; --md-code-hl-special-color: #ff9ec6; --md-code-hl-variable-color: #dfe2ea;
  --md-code-hl-punctuation-color: #c3c6d0; }
.md-typeset .md-content__inner a:not(.headerlink), .md-typeset p a, .md-typeset li a, .md-typeset td a {
  text-decoration: underline; }
.md-typeset table:not([class]) :is(td, th, code) { white-space: normal; }
[data-md-color-scheme] .highlight-ipynb, [data-md-color-scheme] .highlight-ipynb pre span {
  color: var(--md-code-fg-color); background: var(--md-code-bg-color); }
.md-typeset pre { overflow: auto; }
.md-typeset pre > code { overflow: visible; }
.jp-InputPrompt, .jp-OutputPrompt { display: none !important; }
"""
#: What the theme makes while one scrolls: buttons that copy code are landmarks, each with a name of its own, and
#: tables that scroll are reached by the keyboard.
_SCRIPT = """new MutationObserver(() => {
  document.querySelectorAll("nav.md-code__nav").forEach((nav, i) => nav.setAttribute("aria-label", `Code ${i + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((table) => (table.tabIndex = 0));
}).observe(document.body, { childList: true, subtree: true });
"""
#: What the theme leaves out for readers without a mouse: code that scrolls is reached.
_REACHED = (
    (re.compile(r"<pre>"), '<pre tabindex="0">'),
    (re.compile(r"<th(| [^>]*)></th>"), r"<td\1></td>"),
    (re.compile(r'<div class="highlight-ipynb hl-python">'), '<div class="highlight-ipynb hl-python" tabindex="0">'),
)
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
        for name, make in PAGES.items():
            made = Path(scratch) / "pages" / "docs" / "reference" / "made" / f"{name}.md"
            made.parent.mkdir(exist_ok=True)
            made.write_text(make(), encoding="utf-8")
        (Path(scratch) / "pages" / "site.css").write_text(_STYLE)
        (Path(scratch) / "pages" / "site.js").write_text(_SCRIPT)
        config = Path(scratch) / "mkdocs.yml"
        config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: pages\nsite_dir: {site.resolve()}\n")
        # a page of a site speaks with no Python: frames in the place of widgets, whose scripts come from a network
        (Path(scratch) / "anywidget.py").write_text("raise ImportError\n")
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": scratch})
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for pattern, reached in _REACHED:
            text = pattern.sub(reached, text)
        page.write_text(text, encoding="utf-8")
    if elsewhere := loaded_from_elsewhere(site):
        sys.exit("\n".join(["the site loads from the network:", *elsewhere]))


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
