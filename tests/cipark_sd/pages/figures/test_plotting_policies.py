"""The data of the figures of policies: bars, bands, ticks, order and words."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from approved import approved

from cipark_sd.base.errors import InvalidValue
from cipark_sd.pages.figures.runs import plot_fans, plot_policies, plot_shapley
from cipark_sd.statements.claims import Kind

DRAWS = np.arange(101.0)


def effect(policy: str, rival: str, median: float, time: float = 5.0, above: float | None = None) -> dict[str, object]:
    above = float(median > 0) if above is None else above
    return {
        "policy": policy, "title": f"title {policy}", "outcome": "cash", "time": time, "rival": rival,
        "above_zero": above, "below_zero": 1 - above,
        "low90": median - 4, "low50": median - 1, "median": median, "high50": median + 2, "high90": median + 5,
    }  # fmt: skip


def segments(axes: Any) -> list[tuple[float, float, float, float]]:
    """Row, ends and thickness of each bar."""
    return [
        (part[0][1], part[0][0], part[1][0], lines.get_linewidth()[0])
        for lines in axes.collections
        for part in lines.get_segments()
    ]


def dots(axes: Any, marker: str) -> list[list[list[float]]]:
    return [line.get_xydata().round(9).tolist() for line in axes.lines if line.get_marker() == marker]


def caption(figure: Any) -> str:
    return " ".join(figure._supxlabel.get_text().split())


def test_policies_have_the_largest_effect_on_top_and_other_structures_as_ticks() -> None:
    frame = pd.DataFrame(
        [
            *(effect("P2", rival, median) for rival, median in (("M0", 3.0), ("M1", 1.0), ("M2", 2.0))),
            *(effect("P1", rival, median) for rival, median in (("M0", -9.0), ("M1", -7.0), ("M2", -8.0))),
            effect("P1", "M0", 99.0, time=9.0),
        ]
    )
    figure = plot_policies(frame, "cash", 5.0, title="Cash")
    (axes,) = figure.axes
    first, second = axes.get_yticks()
    assert segments(axes) == [(first, -13, -4, 1), (first, -10, -7, 4), (second, -1, 8, 1), (second, 2, 5, 4)]
    assert dots(axes, "o") == [[[-9, first]], [[3, second]]]
    assert dots(axes, "|") == [[[-7, first], [-8, first]], [[1, second], [2, second]]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["title P1", "title P2"]
    # the first is on top
    assert axes.get_ylim()[0] > second > first > axes.get_ylim()[1] == 0
    approved(axes.get_xlabel())
    assert [line.get_xdata()[0] for line in axes.lines if line.get_color() == "black"] == [0]


def test_policies_stand_in_classes_the_surest_sign_first_and_those_without_effect_last() -> None:
    still = effect("P0", "M0", 0.0) | dict.fromkeys(("low90", "high90"), 0.0)
    sizes = {"P1": (9.0, 0.8), "P2": (-3.0, 0.0), "P3": (7.0, 0.9), "P4": (1.0, 0.6)}
    rows = [effect(policy, "M0", median, above=above) for policy, (median, above) in sizes.items()]
    kinds: dict[str, Kind] = {
        "P0": "built in",
        "P1": "undecided",
        "P2": "built in",
        "P3": "undecided",
        "P4": "informed",
    }
    (axes,) = plot_policies(pd.DataFrame([still, *rows]), "cash", 5.0, kinds=kinds).figure.axes
    labels = axes.get_yticklabels()
    approved(" ".join(label.get_text() for label in labels))
    assert [label.get_fontweight() == "bold" for label in labels] == [
        True,
        False,
        True,
        False,
        False,
        *[True, False] * 2,
    ]
    # a head has no bar, and each bar the colour of its head
    assert len(segments(axes)) == 2 * 5
    assert [line.get_markeredgecolor() for line in axes.lines if line.get_marker() == "o"] == [
        "#0a6652", "#85540a", "#85540a", "#5a4590", "0.35",
    ]  # fmt: skip


def test_policies_are_of_the_mixture_where_there_is_one_and_of_the_only_structure_else() -> None:
    frame = pd.DataFrame([effect("P1", "M0", 1.0), effect("P1", "M1", 2.0), effect("P1", "weighted", 1.5)])
    figure = plot_policies(frame, "cash", 5.0)
    (row,) = figure.axes[0].get_yticks()
    assert dots(figure.axes[0], "o") == [[[1.5, row]]]
    assert dots(figure.axes[0], "|") == [[[1, row], [2, row]]]
    for outcome, at in (("money", 5.0), ("cash", 6.0)):
        with pytest.raises(InvalidValue, match="one of the table"):
            plot_policies(frame, outcome, at)


def result(names: list[str], heights: list[float], *, rivals: tuple[str, ...] = ("M0",), **attrs: str) -> xr.Dataset:
    """Draws 0 to 100 times a height, at three times, rising by one from time to time."""
    values = np.array(heights)[:, None, None, None] * DRAWS[None, None, :, None] + np.arange(3.0)
    values = np.repeat(values, len(rivals), axis=1)
    values[:, 1:] = -1e6
    return xr.Dataset(
        {"cash": (("policy", "rival", "draw", "time"), values, attrs)},
        coords={
            "policy": names, "rival": list(rivals), "time": ("time", [0.0, 1.0, 2.0], {"units": "Year"}),
            "policy_title": ("policy", [f"title {name}" for name in names]),
        },
    )  # fmt: skip


def ends(band: Any) -> tuple[float, float]:
    """The band at the first time."""
    vertices = band.get_paths()[0].vertices
    first = vertices[vertices[:, 0] == 0][:, 1]
    return first.min(), first.max()


def test_fans_are_of_the_first_structure_with_the_base_beside_them() -> None:
    drawn = result(["base", "P1", "P2", "P3"], [1, 2, 3, 4], rivals=("M0", "M1"), long_name="Cash", units="yuan")
    figure = plot_fans(drawn, "cash", caption="Made up.")
    first, second, third, fourth = figure.axes
    assert [ends(band) for band in first.collections] == [(10, 190), (50, 150)]
    assert [ends(band) for band in third.collections] == [(20, 380), (100, 300)]
    assert [line.get_ydata().tolist() for line in second.lines] == [[150, 151, 152], [50, 51, 52]]
    assert [line.get_linestyle() for line in second.lines] == ["-", "--"]
    labels = ["90%", "50%", "median", "base, median"]
    assert [text.get_text() for text in first.get_legend().get_texts()] == labels
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [f"P{i}  title P{i}" for i in (1, 2, 3)]
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]
    assert (fourth.get_xlabel(), [axes.get_xlabel() for axes in (first, second, third)]) == (
        "",
        ["", "Time [Year]", "Time [Year]"],
    )
    assert figure._supylabel.get_text() == "Cash [yuan]"
    approved(figure._suptitle.get_text())
    approved(caption(figure))
    assert first.get_ylim()[0] == 0


def test_a_fan_of_the_base_alone_has_no_second_base() -> None:
    figure = plot_fans(result(["base"], [1.0]), "cash")
    (axes,) = figure.axes
    assert len(axes.lines) == 1
    assert figure._supylabel.get_text() == "cash"
    # a base that falls below nothing is seen whole
    low = plot_fans(result(["base", "P1"], [-1.0, 1.0]), "cash").axes[0]
    assert low.get_ylim()[0] < 0


def test_mechanisms_are_bars_of_their_means_in_order_with_what_others_say() -> None:
    """Three mechanisms over 101 draws, under two structures."""
    factors = ["a", "b", "c"]
    size = np.array([2.0, -1.0, 1.0])
    values = size[:, None, None, None] * DRAWS[None, None, :, None] * np.array([1.0, 0.5])[None, :, None, None]
    dims = ("factor", "rival", "draw", "time")
    found = xr.Dataset(
        {"cash": (dims, values)},
        coords={
            "factor": factors, "factor_title": ("factor", ["A", "B", "C"]), "rival": ["M0", "M1"], "time": [5.0],
        },
    )  # fmt: skip
    figure = plot_shapley(found, "cash", 5.0, title="Cash", caption="Made up.")
    (axes,) = figure.axes
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in axes.patches] == [
        (0, pytest.approx(-50)), (pytest.approx(1), 50), (pytest.approx(2), 100),
    ]  # fmt: skip
    assert segments(axes) == [
        (0, -95, -5, 1), (0, -75, -25, 4), (1, 5, 95, 1), (1, 25, 75, 4), (2, 10, 190, 1), (2, 50, 150, 4),
    ]  # fmt: skip
    assert dots(axes, "|") == [[[-25, 0]], [[25, 1]], [[50, 2]]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "C", "A"]
    assert axes.get_ylim() == (-0.8, pytest.approx(2.6))
    labels = ["Shapley, mean", "90%", "50%", "Shapley under other structures"]
    assert sorted(text.get_text() for text in axes.get_legend().get_texts()) == sorted(labels)
    assert axes.get_xlabel() == "Cash at 5"
    low, high = axes.get_xlim()
    # all that is drawn with matplotlib's margin of a twentieth, and on the left a little more of that width
    margin = 0.05 * (190 + 95)
    assert high == pytest.approx(190 + margin)
    assert low == pytest.approx(-95 - margin - 0.03 * (190 + 95 + 2 * margin))
    approved(figure._suptitle.get_text())
    approved(caption(figure))
    alone = plot_shapley(found.isel(rival=[0]), "cash", 5.0)
    assert "Shapley under other structures" not in [text.get_text() for text in alone.axes[0].get_legend().get_texts()]
    assert alone.axes[0].get_xlabel() == "cash at 5"
