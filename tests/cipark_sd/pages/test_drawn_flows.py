"""Where a file has no drawing, pipes that are drawn say of each flow what its file says: read from geometry alone."""

import re
from itertools import combinations, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.drawing import Point
from cipark_sd.pages.player.diagram import Page, diagram

#: Models of the repository that are read as they stand, without the files of a study.
FILES = sorted(
    path
    for folder in ("models", "tests/corpus", "calibration/studies", "benchmarks", "tests/shared")
    for path in (ROOT / folder).rglob("*.*")
    if path.suffix in (".mdl", ".xmile", ".stmx")
)
WIDE, HIGH = 57.0, 25.0


def touched(point: Point, stocks: dict[str, Point]) -> str:
    """The stock in whose box or on whose border a point lies; empty where there is none."""
    inside = [n for n, (x, y) in stocks.items() if abs(point[0] - x) <= WIDE and abs(point[1] - y) <= HIGH]
    assert len(inside) < 2
    return inside[0] if inside else ""


def crosses(a: Point, b: Point, centre: Point) -> bool:
    """Whether a level or upright piece of a pipe passes through a stock's box."""
    (x, y), low, high = centre, [min(p) for p in zip(a, b, strict=True)], [max(p) for p in zip(a, b, strict=True)]
    return low[0] < x + WIDE and high[0] > x - WIDE and low[1] < y + HIGH and high[1] > y - HIGH


def read_back(page: Page, names: set[str]) -> dict[str, set[tuple[str, str]]]:
    """By flow the stocks that its pipes join, as an eye reads them; no pipe may touch another stock or pipe."""
    stocks = {p["name"]: (p["x"], p["y"]) for p in page["places"] if p["kind"] == "variable" and p["name"] in names}
    valves = {(p["x"], p["y"]): p["name"] for p in page["places"] if p["kind"] == "valve"}
    assert len(valves) == sum(p["kind"] == "valve" for p in page["places"])
    clouds = {(p["x"], p["y"]) for p in page["places"] if p["kind"] == "cloud"}
    found: dict[str, set[tuple[str, str]]] = {}
    pieces = []
    for into, out in zip(page["lines"][::2], page["lines"][1::2], strict=True):
        assert into["points"][-1] == out["points"][0]
        assert (into["head"], out["head"]) == (False, True)
        ends = [touched(into["points"][0], stocks), touched(out["points"][-1], stocks)]
        for end, point in zip(ends, (into["points"][0], out["points"][-1]), strict=True):
            assert (end == "") == (tuple(point) in clouds)
        found.setdefault(valves[tuple(out["points"][0])], set()).add(tuple(ends))
        way = [*into["points"], *out["points"][1:]]
        for a, b in pairwise(way):
            assert a[0] == b[0] or a[1] == b[1]
            others = [centre for name, centre in stocks.items() if name not in ends]
            assert not any(crosses(a, b, centre) for centre in others)
            pieces.append((id(into), a, b))
    for (one, a, b), (other, c, d) in combinations(pieces, 2):
        for axis in (0, 1) if one != other else ():
            if a[axis] == b[axis] == c[axis] == d[axis]:
                along = 1 - axis
                ends = [sorted((a[along], b[along])), sorted((c[along], d[along]))]
                assert min(ends[0][1], ends[1][1]) - max(ends[0][0], ends[1][0]) <= 0, (a, b, c, d)
    return found


def plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.replace("\\n", " ").replace('"', "")).strip().lower()


def of_tags(text: str) -> dict[str, dict[str, int]]:
    """By stock of an XMILE file its flows, 1 for what enters it."""
    stocks = ElementTree.fromstring(text.encode()).iter("{*}stock")
    signs = (("outflow", -1), ("inflow", 1))
    return {
        plain(stock.get("name", "")): {
            plain(flow.text or ""): sign for tag, sign in signs for flow in stock.findall(f"{{*}}{tag}")
        }
        for stock in stocks
    }


def of_sums(text: str) -> dict[str, dict[str, int]]:
    """By stock of a Vensim file its flows, of those whose net flow is a sum of names."""
    found = {}
    for name, net in re.findall(r"(?:^|[|\n}])([^|=~}]+?)=\s*INTEG\s*\(([\w\s+\-\[\]]+),", text):
        terms = re.findall(r"([+-]?)\s*([^+\-]+)", re.sub(r"\[[^]]*\]", "", net))
        name = re.sub(r"\[[^]]*\]", "", name)
        found[plain(name)] = {plain(term): -1 if sign == "-" else 1 for sign, term in terms if term.strip()}
    return found


def differences(path: Path) -> tuple[int, list[str]]:
    """Of a model without a drawing how many flows are drawn, and what the file says otherwise of a stock's."""
    model = read_model(path)
    drawn = diagram(model)
    if drawn["origin"] == "file" or not drawn["views"]:
        return 0, []
    found = read_back(drawn["views"][0], {stock.name for stock in model.stocks})
    by_stock: dict[str, dict[str, int]] = {}
    for flow, pairs in found.items():
        for stock, sign in (
            (stock, sign) for pair in pairs for stock, sign in zip(pair, (-1, 1), strict=True) if stock
        ):
            by_stock.setdefault(plain(stock), {})[plain(flow)] = sign
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    said = (of_sums if path.suffix == ".mdl" else of_tags)(text)
    wrong = [f"{s}: {by_stock[s]} is drawn, {said[s]} said" for s in by_stock if s in said and by_stock[s] != said[s]]
    return sum(stock in said for stock in by_stock), wrong


def test_each_flow_leaves_and_enters_its_own_stocks() -> None:
    compared = {path: differences(path) for path in FILES}
    assert {path.name: wrong for path, (_, wrong) in compared.items() if wrong} == {}
    assert sum(n > 0 for n, _ in compared.values()) >= 20


TOWN = """
Susceptible= INTEG(-Infection-Vaccination, 990) ~~|
Exposed= INTEG(Infection-Onset, 0) ~~|
Infectious= INTEG(Onset-Recovery, 10) ~~|
Recovered= INTEG(Recovery+Vaccination-Waning, 0) ~~|
Infection= Susceptible*Infectious*0.0005 ~~|
Onset= Exposed/3 ~~|
Recovery= Infectious/5 ~~|
Waning= Recovered/50 ~~|
Vaccination= 2 ~~|
INITIAL TIME=0 ~~| FINAL TIME=10 ~~| TIME STEP=0.25 ~~| SAVEPER=1 ~~|
"""


def test_a_flow_that_skips_stocks_is_led_around_them_and_a_wrong_pipe_is_seen(tmp_path: Path) -> None:
    (tmp_path / "town.mdl").write_text(TOWN, encoding="utf-8")
    model = read_model(tmp_path / "town.mdl")
    names = {stock.name for stock in model.stocks}
    (page,) = diagram(model)["views"]
    assert read_back(page, names)["vaccination"] == {("susceptible", "recovered")}
    assert differences(tmp_path / "town.mdl") == (4, [])
    centres = {p["name"]: (p["x"], p["y"]) for p in page["places"] if p["name"] in names}
    a, b = centres["susceptible"], centres["recovered"]
    middle = ((a[0] + b[0]) / 2, a[1])
    through = [
        {"kind": "pipe", "points": [a, middle], "head": False},
        {"kind": "pipe", "points": [middle, b], "head": True},
    ]
    valve = {"kind": "valve", "name": "Shortcut", "x": middle[0], "y": middle[1], "shadow": False}
    planted = {**page, "places": [*page["places"], valve], "lines": [*page["lines"], *through]}
    with pytest.raises(AssertionError):
        read_back(planted, names)


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=14))
def test_any_flows_between_any_stocks_are_drawn_apart(n: int, pairs: list[tuple[int, int]]) -> None:
    """A number beyond the stocks lies outside of the model."""
    ends = [("" if a >= n else f"s{a}", "" if b >= n else f"s{b}") for a, b in pairs]
    flows = {f"f{i}": pair for i, pair in enumerate(ends) if pair[0] != pair[1]}
    sums = {
        f"s{i}": "".join(f"+{f}" * (b == f"s{i}") + f"-{f}" * (a == f"s{i}") for f, (a, b) in flows.items())
        for i in range(n)
    }
    text = "".join(f"{name}= INTEG({net or 0}, 1) ~~|\n" for name, net in sums.items())
    text += "".join(f"{flow}= 1 ~~|\n" for flow in flows) + TOWN[TOWN.index("INITIAL TIME") :]
    with TemporaryDirectory() as folder:
        path = Path(folder, "any.mdl")
        path.write_text(text, encoding="utf-8")
        (page,) = diagram(read_model(path))["views"]
    assert read_back(page, set(sums)) == {flow: {pair} for flow, pair in flows.items()}
