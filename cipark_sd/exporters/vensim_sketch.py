"""XMILE views as the sketch of a Vensim file; the fonts and colours of another program are left out.

Source: Vensim reference manual, "Sketch Information".
"""

from cipark_sd.model.drawing import STOCK, Arrow, Node, View, views
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock

MARK = "\\\\\\---/// Sketch information - do not modify anything except names\n"
NOTE = "V300  Do not put anything below this section - it will be ignored\n"
FONT = "$192-192-192,0,Arial|11||0-0-0|0-0-0|0-0-255|-1--1--1|-1--1--1|96,96,100,0\n"
_NAME = (45, 11)


def xmile_sketch(model: Model) -> str:
    """The views of an XMILE model as those of a Vensim sketch; nothing where it has no view.

    Warns
    -----
    DrawingWarning
        Where a place in a view is no number: that part is left out.
    """
    pages = []
    for number, view in enumerate(views(model), start=1):
        # what follows a valve is its flow, so that all are written in the order of their numbers
        lines = {node.number: _node(model, view, node) for node in view.nodes}
        lines |= {arrow.number: _arrow(view, arrow) for arrow in view.arrows}
        if lines:
            body = "".join(f"{lines[number]}\n" for number in sorted(lines))
            pages.append(f"{MARK}{NOTE}*{view.title or f'View {number}'}\n{FONT}{body}")
    return "".join(pages)


def _node(model: Model, view: View, node: Node) -> str:
    place = f"{node.x:.0f},{node.y:.0f}"
    if node.kind == "cloud":
        return f"12,{node.number},48,{place},10,8,0,3,0,0,-1,0,0,0"
    if node.kind == "valve":
        return f"11,{node.number},0,{place},6,8,34,3,0,0,1,0,0,0"
    label = model.by_name[node.name].label
    label = '"' + label.replace('"', '\\"') + '"' if set(label) & {",", '"'} else label
    size, shape = _NAME, "8,3,0,0,0,0,0,0"
    if node.shadow:
        shape = "8,2,0,3,-1,0,0,0,128-128-128,0-0-0,|11||128-128-128"
    elif isinstance(model.by_name[node.name], Stock):
        size, shape = STOCK, "3,3,0,0,0,0,0,0"
    elif any(valve.kind == "valve" and valve.name == node.name for valve in view.nodes):
        shape = "40,3,0,0,-1,0,0,0"
    return f"10,{node.number},{label},{place},{size[0]},{size[1]},{shape}"


def _arrow(view: View, arrow: Arrow) -> str:
    by_number = {node.number: node for node in view.nodes}
    source, target = by_number[arrow.source], by_number[arrow.target]
    x, y = arrow.points[0] if arrow.points else (0.0, 0.0)
    kind = f"1,0,{ord(arrow.polarity) if arrow.polarity else 0},0,0,64,0"
    if source.kind == "valve":
        x, y = (source.x + target.x) / 2, (source.y + target.y) / 2
        # an arrow of kind 4 is the one into which the flow goes
        into = next(half for half in view.arrows if half.source == source.number)
        kind = f"{4 if arrow is into else 100},0,0,22,0,0,0"
    return f"1,{arrow.number},{arrow.source},{arrow.target},{kind},-1--1--1,,1|({x:.0f},{y:.0f})|"
