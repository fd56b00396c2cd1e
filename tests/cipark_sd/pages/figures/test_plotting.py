"""Figures of runs, looked at through matplotlib's own objects."""

import html
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.pages.figures.files import SUFFIXES, save_figure
from cipark_sd.pages.figures.observed import Observed, read_observed
from cipark_sd.pages.figures.runs import plot_fans, plot_run
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]

EQUATIONS = """
Region: East, West ~~|
People[Region] = INTEG(births[Region], 1) ~ people ~ |
births[Region] = People[Region] * 0.1 ~ people/Year ~ |
total = SUM(People[Region!]) ~ people ~ |
"""


@pytest.fixture
def model(write_mdl: Write) -> Model:
    return read_model(write_mdl(EQUATIONS))


@pytest.fixture
def run(model: Model) -> xr.Dataset:
    return simulate(model)


SEEN = Observed("total", np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([1.0, 3.0]), np.array([3.0, 3.0]))


def test_each_unit_has_a_panel_and_each_element_a_line(run: xr.Dataset) -> None:
    figure = plot_run(run, ["People", "births"])
    labels = [[line.get_label() for line in axes.get_lines()] for axes in figure.axes]
    assert labels == [["People[East]", "People[West]"], ["births[East]", "births[West]"]]


def test_one_name_is_enough_and_none_is_all(run: xr.Dataset) -> None:
    (line,) = plot_run(run, "total").axes[0].get_lines()
    assert line.get_label() == "total"
    names = [str(line.get_label()) for axes in plot_run(run).axes for line in axes.get_lines()]
    assert names == ["People[East]", "People[West]", "total", "births[East]", "births[West]"]
    many = xr.merge([run["total"].rename(f"x{i}").assign_attrs(units=str(i)) for i in range(9)])
    with pytest.raises(InvalidValue, match="units is 9"):
        plot_run(many)


def test_axes_say_what_they_show_and_in_which_units(run: xr.Dataset) -> None:
    (axes,) = plot_run(run, ["total"]).axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("total [people]", "Time [Year]")
    pure = run.assign(total=run["total"].assign_attrs(units="Dmnl"))
    assert plot_run(pure, ["total"]).axes[0].get_ylabel() == "total"


def test_observed_values_stand_beside_the_line_with_their_ranges(run: xr.Dataset) -> None:
    (axes,) = plot_run(run, ["total"], [SEEN]).axes
    points = axes.get_lines()[1]
    assert points.get_ydata().tolist() == [2, 3]  # type: ignore[union-attr]
    assert len(axes.collections) == 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["total", "observed"]  # type: ignore[union-attr]


def test_the_caption_says_how_the_run_was_made(run: xr.Dataset) -> None:
    caption = plot_run(run, ["total"])._supxlabel.get_text()  # type: ignore[attr-defined]
    assert caption.startswith(f"Model model ({run.attrs['model_digest'][:8]}), engine native, euler, step 0.25")


def test_pyplot_is_never_imported() -> None:
    # in a process of its own: other packages that tests use import it
    figures = "import sys, cipark_sd.pages.figures.runs, cipark_sd.pages.figures.files"
    text = f"{figures}; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")])
def test_the_ending_gives_the_format_and_the_same_figure_the_same_bytes(
    run: xr.Dataset, tmp_path: Path, name: str, start: bytes
) -> None:
    save_figure(plot_run(run, ["total"], [SEEN]), tmp_path / name)
    first = (tmp_path / name).read_bytes()
    save_figure(plot_run(run, ["total"], [SEEN]), tmp_path / name)
    assert first.startswith(start)
    assert (tmp_path / name).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".mdl"] == [name]


def test_another_ending_is_an_error(run: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"ends in \.png or \.svg or \.pdf"):
        save_figure(plot_run(run, ["total"]), tmp_path / "a.bmp")


def test_an_unknown_variable_is_named(run: xr.Dataset) -> None:
    with pytest.raises(UnknownName, match="did you mean 'total'"):
        plot_run(run, ["totl"])


def write_csv(tmp_path: Path, text: str) -> Path:
    (tmp_path / "seen.csv").write_text(text, encoding="utf-8")
    return tmp_path / "seen.csv"


def test_dates_numbers_and_gaps_are_read_and_sorted(model: Model, tmp_path: Path) -> None:
    (seen,) = read_observed(model, write_csv(tmp_path, "date,Total,note\n0003-12-31,9,x\n2,,\n1.5,7,\n"))
    assert (seen.times.tolist(), seen.values.tolist()) == ([1.5, 4.0], [7, 9])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,total\nsoon,3\n", "'date' in line 2 is 'soon', expected a date such as"),
        ("date,total\n1,2\n2,many\n", "'total' in line 3 is 'many', expected a number"),
        ("date,total\nsoon,many\n", "2 problems"),
        ("when,total\n1,2\n", "no column 'date'"),
        ("date,totals\n1,2\n", "at least one named like a variable of model"),
        ("date,people\n1,2\n", "'People' is 'subscripted', expected a scalar"),
        ("", "expected a CSV table"),
        ("date,total\n1,2\n2,inf\n", "'total' in line 3 is 'inf', expected a number"),
        ("date,total\ninf,2\n", "'date' in line 2 is 'inf', expected a date such as"),
        ("date,total\n1,2\n2,3\n1,4\n", "'date' in line 4 is '1', expected one value of 'total' for each time; line 2"),
    ],
)
def test_a_data_file_with_a_mistake_names_it(model: Model, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CiparkError, match=message):
        read_observed(model, write_csv(tmp_path, text))


def test_a_time_may_stand_twice_where_one_of_its_rows_is_empty(model: Model, tmp_path: Path) -> None:
    (seen,) = read_observed(model, write_csv(tmp_path, "date,Total\n1,\n1,7\n"))
    assert seen.values.tolist() == [7]


@pytest.mark.parametrize(("heights", "low", "high"), [((1.0, 1.0, 9.0), 0.0, 9.0), ((1.0, -4.0, 2.0), -4.0, 2.0)])
def test_fans_show_all_of_every_policy(heights: tuple[float, ...], low: float, high: float) -> None:
    """The second policy is taller than the first, or falls below nothing."""
    times = np.linspace(0.0, 1.0, 5)
    values = np.array(heights)[:, None, None, None] * np.sin(np.pi * times) * np.ones((3, 1, 20, 5))
    result = xr.Dataset(
        {"cash": (("policy", "rival", "draw", "time"), values)},
        coords={
            "policy": ["base", "P1", "P2"],
            "rival": ["M0"],
            "time": ("time", times, {"units": "Year"}),
            "policy_title": ("policy", ["base", "one", "two"]),
        },
    )
    bottom, top = plot_fans(result, "cash").axes[0].get_ylim()
    assert bottom == 0 if low == 0 else bottom < low
    assert top > high


@pytest.mark.parametrize("name", ["$\\frac{a}{b}$ x_y^z", "$ and $", "a$\\nonsense$"])
def test_a_dollar_sign_in_a_name_begins_no_formula(name: str, write_mdl: Callable[..., Path], tmp_path: Path) -> None:
    quoted = name.replace("\\", "\\\\")
    result = simulate(read_model(write_mdl(f'"{quoted}" = INTEG(1, 1) ~ {name} ~|')))
    (variable,) = result.data_vars
    figure = plot_run(result, [str(variable)])
    for ending in SUFFIXES:
        save_figure(figure, tmp_path / f"f{ending}")
    assert f">{result[variable].attrs['long_name']}" in html.unescape((tmp_path / "f.svg").read_text(encoding="utf-8"))
