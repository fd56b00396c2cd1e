"""The model with what a catalogue adds to it: numbers, outcomes that are equations, and decisions with their rules.

Every decision has a switch, so that one compiled model runs all alternatives and a draw differs between two of them by
the decision alone. With all switches off each equation has the value that it has without them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import chain

from cipark_sd.analysis.experiments.definition import BASE, Catalogue, Decision, Decisions, Outcome, Policy, Uncertainty
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.naming import canonical, split_key
from cipark_sd.data.scenarios import Scenario
from cipark_sd.model.expr import Binary, Call, Const, Expr, If, Ref, rebuild
from cipark_sd.model.model import CONTROL, Model, digest_of
from cipark_sd.model.variables import Auxiliary, Constant, Piece, Stock, StockPiece, Variable, rewritten
from cipark_sd.verify.checks.evaluate import parse_expression

_ZERO, _ONE = Const(0.0), Const(1.0)


def _switch(decision: Decision) -> str:
    """The constant that is 1 where a decision is taken."""
    return f"decision {decision.id} taken"


def paid(decision: Decision) -> str:
    """The variable that says what a decision has cost by now."""
    return f"decision {decision.id} paid"


def acted(decision: Decision, number: int) -> str:
    """The stock of the time for which a rule has been in force.

    Parameters
    ----------
    number : int
        Of the rule, from 0.

    Returns
    -------
    str
        Its label.
    """
    return f"decision {decision.id} acted {number + 1}"


def of_outcome(id_: str) -> str:
    """The variable of an outcome that is an equation."""
    return f"outcome {id_}"


def alternatives(decisions: Decisions) -> tuple[Policy, ...]:
    """Doing nothing, and each decision with the event that it follows, as policies of the extended model."""
    by_id = {decision.id: decision for decision in decisions.alternatives}
    policies = [Policy(BASE, "Do nothing")]
    for decision in decisions.alternatives:
        taken = [decision, *([by_id[decision.under]] if decision.under else [])]
        policies.append(Policy(decision.id, decision.title, Scenario("", {_switch(act): 1.0 for act in taken})))
    return tuple(policies)


def with_numbers(model: Model, uncertainties: Iterable[Uncertainty]) -> Model:
    """The model with a constant for each number that has a unit of its own: the middle of its range.

    Parameters
    ----------
    uncertainties : iterable of Uncertainty
        Those without a unit, and those whose name the model has, add nothing.
    """
    numbers = []
    for number in uncertainties:
        if number.units and number.name not in model:
            middle = (Piece(Const((number.low + number.high) / 2)),)
            numbers.append(Constant(name=canonical(number.name), label=number.name, units=number.units, pieces=middle))
    return _with(model, numbers)


def extended(model: Model, catalogue: Catalogue) -> Model:
    """The model with all that a catalogue adds.

    Parameters
    ----------
    catalogue : Catalogue
        Read for this model.

    Returns
    -------
    Model
        The very model where the catalogue adds nothing.

    Raises
    ------
    InvalidValue
        Where the model has a variable of a name that is added.
    """
    model = with_numbers(model, catalogue.uncertainties)
    decisions = catalogue.decisions
    acts = [] if decisions is None else list(chain.from_iterable(map(_acts, decisions.alternatives)))
    decided = () if decisions is None else tuple(_levers(model, decisions.alternatives))
    since = 0.0 if decisions is None else decisions.date
    outcomes = [_outcome(outcome, since) for outcome in catalogue.outcomes if outcome.equation]
    levers = {lever.name.removesuffix(_DECIDED) for lever in decided}

    def rewired(expr: Expr) -> Expr:
        match expr:
            case Ref(name, subscripts) if name in levers:
                return Ref(name + _DECIDED, subscripts)
            case _:
                return rebuild(expr, rewired)

    changed = [variable if variable.name in CONTROL else rewritten(variable, rewired) for variable in model.variables]
    added = [rewritten(variable, rewired) for variable in (*acts, *outcomes)]
    extension = _with(replace(model, variables=tuple(changed)), [*added, *decided])
    if not added:
        return model
    # kept runs are told apart by the digest
    return replace(extension, digest=digest_of(model.digest.encode(), repr((added, decided)).encode()))


#: At the end of the name of a lever as it is after all decisions.
_DECIDED = "_as_decided"


def _with(model: Model, added: Sequence[Variable]) -> Model:
    for variable in added:
        if variable.name in model.by_name:
            expected = "a model without a variable of that name: the catalogue adds it"
            raise InvalidValue("the name", variable.label, expected, where=model.name)
    return replace(model, variables=(*model.variables, *added)) if added else model


def _outcome(outcome: Outcome, since: float) -> Variable:
    label, equation = of_outcome(outcome.id), parse_expression(outcome.equation)
    if outcome.total:
        return _stock(label, If(_from(since), equation, _ZERO), outcome.units)
    return _auxiliary(label, equation, outcome.units)


def _acts(decision: Decision) -> Iterator[Variable]:
    """The switch of a decision, its latches, what is in force, for how long, and what it has cost."""
    taken = Ref(canonical(_switch(decision)))
    yield Constant(name=taken.name, label=_switch(decision), pieces=(Piece(_ZERO),))
    in_force = [Ref(_acting(decision, number)) for number in range(len(decision.rules))]
    affordable = _affordable(decision)
    for number, rule in enumerate(decision.rules):
        begun: Expr = _from(rule.date)
        if rule.when:
            label = f"decision {decision.id} begun {number + 1}"
            condition = _all(taken, begun, parse_expression(rule.when))
            yield _stock(label, If(condition, Binary("/", _ONE, Ref("time_step")), _ZERO))
            begun = Binary(">", Ref(canonical(label)), _ZERO)
        acting = If(_all(taken, begun, *affordable), _ONE, _ZERO)
        name = _acting(decision, number)
        yield _auxiliary(name.replace("_", " "), acting)
        yield _stock(acted(decision, number), Ref(name))
    if decision.priced:
        somewhere = _any(*in_force)
        spend = parse_expression(decision.spend) if decision.spend else _ZERO
        yield _stock(f"decision {decision.id} spent", If(somewhere, spend, _ZERO))
        before = [Ref(canonical(acted(decision, number))) for number in range(len(decision.rules))]
        ever = _any(somewhere, *(Binary(">", duration, _ZERO) for duration in before))
        once = If(ever, parse_expression(decision.cost), _ZERO) if decision.cost else _ZERO
        yield _auxiliary(paid(decision), Binary("+", once, _spent(decision)))


def _affordable(decision: Decision) -> list[Expr]:
    """Whether the budget of a decision is left; nothing where it has none."""
    if not (decision.budget and decision.priced):
        return []
    cost = parse_expression(decision.cost) if decision.cost else _ZERO
    budget = parse_expression(decision.budget)
    # what is spent step by step ends when nothing is left, what is paid once may take all
    known = Binary("+", cost, _spent(decision))
    return [Binary("<" if decision.spend else "<=", known, budget)]


def _levers(model: Model, decisions: Sequence[Decision]) -> Iterator[Auxiliary]:
    """Each lever as it is after all decisions: its own value, and what rules in force set it to, the last one last."""
    by_lever: dict[str, list[tuple[tuple[str, ...], str, Expr]]] = {}
    for decision in decisions:
        for number, rule in enumerate(decision.rules):
            for name, text in rule.settings:
                base, elements = split_key(name)
                acts = by_lever.setdefault(base, [])
                acts.append((elements, _acting(decision, number), parse_expression(text)))
    for base, acts in by_lever.items():
        lever = model.by_name[base]
        pieces = []
        for place in model.elements(lever):
            value: Expr = Ref(base, place)
            for elements, acting, equation in acts:
                if elements in ((), place):
                    value = If(Ref(acting), equation, value)
            pieces.append(Piece(value, place))
        label = f"{lever.label} as decided"
        yield Auxiliary(name=base + _DECIDED, label=label, units=lever.units, dims=lever.dims, pieces=tuple(pieces))


def _from(date: float) -> Expr:
    """1 from the step nearest to a date on, as Vensim's STEP."""
    return Call("step", (_ONE, Const(date)))


def _all(*conditions: Expr) -> Expr:
    return reduce(partial(Binary, "and"), conditions)


def _any(*conditions: Expr) -> Expr:
    return reduce(partial(Binary, "or"), conditions)


def _stock(label: str, flow: Expr, units: str = "") -> Stock:
    return Stock(name=canonical(label), label=label, units=units, pieces=(StockPiece(flow, _ZERO),))


def _auxiliary(label: str, value: Expr, units: str = "") -> Auxiliary:
    return Auxiliary(name=canonical(label), label=label, units=units, pieces=(Piece(value),))


def _acting(decision: Decision, number: int) -> str:
    return canonical(f"decision {decision.id} acting {number + 1}")


def _spent(decision: Decision) -> Expr:
    return Ref(canonical(f"decision {decision.id} spent"))
