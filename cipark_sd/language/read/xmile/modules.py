"""The models of a file as one, and what of it is not computed.

The latter is refused where it changes what the standard computes, and said where it is a setting of the vendor's
program.

A module ``Hares`` whose model has a variable ``Births`` gives ``Hares.Births``. A name inside a module is first looked
for in the module, then, with a leading dot, in the whole model. A connection names a module of any model of the file
by its own name, without those around it, as Stella does where modules stand in modules.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cipark_sd.base.errors import CiparkError, EquationError, ModelFileError, UnknownName
from cipark_sd.base.inputs import number_in
from cipark_sd.base.naming import canonical, plain_label
from cipark_sd.language.read.xmile.conveyors import SIMLIN, Conveyor
from cipark_sd.language.read.xmile.document import Document
from cipark_sd.model.expr import Const
from cipark_sd.model.variables import Constant, Piece, Variable

KINDS = ("stock", "flow", "aux", "gf")
#: Modules in modules, and modules with their variables at all of their places: no model nests or has so many, which
#: takes a second to see.
DEEPEST, MOST_PLACED = 50, 20_000


@dataclass
class Instance:
    """One model of the file at one place: the whole model, or a module.

    ``prefix`` and ``title`` begin the canonical names and the labels of its variables; ``inputs`` holds, for variables
    that are connected, the full name of what they are.
    """

    node: Any
    prefix: str
    title: str
    local: frozenset[str] = frozenset()
    inputs: dict[str, str] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """The full canonical name of what is called ``name`` here."""
        if name.startswith("."):
            return name[1:]
        return self.prefix + name if self.prefix and (name in self.local or "." in name) else name


def instances(document: Document, problems: list[CiparkError]) -> Iterator[tuple[Instance, list[Any]]]:
    """Each model at each place where it stands, with the nodes of its variables, the whole model first.

    Parameters
    ----------
    problems : list of CiparkError
        Grows by modules without a model, and by those that contain themselves.

    Returns
    -------
    iterator of (Instance, list of Element)
    """
    models = list(document.children(document.root, "model"))
    named = {canonical(model.get("name")): model for model in models if model.get("name")}
    whole = next((model for model in models if not model.get("name")), models[0] if models else None)
    if whole is None:
        return
    root = Instance(whole, "", "")
    placed = list(_placed(document, root, named, problems))
    known = {instance.prefix + name for instance, _ in placed for name in instance.local}
    by_end: dict[str, list[str]] = {}
    for name in known:
        by_end.setdefault(".".join(name.split(".")[-2:]), []).append(name)
    for instance, _ in placed:
        for target, source in instance.inputs.items():
            named_so = by_end.get(".".join(source.split(".")[-2:]), [])
            if source not in known and len(named_so) == 1:
                instance.inputs[target] = named_so[0]
    yield from placed


def _placed(
    document: Document, root: Instance, named: dict[str, Any], problems: list[CiparkError]
) -> Iterator[tuple[Instance, list[Any]]]:
    pending: list[tuple[Instance, tuple[str, ...]]] = [(root, ())]
    count = 0
    while pending:
        instance, inside = pending.pop()
        variables = document.variables(instance.node)
        nodes = list(document.children(variables, *KINDS))
        modules = list(document.children(variables, "module"))
        instance.local = frozenset(
            canonical(node.get("name")) for node in (*nodes, *modules) if node.get("name") is not None
        )
        yield instance, nodes
        # two modules in each model, forty deep, are a million million places
        count += 1 + len(nodes)
        if count > MOST_PLACED or len(inside) > DEEPEST:
            reason = f"stands in modules that are more than {DEEPEST} deep or have more than {MOST_PLACED:,} variables"
            problems.append(EquationError(document.path.name, instance.title, reason))
            return
        inner = [_module(document, root, instance, module, named, inside, problems) for module in modules]
        pending += [entry for entry in reversed(inner) if entry is not None]


def _module(
    document: Document,
    root: Instance,
    instance: Instance,
    module: Any,
    named: dict[str, Any],
    inside: tuple[str, ...],
    problems: list[CiparkError],
) -> tuple[Instance, tuple[str, ...]] | None:
    """The model of a module of ``instance`` at its place, with what it is connected to, and the models around it."""
    label = module.get("name", "")
    name = canonical(label)
    model = canonical(module.get("model") or label)
    if model not in named:
        problems.append(UnknownName(model, list(named), kind="model", where=f"{document.path.name}: module {label!r}"))
        return None
    if model in inside:
        problems.append(EquationError(document.path.name, label, "contains itself"))
        return None
    inner = Instance(named[model], f"{instance.prefix}{name}.", f"{instance.title}{plain_label(label)}.")
    for link in document.children(module, "connect"):
        target = canonical(link.get("to", ""))
        # with a leading dot it is a variable of the whole model that takes what the module gives
        taker = root if target.startswith(".") else inner
        taker.inputs[target.removeprefix(f"{name}.").removeprefix(".")] = instance.resolve(
            canonical(link.get("from", ""))
        )
    return inner, (*inside, model)


_TIMES = "let it run by the times of the whole model"
#: Parts of the standard that no engine here has, by what holds them, and the way round each (XMILE 1.1, chapter 4).
_REFUSED: Mapping[str, Mapping[str, str]] = {
    "variable": {
        "oven": "model the oven as a stock with a PULSE outflow",
        "queue": f"{SIMLIN}, or model the queue as a stock that a flow empties",
        "mathml": "write it as an equation in <eqn>",
        "multiplier": "let one flow leave a stock, and another of other units enter the next",
    },
    "macro": {"sim_specs": _TIMES},
    "model": {"sim_specs": _TIMES},
    "sim_specs": {"run": "remove it, so that the whole model runs"},
}
#: What the standard lets an element of an array say for itself; all else is the array's.
_OF_ELEMENTS = ("eqn", "gf", "init_eqn", "event_poster")
#: How many settings a warning names.
_NAMED = 3


def refusals(document: Document) -> Iterator[CiparkError]:
    """All parts that are not computed, each with its line."""
    of_variables = _REFUSED["variable"]
    yield from _parts(document, document.child(document.root, "sim_specs"), "sim_specs", _REFUSED["sim_specs"])
    for holder in document.children(document.root, "model", "macro"):
        kind = document.name(holder)
        yield from _parts(document, holder, plain_label(holder.get("name", kind)), _REFUSED[kind])
        if holder.get("filter"):
            yield document.refused(holder, holder.get("name", kind), "a macro that is an option filter", "remove it")
        nodes = list(document.children(document.variables(holder), *KINDS, *of_variables))
        named = {canonical(node.get("name") or ""): node for node in nodes}
        for node in nodes:
            label = plain_label(node.get("name", document.name(node)))
            if document.name(node) in of_variables:
                yield _of_part(document, node, label, document.name(node), of_variables)
            yield from _parts(document, node, label, of_variables)
            for element in document.children(node, "element"):
                for part in element:
                    tag = document.name(part) if isinstance(part.tag, str) else ""
                    if tag and tag not in _OF_ELEMENTS:
                        feature = f"<{tag}> of a single element of an array"
                        yield document.refused(part, label, feature, f"write <{tag}> once, for the whole array")
            if document.is_conveyor(node):
                yield from Conveyor(document, node, named).refusals()
            if node.get("name") is None and document.name(node) in KINDS:
                element = f"<{document.name(node)}> in line {node.sourceline}"
                yield ModelFileError(document.path, f"has a {element} without a name")


def _parts(document: Document, holder: Any, label: str, ways: Mapping[str, str]) -> Iterator[CiparkError]:
    for part in () if holder is None else document.children(holder, *ways):
        yield _of_part(document, part, label, document.name(part), ways)


def _of_part(document: Document, node: Any, label: str, tag: str, ways: Mapping[str, str]) -> CiparkError:
    return document.refused(node, label, f"the XMILE part <{tag}>", ways[tag])


def say_settings(document: Document, variables: Sequence[Variable]) -> None:
    """Warn of what Stella keeps beside the equations and uses in a run: values of input devices, imports, stops.

    Parameters
    ----------
    variables : sequence of Variable
        As they were read.
    """
    pieces = {v.name: v.pieces[0] for v in variables if isinstance(v, Constant)}
    numbers = {n: p.expr.value for n, p in pieces.items() if isinstance(p, Piece) and isinstance(p.expr, Const)}
    devices = [
        (plain_label(node.get("name", "")), node.get("value", ""))
        for node in document.root.iter()
        if node.tag.rpartition("}")[2].rpartition(":")[2] == "control" and node.get("value")
    ]
    devices = [(name, value) for name, value in devices if number_in(value) != numbers.get(canonical(name))]
    if devices:
        named = ", ".join(f"{name} = {value}" for name, value in devices[:_NAMED])
        unnamed = f" and {len(devices) - _NAMED} more" if len(devices) > _NAMED else ""
        reason = f"its input devices hold {named}{unnamed}; here the equations count"
        _say(document, f"{reason} (--set 'NAME=VALUE' to change)")
    data = document.child(document.root, "data")
    for node in () if data is None else document.children(data, "import"):
        if node.get("enabled", "true") != "false" and node.get("frequency") != "on_demand":
            reason = f"line {node.sourceline}: it imports {node.get('resource', 'a file')!r}, which is not read"
            _say(document, f"{reason}; here the equations count (--set for a constant, --series for data)")
    for node in document.root.iter("{*}event"):
        if node.get("sim_action") == "stop":
            _say(document, f"line {node.sourceline}: an event would stop the run, which goes on here")


def _say(document: Document, reason: str) -> None:
    warnings.warn(f"{document.path.name}: {reason}", stacklevel=2)
