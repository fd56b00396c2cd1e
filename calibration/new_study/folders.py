"""Folders of studies: what a new one may replace, the files that a model brings, and a copy of a study.

``cipark new-study --from great_stone`` makes one for another case of a model that comes with the package. The copy runs
as it stands, with the rows of the first case as examples; each table says so in its first lines, which the reader of
tables skips.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from calibration.new_study.text import page, toml
from calibration.study import FILE, shipped_studies
from calibration.study.problem import read_problem
from calibration.study.rows import table_folder
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.files import draft_of
from cipark_sd.base.inputs import TABLE_LIMIT, beneath, check_own, parsed_toml, read_text, toml_text
from cipark_sd.base.library import bundled
from cipark_sd.base.section import Section
from cipark_sd.language.read.external_files import external_names
from cipark_sd.model.model import Model

#: Files beside a model that belong to it.
COMPANIONS = (".checks.toml", ".display.toml", ".loops.toml")
#: Files of a study that are copied where they are there, in the order in which a reader meets them.
_PARTS = ("policies.toml", "sensitivity.toml")


def check_free(folder: Path, *, force: bool) -> None:
    """Raise InvalidValue where files would be replaced, and nobody said with ``force`` that they may be."""
    if folder.exists() and not folder.is_dir():
        raise InvalidValue("the folder", str(folder), "one that is not a file", where="-o")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        expected = "a new one; with --force the files of a study in it are replaced"
        raise InvalidValue("the folder", str(folder), expected, where="-o")


def move_into(draft: Path, folder: Path) -> None:
    """Put the files of a finished draft in place; what else is in the folder of the study stays."""
    if folder.exists():
        shutil.copytree(draft, folder, dirs_exist_ok=True)
    else:
        draft.rename(folder)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _bring_model(draft: Path, path: Path) -> None:
    """Copy a model's file, and those beside it that belong to it."""
    copy(path, draft / path.name)
    for companion in (path.with_suffix("").with_name(path.stem + ending) for ending in COMPANIONS):
        if companion.is_file():
            check_own(companion)
            copy(companion, draft / companion.name)


def bring(draft: Path, path: Path, model: Model, series: Sequence[Path]) -> list[str]:
    """Copy a model with the files that it names beside or below itself, and tables of its data variables.

    What comes back is where these tables stand in the draft.
    """
    _bring_model(draft, path)
    for name in external_names(model):
        if not Path(name).is_absolute() and ".." not in Path(name).parts and (path.parent / name).is_file():
            copy(path.parent / name, draft / name)
    tables = {f"data/series/{table.name}": table for table in series}
    for name, table in tables.items():
        copy(table, draft / name)
    return list(tables)


def from_template(name: str, output: Path | None, *, force: bool, allow_files: Sequence[Path] = ()) -> list[str]:
    """Write the copy and return what to tell the user.

    ``name`` is that of a study that comes with the package, ``output`` the new folder, None for ``my_`` and the name.
    Nothing is written outside it, whatever the study names; its files may lie beneath ``allow_files`` as well.

    Raises
    ------
    UnknownName, InvalidValue, OutsideFolder, Problems
    """
    source = find_folder(name, file=FILE, where="new-study --from")
    if not (source / FILE).is_file():
        raise UnknownName(name, tuple(shipped_studies()), kind=f"study with {FILE}", where="new-study --from")
    folder = output or Path("my_" + source.resolve().name)
    check_free(folder, force=force)
    with draft_of(folder) as draft:
        draft.mkdir()
        # what is wrong with it is told before anything is copied
        read_problem(source, allow_files=allow_files)
        tables = _copied(source, draft, allow_files)
        read_problem(draft, allow_files=allow_files)
        readme = page("readme_of_copy.md", name=draft.name, source=source.name)
        (draft / "README.md").write_text(readme, encoding="utf-8")
        move_into(draft, folder)
    return [
        f"{folder}: the study {source.name} with its rows as examples ({', '.join(tables)})",
        f"Replace them in the order that {folder / 'README.md'} gives; it runs unchanged:",
        f"  cipark calibrate {folder} --fast",
    ]


def _copied(source: Path, draft: Path, allow_files: Sequence[Path]) -> list[str]:
    """Model, tables and TOML files; the names of the tables, as the study spells them."""
    text = toml_text(source / FILE)
    content = parsed_toml(text, source / FILE)
    model = content.get("model", {})
    where = str(source / FILE)
    path = bundled(model["bundled"]) if "bundled" in model else beneath(source, model["file"], allow_files, where=where)
    check_own(path)
    _bring_model(draft, path)
    text = re.sub(r"^(bundled|file)\s*=.*$", f"file = {toml(path.name)}", text, count=1, flags=re.MULTILINE)
    title = f"{draft.name}: a copy of {source.name}, not yet adapted"
    text = re.sub(r"^title\s*=.*$", f"title = {toml(title)}", text, count=1, flags=re.MULTILINE)
    # a table of another study becomes one of the copy
    text = re.sub(r"^study\s*=.*\n", "", text, flags=re.MULTILINE)
    (draft / FILE).write_text(_note(source) + text, encoding="utf-8")
    homes = dict.fromkeys((o["table"], table_folder(Section(o, "", []), source)) for o in content["observation"])
    tables = [table for table, _ in homes]
    for table, home in homes:
        if tables.count(table) > 1:
            raise InvalidValue("table", table, "a name that tables of two studies do not share", where=where)
        rows = read_text(beneath(home or source, table, allow_files, where=where), TABLE_LIMIT, encoding="utf-8-sig")
        target = beneath(draft, table, (), where=f"{where}, in the copy")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"# EXAMPLE ROWS of {source.name}: replace them, then delete this line.\n{rows}", "utf-8")
    for part in _PARTS:
        if (source / part).is_file():
            (draft / part).write_text(_note(source) + toml_text(source / part), encoding="utf-8")
    return tables


def _note(source: Path) -> str:
    return (
        f"# A copy of the study {source.name}. Where a reason or a source is given (`why`, `source`), it is that of\n"
        f"# {source.name}: put your own in its place as you go through the file.\n\n"
    )
