"""The pictures of the park model are of the model: links and signs of its loops, views by sector, the four scales."""

import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from cipark_sd.base.library import bundled
from cipark_sd.base.naming import canonical
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Binary, Call, Const, Expr, Ref
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Stock
from cipark_sd.pages.player.diagram import svg
from cipark_sd.simulations.ensembles import ensemble

sys.path.insert(0, str(ROOT / "tools"))

from causal_loops import Link, draw, faults, meant, read_diagram
from scales import faults as scale_faults

PARK = read_diagram(ROOT / "tools" / "cipark.causal.toml")
#: Instants at which causes are pushed: a link may be idle at some, where a limit binds or an event has not come.
TIMES = (2013.375, 2014.625, 2016.375, 2017.875, 2020.875, 2023.875)
AFTER, STEP = 0.125, 1 / 64
#: Of what the two sides see: the theory leaves the sign open.
GAINS = (0.35, -0.35)


@pytest.fixture(scope="module")
def park():
    return read_model(bundled("cipark.mdl"))


def _pushed(model, names):
    """The model with a constant for each variable that pushes it up from a date on; a stock once."""
    since = Call("step", (Const(1.0), Ref("push_date")))
    kick = Binary("/", Binary("-", since, Call("step", (Const(1.0), Ref("push_end")))), Const(STEP))
    variables = []
    for variable in model.variables:
        if variable.name not in names:
            variables.append(variable)
            continue
        push = Ref(f"push_{variable.name}")

        def moved(expr: Expr, times: Expr, push: Ref = push) -> Expr:
            return Binary("+", expr, Binary("*", push, times))

        match variable:
            case Stock():
                pieces = tuple(replace(piece, flow=moved(piece.flow, kick)) for piece in variable.pieces)
            case Auxiliary():
                pieces = tuple(replace(piece, expr=moved(piece.expr, since)) for piece in variable.pieces)
        variables.append(replace(variable, pieces=pieces))
    constants = [("push_date", 2100.0), ("push_end", 2100.0), *((f"push_{name}", 0.0) for name in sorted(names))]
    variables += [Constant(name=name, label=name, pieces=(Piece(Const(value)),)) for name, value in constants]
    return replace(model, variables=tuple(variables), digest="")


@pytest.fixture(scope="module")
def answers(park):
    """By cause, effect and sign of the open gains: how the effect has moved, per push, at each time that it has."""
    pairs = [meant(PARK, link) for link in PARK.links]
    causes, effects = sorted({cause for cause, _ in pairs}), sorted({effect for _, effect in pairs})
    model = _pushed(park, set(causes))
    # money is short, so that it counts
    always = {"Loan Scale": 0.0, "Founder Equity Rate": 1.0, "CMG Share Taken": 0.1}
    pushes = [(c, s * 1e-4, t) for c in causes for s in (1, -1) for t in TIMES]
    rows = [(*push, gain) for gain in GAINS for push in (("", 0.0, TIMES[0]), *pushes)]
    columns = {f"push_{c}": np.array([size if name == c else 0.0 for name, size, *_ in rows]) for c in causes}
    columns |= {
        "push_date": np.array([t for _, _, t, _ in rows]),
        "push_end": np.array([t + STEP for _, _, t, _ in rows]),
    }
    columns |= {name: np.full(len(rows), value) for name, value in always.items()}
    columns |= {name: np.array([gain for *_, gain in rows]) for name in ("Partner Gain", "Host Gain")}
    found = ensemble(model, columns, save=effects, times=[t + AFTER for t in TIMES], workers=1)
    moved: dict[tuple[str, str, float], list[float]] = {}
    for effect in effects:
        values = found[effect]
        totals = values.sum([dim for dim in values.dims if dim not in ("run", "time")]).transpose("run", "time").values
        for number, (cause, size, time, gain) in enumerate(rows):
            base, place = GAINS.index(gain) * (len(pushes) + 1), TIMES.index(time)
            change = totals[number, place] - totals[base, place]
            if abs(change) > 1e-13 * max(1.0, abs(totals[base, place])):
                moved.setdefault((cause, effect, gain), []).append(change / size)
    return moved


@pytest.mark.parametrize("link", PARK.links, ids=lambda link: f"{link.cause} to {link.effect}")
def test_each_link_has_the_sign_that_is_drawn(link, answers) -> None:
    pair = meant(PARK, link)
    for gain in GAINS:
        found = answers.get((*pair, gain), [])
        expected = np.sign(gain) if link.sign == "?" else {"+": 1, "-": -1}[link.sign]
        assert found, "nothing moves"
        # what is a thousand times smaller has come another way
        large = [change for change in found if abs(change) > 1e-3 * max(map(abs, found))]
        assert set(np.sign(large)) == {expected}, found


def test_the_diagram_shows_all_that_is_in_the_model_or_says_what_it_leaves_out(park) -> None:
    assert faults(park, PARK) == []


def test_a_link_that_the_model_does_not_have_or_that_is_missing_is_told(park) -> None:
    wrong = Link("Sanctions Pressure", "Serviced Land", "+")
    more = faults(park, replace(PARK, links=(*PARK.links, wrong)))
    assert more == ["no link in the model: Sanctions Pressure -> Serviced Land"]
    less = faults(park, replace(PARK, links=PARK.links[1:]))
    assert less == ["in the model, and neither shown nor left out: potential -> approach"]
    stale = faults(park, replace(PARK, left_out={**PARK.left_out, "Connectivity -> Potential": "planted"}))
    assert stale == ["left out, but not in the model: connectivity -> potential"]


def test_no_arrow_passes_over_a_name_and_the_kept_figure_has_the_names_of_the_table(tmp_path: Path) -> None:
    assert draw(PARK, tmp_path / "loops") == 0
    names = lambda text: sorted(re.findall(r">([^<>]+)</text>", text))  # noqa: E731
    kept = (ROOT / "docs" / "figures" / "park_loops.svg").read_text(encoding="utf-8")
    assert names((tmp_path / "loops.svg").read_text(encoding="utf-8")) == names(kept)


def test_an_arrow_over_a_name_is_counted(tmp_path: Path) -> None:
    straight = tuple(link._replace(bend=0.0) for link in PARK.links)
    assert draw(replace(PARK, links=straight), tmp_path / "straight") > 0


def test_each_loop_of_the_diagram_is_one_of_the_named_loops() -> None:
    named = re.findall(r'^name = "([RB]\d+b?) ', bundled("cipark.loops.toml").read_text(encoding="utf-8"), re.M)
    drawn = {re.match(r"[RB]\d+b?", name).group() for name in PARK.loops}
    assert drawn <= set(named)
    told = set(re.findall(r"\(([RB]\d+)", PARK.note))
    assert {name for name in named if not name.endswith("b")} <= drawn | told | {canonical("R5b")}


@pytest.mark.parametrize("name", ["core", "cipark"])
def test_the_diagram_is_that_of_the_model(name: str) -> None:
    kept = (ROOT / "models" / "diagram" / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == svg(read_model(bundled(f"{name}.mdl"))), f"draw it with cipark show {name} --diagram"


def test_the_four_scales_show_each_reference_between_them(park) -> None:
    table = tomllib.loads((ROOT / "tools" / "cipark.scales.toml").read_text(encoding="utf-8"))
    assert scale_faults(park, table) == []
    fewer = {**table, "arrow": [arrow for arrow in table["arrow"] if arrow["to"] != "global"]}
    assert [fault[:22] for fault in scale_faults(park, fewer)] == ["from park to global, a"]
    wrong = {
        **table,
        "arrow": [*table["arrow"], {"from": "firms", "to": "global", "carried": "Operating -> Reputation"}],
    }
    assert scale_faults(park, wrong) == ["Operating -> Reputation does not run from firms to global"]
