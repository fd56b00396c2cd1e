"""The models of a file as one: each module's variables under the module's name, its inputs connected.

A module ``Hares`` whose model has a variable ``Births`` gives ``Hares.Births``. A name inside a module is first looked
for in the module, then, with a leading dot, in the whole model. A connection names a module of any model of the file
by its own name, without those around it, as Stella does where modules stand in modules.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cipark_sd.errors import CiparkError, EquationError, UnknownName
from cipark_sd.frontends.xmile.document import Document
from cipark_sd.naming import canonical, plain_label

KINDS = ("stock", "flow", "aux", "gf")


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
    """Each model at each place where it stands, with the nodes of its variables, the whole model first."""
    models = list(document.children(document.root, "model"))
    named = {canonical(model.get("name")): model for model in models if model.get("name")}
    whole = next((model for model in models if not model.get("name")), models[0] if models else None)
    if whole is None:
        return
    root = Instance(whole, "", "")
    placed = list(_placed(document, root, root, named, (), problems))
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
    document: Document,
    root: Instance,
    instance: Instance,
    named: dict[str, Any],
    inside: tuple[str, ...],
    problems: list[CiparkError],
) -> Iterator[tuple[Instance, list[Any]]]:
    variables = document.variables(instance.node)
    nodes = list(document.children(variables, *KINDS))
    modules = list(document.children(variables, "module"))
    instance.local = frozenset(
        canonical(node.get("name")) for node in (*nodes, *modules) if node.get("name") is not None
    )
    yield instance, nodes
    for module in modules:
        label = module.get("name", "")
        name = canonical(label)
        model = canonical(module.get("model") or label)
        if model not in named:
            problems.append(
                UnknownName(model, list(named), kind="model", where=f"{document.path.name}: module {label!r}")
            )
            continue
        if model in inside:
            problems.append(EquationError(document.path.name, label, "contains itself"))
            continue
        inner = Instance(named[model], f"{instance.prefix}{name}.", f"{instance.title}{plain_label(label)}.")
        for link in document.children(module, "connect"):
            target = canonical(link.get("to", ""))
            # with a leading dot it is a variable of the whole model that takes what the module gives
            taker = root if target.startswith(".") else inner
            taker.inputs[target.removeprefix(f"{name}.").removeprefix(".")] = instance.resolve(
                canonical(link.get("from", ""))
            )
        yield from _placed(document, root, inner, named, (*inside, model), problems)
