"""Chains of stocks: joined by flows that leave one and enter another, together they change by what enters and leaves.

Each chain is found in the equations: a flow joins two stocks where it is a term of both net flows, subtracted from one
and added to the other. What enters or leaves the chain as a whole is added up beside it while the model runs, by the
same method and steps, so that the sums agree whatever both are; what is left over was made or lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cipark_sd.checks.outcome import Finding
from cipark_sd.compiler.unroll import flat_name
from cipark_sd.engines.programs import flat_model
from cipark_sd.model.expr import Binary, Const, Expr, Ref
from cipark_sd.model.links import terms
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Stock, StockPiece

#: Roundings over a run, as a share of the largest amount in the chain and of what moves in a step.
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Chain:
    """Stocks that flows join, each an element of a variable; ``crossing`` are the flows that enter or leave them all.

    Parameters
    ----------
    stocks, inside : tuple of Ref
        ``inside`` are the flows from one of the stocks to another.
    crossing : tuple of (int, Ref)
        What a unit of each flow adds to all stocks together.
    account : str
        The variable beside the model that adds up what crosses.
    """

    stocks: tuple[Ref, ...]
    inside: tuple[Ref, ...]
    crossing: tuple[tuple[int, Ref], ...]
    account: str


def chains(model: Model) -> tuple[Chain, ...]:
    """The chains of two stocks or more; inside a macro there are none."""
    elements = {flat_name(v.name, e): Ref(v.name, e) for v in model.variables for e in model.elements(v)}
    added: dict[str, dict[str, int]] = {}
    for stock in flat_model(model).stocks:
        flows = terms(stock.pieces[0].flow)
        if stock.name in elements and flows is not None and all(ref.name in elements for _, ref in flows):
            added[stock.name] = defaultdict(int)
            for sign, ref in flows:
                added[stock.name][ref.name] += sign
    by_flow: dict[str, dict[str, int]] = defaultdict(dict)
    for name, flows_of_it in added.items():
        for flow, sign in flows_of_it.items():
            by_flow[flow][name] = sign
    joined = {flow: ends for flow, ends in by_flow.items() if min(ends.values()) < 0 < max(ends.values())}
    listed: list[Chain] = []
    for members in _groups(list(added), list(joined.values())):
        touching = dict.fromkeys(flow for name in members for flow in added[name])
        totals = {flow: sum(added[name].get(flow, 0) for name in members) for flow in touching}
        account = f"conserved_{len(listed) + 1}"
        while account in model.by_name:
            account += "_"
        listed.append(
            Chain(
                tuple(elements[name] for name in members),
                tuple(elements[flow] for flow in touching if flow in joined),
                tuple((total, elements[flow]) for flow, total in totals.items() if total),
                account,
            )
        )
    return tuple(listed)


def _groups(names: Sequence[str], joined: Sequence[Mapping[str, int]]) -> Iterator[list[str]]:
    """The names that are joined to others, group by group, in order."""
    group = {name: name for name in names}

    def root(name: str) -> str:
        while group[name] != name:
            group[name] = group[group[name]]
            name = group[name]
        return name

    for ends in joined:
        first, *linked_to = map(root, ends)
        for linked in linked_to:
            group[root(linked)] = root(first)
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        members[root(name)].append(name)
    return (joined_names for joined_names in members.values() if len(joined_names) > 1)


def with_accounts(model: Model, every: Sequence[Chain]) -> Model:
    """The model with a stock beside it for each chain that something enters or leaves."""
    accounts = []
    for chain in every:
        net: Expr = Const(0.0)
        for number, flow in chain.crossing:
            part = flow if abs(number) == 1 else Const(float(abs(number))) * flow
            net = Binary("+" if number > 0 else "-", net, part)
        label = f"What enters and leaves {_label(model, chain)}"
        accounts.append(Stock(name=chain.account, label=label, pieces=(StockPiece(net, Const(0.0)),)))
    return replace(model, variables=(*model.variables, *accounts)) if accounts else model


def unaccounted(model: Model, run: str, result: xr.Dataset, every: Sequence[Chain]) -> Iterator[Finding]:
    """A finding for each chain whose stocks change by something else than what enters and leaves, with how much."""
    times, column = result["time"].to_numpy(), _columns(model, result)
    step = float(np.min(np.diff(times), initial=1.0))
    for chain in every:
        amounts = np.array([column(ref) for ref in chain.stocks])
        account = result.variables[chain.account].to_numpy() * np.ones_like(times)
        moving = [np.abs(column(ref)) for ref in (*chain.inside, *(flow for _, flow in chain.crossing))]
        change = amounts.sum(axis=0) - amounts[:, 0].sum()
        size = np.abs(amounts).sum(axis=0) + np.abs(account) + step * np.sum(moving, axis=0)
        # values that are no numbers are another check's
        there = np.isfinite(size)
        largest = np.maximum.accumulate(np.where(there, size, 0.0))
        wrong = np.flatnonzero(there & (np.abs(change - account) > ROUND_OFF * largest))
        if wrong.size:
            at, last = int(wrong[0]), int(wrong[-1])
            apart = change[last] - account[last]
            remark = f"run {run}; {apart:+.6g} by {float(times[last]):g}: {'made' if apart > 0 else 'lost'}"
            claim = f"{_label(model, chain)}: change = what enters - what leaves"
            yield Finding(claim, False, float(times[at]), float(change[at]), float(account[at]), remark)


def _columns(model: Model, result: xr.Dataset) -> Callable[[Ref], NDArray[np.float64]]:
    times = result.sizes["time"]
    tables: dict[str, NDArray[np.float64]] = {}

    def column(ref: Ref) -> NDArray[np.float64]:
        variable = model.by_name[ref.name]
        if ref.name not in tables:
            values = result.variables[ref.name].transpose("time", ..., missing_dims="ignore").to_numpy()
            shape = values.shape[values.ndim - len(variable.dims) :]
            tables[ref.name] = np.broadcast_to(values, (times, *shape)).reshape(times, -1)
        place = 0
        for dim, element in zip(variable.dims, ref.subscripts, strict=True):
            members = model.dimension_by_name[dim].elements
            place = place * len(members) + members.index(element)
        return tables[ref.name][:, place]

    return column


def _label(model: Model, chain: Chain) -> str:
    names = []
    for ref in chain.stocks[:6]:
        variable = model.by_name[ref.name]
        labels = model.element_labels(variable, ref.subscripts)
        names.append(variable.label + (f"[{', '.join(labels)}]" if labels else ""))
    hidden = len(chain.stocks) - len(names)
    return " + ".join(names) + (f" and {hidden} more" if hidden else "")
