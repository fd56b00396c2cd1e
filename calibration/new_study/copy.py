"""A study for another case of a model that comes with the package: ``cipark new-study --from great_stone``.

The copy runs as it stands, with the rows of the first case as examples; each table says so in its first lines, which
the reader of tables skips.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from calibration.new_study.study import COMPANIONS, check_free, move_into
from calibration.new_study.text import toml
from calibration.study import FILE, shipped_studies
from calibration.study.problem import read_problem
from calibration.study.rows import table_folder
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.base.files import draft_of
from cipark_sd.base.inputs import TABLE_LIMIT, beneath, parsed_toml, read_text, toml_text
from cipark_sd.base.library import bundled
from cipark_sd.base.section import Section

#: Files of a study that are copied where they are there, in the order in which a reader meets them.
_PARTS = ("policies.toml", "sensitivity.toml")


def from_template(name: str, output: Path | None, *, force: bool, allow_files: Sequence[Path] = ()) -> list[str]:
    """Write the copy and return what to tell the user.

    Nothing is written outside the new folder, whatever the study names.

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
        (draft / "README.md").write_text(_readme(draft.name, source.name), encoding="utf-8")
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
    for file in (path, *(path.with_suffix("").with_name(path.stem + ending) for ending in COMPANIONS)):
        if file.is_file():
            shutil.copyfile(file, draft / file.name)
    text = re.sub(r"^(bundled|file)\s*=.*$", f"file = {toml(path.name)}", text, count=1, flags=re.MULTILINE)
    title = f"{draft.name}: a copy of {source.name}, not yet adapted"
    text = re.sub(r"^title\s*=.*$", f"title = {toml(title)}", text, count=1, flags=re.MULTILINE)
    # a table of another study becomes one of the copy
    text = re.sub(r"^study\s*=.*\n", "", text, flags=re.MULTILINE)
    (draft / FILE).write_text(_note(source) + text, encoding="utf-8")
    pairs = dict.fromkeys(
        (o["table"], table_folder(Section(o, "", []), source) or source) for o in content["observation"]
    )
    tables = [table for table, _ in pairs]
    for table, home in pairs:
        if tables.count(table) > 1:
            raise InvalidValue("table", table, "a name that tables of two studies do not share", where=where)
        rows = read_text(beneath(home, table, allow_files, where=where), TABLE_LIMIT, encoding="utf-8-sig")
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


def _readme(name: str, source: str) -> str:
    return f"""# {name}

A copy of the study `{source}` for another case of the same model. All rows, dates and reasons are still those of
`{source}`; it runs unchanged, so that you can change one thing at a time and see that it still does.

```bash
cipark calibrate {name} --fast
cipark sensitivity {name}
cipark policy {name}
```

## What to replace, in this order

1. **The dates and switches of the model** (`cipark show` lists constants), under `[[fixed]]` in `problem.toml`, so that
   the model stays the one that was tested. What did not happen in your case is switched off.
2. **The run's span**: `[model]` `from` and `to`.
3. **The tables.** Keep the header, replace the rows, delete the line that calls them examples. A table that you do not
   have: delete the file and its `[[observation]]`, and whatever `[[coding]]` only it used.
4. **The priors** (`[[parameter]]`) and what is held (`[[fixed]]`): what was known of your case before the data, and in
   `why` from where. Parameters that no table of yours informs get `use = "PRI"`.
5. **Rivals, scenarios and the report's questions** at the end of `problem.toml`; `policies.toml` (its expectations
   cite what was written of `{source}`) and `sensitivity.toml` (bounds and reasons).
6. **This page**: where each of your figures comes from, and what is judgement.

## Is it the same family?

The family-member test asks whether the same structure does what the other case did with that case's settings, before
any parameter is fitted to it (Forrester and Senge 1980, TIMS Studies in the Management Sciences 14). Fit
`{source}` first, then run your policies with its posterior:

```bash
cipark calibrate {source} --posterior --rivals -o first
cipark policy {name} --draws first
```
"""
