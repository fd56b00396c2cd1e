"""What the documents say runs: code blocks of the README and the two commands that CI reads from it."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cipark_sd.cli import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_the_readme_s_python_runs(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102  (our own document)
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize("marker", ["main job", "tests"])
def test_the_readme_has_both_commands_where_ci_looks_for_them(marker: str) -> None:
    assert re.search(rf"<!-- {marker} -->\n```bash\n[^\n]+\n```", README)


def test_the_walk_through_of_a_new_study_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\n(.*?)```", page, flags=re.DOTALL):
        Path(name).write_text(text, encoding="utf-8")
    shown = re.findall(r"<!-- run -->\n```\n\$ cipark ([^\n]*)\n(.*?)```", page, flags=re.DOTALL)
    assert len(shown) == 2
    for command, output in shown:
        assert CliRunner().invoke(cli, shlex.split(command)).output == output


PAGES = sorted(page.relative_to(ROOT).as_posix() for page in [*ROOT.glob("docs/*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("path", PAGES)
def test_links_to_files_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)]+)\)", text) if "://" not in t and not t.startswith("#")]
    assert [target for target in targets if not ((ROOT / path).parent / target).exists()] == []


def test_no_file_holds_both_sides_of_a_merge() -> None:
    marks = ("<" * 7, ">" * 7)
    kinds = {".py", ".md", ".toml", ".mdl", ".xmile", ".csv"}
    files = [
        p for p in ROOT.rglob("*") if p.suffix in kinds and not any(q[0] == "." for q in p.relative_to(ROOT).parts)
    ]
    torn = [p for p in files if any(x.startswith(marks) for x in p.read_text("utf-8", "replace").splitlines())]
    assert torn == []
