"""The sketch of a Vensim file becomes XMILE views."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import to_mdl, write_mdl
from cipark_sd.language.write.xmile import to_xmile, write_xmile
from cipark_sd.model.drawing import DrawingWarning, vensim_views
from cipark_sd.model.model import Model

XMILE = {"x": "http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"}
Write = Callable[..., Path]
MARK = "\\\\\\---/// Sketch information - do not modify anything except names\nV300  Do not put anything below\n"
EQUATIONS = "filling = level gap / 2 ~~| level gap = 9 - Tank ~~| Tank = INTEG(filling, 0) ~~| double = Tank * 2 ~~|\n"
FIRST = """*Tank
$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0
10,1,Tank,400,200,40,20,3,3,0,0,0,0,0,0
12,2,48,200,200,10,8,0,3,0,0,-1,0,0,0
1,3,5,1,4,0,0,22,0,0,0,-1--1--1,,1|(350,200)|
1,4,5,2,100,0,0,22,0,0,0,-1--1--1,,1|(250,200)|
11,5,0,300,200,6,8,34,3,0,0,1,0,0,0
10,6,filling,300,220,40,11,40,3,0,0,-1,0,0,0
10,7,level gap,300,300,40,11,8,3,0,0,0,0,0,0
1,8,7,6,1,0,43,0,0,64,0,-1--1--1,,1|(250,260)|
1,9,1,7,1,0,45,0,0,64,0,-1--1--1,,1|(0,0)|
12,10,0,100,100,40,20,8,7,0,0,-1,0,0,0
Some words, with a comma
"""
SECOND = """*Uses
$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0
10,1,Tank,100,100,40,11,8,2,0,3,-1,0,0,0,128-128-128,0-0-0,|11||128-128-128
10,2,double,200,100,40,11,8,3,0,0,0,0,0,0
1,3,1,2,0,0,0,0,0,64,0,-1--1--1,,1|(0,0)|
///---\\\\\\
:L<%^E!@
15:0,0,0,0,0,0
"""


@pytest.fixture
def drawn(write_mdl: Write) -> Model:
    path = write_mdl(EQUATIONS)
    path.write_text(path.read_text(encoding="utf-8") + MARK + FIRST + MARK + SECOND, encoding="utf-8")
    return read_model(path)


def views(model: Model) -> list[etree._Element]:
    found: list[etree._Element] = etree.fromstring(to_xmile(model).encode()).xpath("//x:view", namespaces=XMILE)
    return found


def test_a_sketch_has_its_views_nodes_and_arrows(drawn: Model) -> None:
    first, second = vensim_views(drawn.drawing, where="m")
    assert (first.title, second.title) == ("Tank", "Uses")
    assert [(node.kind, node.name) for node in first.nodes] == [
        ("variable", "tank"),
        ("cloud", "48"),
        ("valve", "filling"),
        ("variable", "filling"),
        ("variable", "level_gap"),
        ("comment", "0"),
    ]
    assert [arrow.polarity for arrow in first.arrows] == ["", "", "+", "-"]
    assert second.nodes[0].shadow
    assert not second.nodes[1].shadow


def test_a_pipe_runs_from_its_cloud_through_the_valve_to_the_border_of_the_stock(drawn: Model) -> None:
    flow = views(drawn)[0].find("x:flow", XMILE)
    assert (flow.get("x"), flow.get("y")) == ("300", "200")
    assert [(pt.get("x"), pt.get("y")) for pt in flow.iter("{*}pt")] == [("200", "200"), ("377.5", "200")]


def test_an_arc_leaves_along_the_circle_through_its_control_point(drawn: Model) -> None:
    (arc, straight) = views(drawn)[0].findall("x:connector", XMILE)
    # the middle (291, 260) is as far from all three points; with y upwards the ray to the start is (9, -40), and the
    # way to the left, clockwise, is at right angles to it: (-40, -9)
    assert float(arc.get("angle")) == pytest.approx(math.degrees(math.atan2(-9, -40)) % 360, abs=0.01)
    assert float(straight.get("angle")) == 225
    assert [line.get("polarity") for line in (arc, straight)] == ["+", "-"]


def test_a_shadow_variable_is_an_alias_and_its_arrows_start_there(drawn: Model) -> None:
    view = views(drawn)[1]
    alias = view.find("x:alias", XMILE)
    assert alias.findtext("x:of", namespaces=XMILE) == "Tank"
    assert view.find("x:connector/x:from/x:alias", XMILE).get("uid") == alias.get("uid")


def test_the_views_of_an_xmile_file_are_kept(drawn: Model, tmp_path: Path) -> None:
    write_xmile(drawn, tmp_path / "a.xmile")
    again = to_xmile(read_model(tmp_path / "a.xmile"))
    assert again.replace("<name>a</name>", "<name>model</name>") == to_xmile(drawn)


def test_a_sketch_line_that_cannot_be_read_is_left_out_with_a_warning() -> None:
    lines = "10,1,Tank,here,200\n10,2,Pump,50,60,40,20,3,3,0,0,0,0,0,0\n"
    with pytest.warns(DrawingWarning, match=r"m\.mdl: a line of the sketch .*'10,1,Tank,here,200'"):
        (view,) = vensim_views(MARK + lines, where="m.mdl")
    assert [node.name for node in view.nodes] == ["pump"]


def test_a_font_with_bars_in_it_is_no_control_point() -> None:
    (view,) = vensim_views(MARK + "1,36,28,32,0,0,45,0,2,64,0,-1--1--1,|12||0-0-0,1|(725,480)|\n", where="m.mdl")
    (arrow,) = view.arrows
    assert (arrow.points, arrow.polarity) == (((725.0, 480.0),), "-")


def test_views_become_a_sketch_that_shows_the_same(drawn: Model, tmp_path: Path) -> None:
    """From Vensim to XMILE and back: the same variables, valves, clouds, shadows and arrows, at the same places."""
    write_xmile(drawn, tmp_path / "m.xmile")
    write_mdl(read_model(tmp_path / "m.xmile"), tmp_path / "again.mdl")
    again = read_model(tmp_path / "again.mdl")

    def shown(model: Model) -> list[set[object]]:
        pages: list[set[object]] = []
        for page in vensim_views(model.drawing, where="m"):
            names = {node.number: (node.kind, node.name, node.shadow) for node in page.nodes if node.kind != "comment"}
            places = {
                (*names[n.number], round(n.x), round(n.y))
                for n in page.nodes
                if n.number in names and n.kind != "valve"
            }
            arrows = {(names[a.source], names[a.target], a.polarity) for a in page.arrows}
            pages.append({*places, *arrows})
        return pages

    assert shown(again) == shown(drawn)
    # an arrow that is bent leaves at the angle at which it did
    angles = [[float(c.get("angle")) for c in v.xpath("x:connector", namespaces=XMILE)] for v in views(drawn)]
    bent = [[float(c.get("angle")) for c in v.xpath("x:connector", namespaces=XMILE)] for v in views(again)]
    assert np.allclose(angles[0], bent[0], atol=2)


def test_a_view_that_cannot_be_read_stops_no_conversion(drawn: Model, tmp_path: Path) -> None:
    write_xmile(drawn, tmp_path / "m.xmile")
    text = (tmp_path / "m.xmile").read_text(encoding="utf-8")
    (tmp_path / "m.xmile").write_text(text.replace('x="400"', 'x="left"'), encoding="utf-8")
    model = read_model(tmp_path / "m.xmile")
    with pytest.warns(DrawingWarning, match="a part of the view cannot be read and is left out: stock"):
        write_mdl(model, tmp_path / "again.mdl")
    assert read_model(tmp_path / "again.mdl").by_name.keys() == model.by_name.keys()


def test_views_of_several_models_are_one_and_a_strange_one_stops_nothing(drawn: Model) -> None:
    view = '<view><aux name="double" x="1" y="nan"/></view>'
    one = f'<views xmlns="{XMILE["x"]}">{view}</views>'
    several = replace(drawn, drawing=one + one)
    assert len(etree.fromstring(to_xmile(several).encode()).xpath("//x:view", namespaces=XMILE)) == 2
    with pytest.warns(DrawingWarning, match="left out: aux"):
        assert "*View 1" in to_mdl(several)
    for write in (to_xmile, to_mdl):
        with pytest.warns(DrawingWarning, match="the views cannot be read and are left out"):
            write(replace(drawn, drawing="<views><isee:view/></views>"))
