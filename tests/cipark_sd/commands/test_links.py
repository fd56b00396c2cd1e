"""What is computed from what, as text and as a picture, and what changed between two models."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import cipark

import cipark_sd as cp
from cipark_sd.base.errors import UnusableInput
from cipark_sd.commands.diff import changed, moved
from cipark_sd.pages.player.diagram import svg

Write = Callable[..., Path]
POOL = """
Rate = 0.1 ~ 1/Year ~ |
Leaving = Rate * Pool ~ firm/Year ~ |
Pool = INTEG(-Leaving, Size) ~ firm ~ |
Size = 100 ~ firm ~ |
Idle = 3 ~ ~ |
"""
SVG = "{http://www.w3.org/2000/svg}"


def test_causes_and_uses_go_two_levels_deep(write_mdl: Write) -> None:
    path = write_mdl(POOL)
    assert cipark("show", path, "--causes", "pool").output == "Pool\n  Leaving\n    Rate\n    Pool\n  Size\n"
    assert cipark("show", path, "--uses", "Rate").output == "Rate\n  Leaving\n    Pool\n"
    assert cipark("show", path, "--causes", "Idle").output == "Idle\n  nothing\n"
    assert cp.show(path, uses="Size")["uses"] == {
        "name": "Size",
        "uses": [{"name": "Pool", "uses": [{"name": "Leaving", "uses": []}]}],
    }
    wrong = cipark("show", path, "--causes", "Poool", code=2)
    assert "did you mean 'Pool'" in wrong.output


def test_a_diagram_has_what_the_file_draws(tmp_path: Path) -> None:
    file = tmp_path / "core.svg"
    answer = cp.show("core", diagram=file)
    root = ET.parse(file).getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "Firms" in texts
    assert "Potential Firms" in texts
    # a box for each stock, the background beside them
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + len(cp.read_model("core").stocks)
    assert answer._repr_html_() == file.read_text()
    cipark("show", "core", "--diagram", tmp_path / "core.png", code=2)


def test_a_model_without_a_drawing_has_its_stocks_in_rows_and_names_are_text(write_mdl: Write) -> None:
    model = cp.read_model(write_mdl('"<b>Pool</b>" = INTEG(-Out, 1) ~ ~ |\nOut = 1 ~ ~ |\n'))
    root = ET.fromstring(svg(model))
    assert {"<b>Pool</b>", "Out"} <= {text.text for text in root.iter(f"{SVG}text")}
    assert len(list(root.iter(f"{SVG}ellipse"))) == 1
    with pytest.raises(UnusableInput, match="no stock to draw"):
        svg(cp.read_model(write_mdl("a = 1 ~ ~ |\nb = a ~ ~ |\n", name="bare.mdl")))


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("Rate = 0.1", "Rate = 0.2", ("Rate", "equation", "Rate = 0.1", "Rate = 0.2")),
        ("Rate * Pool", "Pool * Rate", ("Leaving", "equation", "Leaving = Rate * Pool", "Leaving = Pool * Rate")),
        ("100 ~ firm", "100 ~ firms", ("Size", "units", "firm", "firms")),
        ("Idle = 3 ~ ~", "Idle = 3 ~ ~ what is not used", ("Idle", "documentation", "", "what is not used")),
    ],
)
def test_each_kind_of_change_is_seen(old: str, new: str, change: tuple[str, str, str, str], write_mdl: Write) -> None:
    before = cp.read_model(write_mdl(POOL))
    after = cp.read_model(write_mdl(POOL.replace(old, new), name="after.mdl"))
    (difference,) = changed(before, after)
    assert tuple(difference.values()) == change
    assert list(changed(before, before)) == []
    # what only looks different, or is only said, moves no output
    assert bool(list(moved(before, after, ("Pool",)))) == (change[0] == "Rate")


def test_new_and_lost_variables_and_moved_outputs_have_their_numbers(write_mdl: Write, tmp_path: Path) -> None:
    before = write_mdl(POOL)
    text = POOL.replace("Idle = 3", "Busy = 3").replace("Leaving = Rate * Pool", "Leaving = STEP(Rate, 5) * Pool")
    after = write_mdl(text, name="after.mdl")
    answer = cp.diff(before, after)
    assert answer.exit_code == 1
    assert [(c["name"], c["field"]) for c in answer["changes"]] == [
        ("Leaving", "equation"), ("Busy", "new"), ("Idle", "gone"),
    ]  # fmt: skip
    (pool,) = answer["outputs"]
    course = 100 * (1 - 0.1 / 4) ** np.arange(41)
    later = np.concatenate([np.full(20, 100.0), 100 * (1 - 0.1 / 4) ** np.arange(21)])
    apart = np.abs(later - course)
    assert pool["last_before"] == pytest.approx(course[-1])
    assert pool["last_after"] == pytest.approx(later[-1])
    assert (pool["largest"], pool["at"]) == (pytest.approx(apart.max()), apart.argmax() / 4)
    assert pool["first"] == 0.25
    picture = cp.diff(before, after, figure=tmp_path / "both.svg")
    assert picture["figure"].read_text() == picture._repr_html_()
    assert all(f">Pool, {path}<" in picture._repr_html_() for path in (before, after))
    same = cp.diff(before, before, figure=tmp_path / "same.svg")
    assert not (tmp_path / "same.svg").exists()
    assert (same.exit_code, same["changes"], same["outputs"]) == (0, [], [])
    assert "are the same" in str(same)
