"""Arrays as Stella saves them: equations and graphical functions at the variable, at its elements, or one at each."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from exported import by_simlin
from stella import stella

from cipark_sd.base.errors import EquationError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.variables import Lookup
from cipark_sd.simulations.simulation import simulate

DIMS = '<dimensions><dim name="Dish"><elem name="Pizza"/><elem name="Salad"/></dim></dimensions>'
RISING = '<gf><xscale min="0" max="8"/><yscale min="0" max="100"/><ypts>0,80</ypts></gf>'
FALLING = '<gf type="extrapolate"><xscale min="0" max="4"/><ypts>8,4</ypts></gf>'
IS = '<dimensions><dim name="Dish"/></dimensions>'
#: What stands in the variable, and what its two elements are over time.
VARIABLES = {
    "equation at the variable": (
        f'<element subscript="Pizza">{RISING}</element><element subscript="Salad">{FALLING}</element><eqn>TIME</eqn>',
        lambda t: (10 * t, 8 - t),
    ),
    "an array in it": (
        f'<element subscript="Pizza">{RISING}</element><element subscript="Salad">{RISING}</element>'
        "<eqn>TIME*h[Dish]/2 + SUM(h[*]) - 3</eqn>",
        lambda t: (5 * t, 10 * t),
    ),
    "equations at the elements": (
        f'<element subscript="Pizza"><eqn>TIME/2</eqn>{RISING}</element>'
        f'<element subscript="Salad"><eqn>TIME+1</eqn>{FALLING}</element>',
        lambda t: (5 * t, 7 - t),
    ),
    "one table, one plain": (
        f'<element subscript="Pizza"><eqn>TIME</eqn></element>'
        f'<element subscript="Salad"><eqn>TIME</eqn>{FALLING}</element>',
        lambda t: (t, 8 - t),
    ),
    "table at the variable": (
        f'<element subscript="Pizza"><eqn>TIME</eqn></element><element subscript="Salad"><eqn>2*TIME</eqn></element>'
        f"{RISING}",
        lambda t: (10 * t, np.minimum(20 * t, 80)),
    ),
    "a dimension in an element's equation": (
        '<element subscript="Pizza"><eqn>h[Dish]*TIME</eqn></element>'
        '<element subscript="Salad"><eqn>h[Pizza] + h[Dish]*TIME</eqn></element>',
        lambda t: (t, 1 + 2 * t),
    ),
    "one equation overridden": (
        f'<element subscript="Pizza">{RISING}</element><element subscript="Salad"><eqn>7</eqn>{RISING}</element>'
        "<eqn>TIME</eqn>",
        lambda t: (10 * t, 70 + 0 * t),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VARIABLES)
def test_equations_and_tables_are_found_where_they_stand(tmp_path: Path, case: str) -> None:
    inside, expected = VARIABLES[case]
    variables = (
        f'<aux name="g">{IS}{inside}</aux><aux name="used"><eqn>SUM(g) + g[Salad]</eqn></aux>'
        f'<aux name="h">{IS}<element subscript="Pizza"><eqn>1</eqn></element>'
        '<element subscript="Salad"><eqn>2</eqn></element></aux>'
    )
    path = stella(tmp_path / "m.stmx", variables, before=DIMS)
    model = read_model(path)
    write_xmile(model, tmp_path / "again.stmx")
    pizza, salad = expected(np.arange(9.0))
    runs = [simulate(model), simulate(model, engine="numpy"), simulate(read_model(tmp_path / "again.stmx"))]
    if FALLING not in inside:
        write_mdl(model, tmp_path / "m.mdl")
        runs.append(simulate(read_model(tmp_path / "m.mdl")))
    for run in runs:
        np.testing.assert_allclose(run["g"].to_numpy().T, [pizza, salad], rtol=1e-14)
        np.testing.assert_allclose(run["used"], pizza + 2 * salad, rtol=1e-14)
    if FALLING not in inside:
        # an independent reader of the same file; it holds the ends of tables that go on
        theirs = by_simlin(path)
        np.testing.assert_allclose(theirs[["g[pizza]", "g[salad]"]].to_numpy().T, [pizza, salad], rtol=1e-14)


def test_tables_without_any_equation_stay_tables_that_others_call(tmp_path: Path) -> None:
    tables = f'<element subscript="Pizza">{RISING}</element><element subscript="Salad">{FALLING}</element>'
    variables = f'<aux name="g">{IS}{tables}</aux><aux name="used"><eqn>g[Pizza](TIME/2)</eqn></aux>'
    model = read_model(stella(tmp_path / "m.stmx", variables, before=DIMS))
    assert isinstance(model["g"], Lookup)
    np.testing.assert_allclose(simulate(model)["used"], 5 * np.arange(9.0))


def test_the_tables_of_an_array_are_read_by_another_equation(tmp_path: Path) -> None:
    """Also where the array applies them to equations of its own; by element, by dimension, and one at the variable."""
    variables = (
        f'<aux name="g">{IS}<element subscript="Pizza"><eqn>0</eqn>{RISING}</element>'
        f'<element subscript="Salad"><eqn>0</eqn>{FALLING}</element></aux>'
        f'<aux name="one">{IS}<eqn>0</eqn>{RISING}</aux><aux name="first"><eqn>LOOKUP(g[Pizza], TIME)</eqn></aux>'
        f'<aux name="each">{IS}<eqn>LOOKUP(g[Dish], TIME) + LOOKUP(one[Salad], TIME)</eqn></aux>'
    )
    path = stella(tmp_path / "m.stmx", variables, before=DIMS)
    run = simulate(read_model(path))
    t = run.time.to_numpy()
    np.testing.assert_allclose(run["first"], 10 * t)
    np.testing.assert_allclose(run["each"], np.stack([20 * t, 8 + 9 * t], axis=1))
    np.testing.assert_array_equal(run["g"], np.broadcast_to([0.0, 8.0], (len(t), 2)))


def test_tables_that_are_read_need_their_name(tmp_path: Path) -> None:
    variables = (
        f'<aux name="g">{IS}<element subscript="Pizza"><eqn>0</eqn>{RISING}</element>'
        f'<element subscript="Salad"><eqn>0</eqn>{RISING}</element></aux><aux name="g table"><eqn>1</eqn></aux>'
        '<aux name="first"><eqn>LOOKUP(g[Pizza], TIME)</eqn></aux>'
    )
    with pytest.raises(EquationError, match="is called like the tables of an array"):
        read_model(stella(tmp_path / "m.stmx", variables, before=DIMS))


def test_a_dimension_twice_means_its_first_and_its_second_place(tmp_path: Path) -> None:
    """As Stella saves contact matrices of epidemics: one equation of a matrix by age and age."""
    twice = '<dimensions><dim name="Dish"/><dim name="Dish"/></dimensions>'
    elements = "".join(
        f'<element subscript="{row}, {column}"><eqn>{value}</eqn></element>'
        for (row, column), value in zip(product(("Pizza", "Salad"), repeat=2), (1, 2, 3, 4), strict=True)
    )
    of = '<aux name="m"><eqn>{}</eqn>' + twice + '</aux><stock name="s"><eqn>{}</eqn>' + twice + "</stock>"
    contact = f'<aux name="contact">{twice}{elements}</aux><aux name="h"><eqn>5</eqn>{IS}</aux>'
    for equation in ("contact[Dish, Dish]", "contact"):
        variables = contact + of.format(f"10 * {equation}", equation)
        run = simulate(read_model(stella(tmp_path / "m.stmx", variables, before=DIMS)))
        assert run["m"][0].values.tolist() == [[10, 20], [30, 40]]
        assert run["s"][0].values.tolist() == [[1, 2], [3, 4]]
    for equations in (("h[Dish]", "1"), ("h", "1"), ("1", "h[Dish]")):
        path = stella(tmp_path / "m.stmx", contact + of.format(*equations), before=DIMS)
        with pytest.raises(
            EquationError, match=r"m.stmx:\d+: .* has the dimension 'Dish' twice and reads 'h' with one"
        ):
            read_model(path)


def test_a_dimension_is_the_number_of_its_element_in_the_equation_of_one(tmp_path: Path) -> None:
    """XMILE 1.0 has dimensions in equations as numbers; Stella writes one equation for each element in the same way."""
    parts = (f'<element subscript="{dish}"><eqn>Dish*10 + h[Dish]</eqn></element>' for dish in ("Pizza", "Salad"))
    variables = (
        f'<aux name="h">{IS}<eqn>Dish^2</eqn></aux><aux name="x">{IS}{"".join(parts)}</aux>'
        f'<stock name="S">{IS}<element subscript="Pizza"><eqn>7</eqn></element>'
        '<element subscript="Salad"><eqn>Dish/4</eqn></element></stock>'
    )
    path = stella(tmp_path / "m.stmx", variables, before=DIMS)
    run = simulate(read_model(path), save=["x", "s"])
    assert run["x"][0].values.tolist() == [11, 24]
    assert run["s"][0].values.tolist() == [7, 0.5]
    for name, elements in by_simlin(path).items():
        if name.startswith("x["):
            np.testing.assert_array_equal(elements, 11 if "pizza" in name else 24)


@pytest.mark.parametrize(("supply", "expected"), [(0, [0, 0]), (2, [2, 0]), (5, [3, 2]), (9, [3, 4])])
def test_an_allocation_without_a_width_needs_no_kind(tmp_path: Path, supply: float, expected: list[float]) -> None:
    """A higher priority has all that it asks for before a lower one has anything; equals share by what they ask for."""
    each = '<aux name="{}">{}<element subscript="Pizza"><eqn>{}</eqn></element>'
    arrays = "".join(
        each.format(name, IS, first) + f'<element subscript="Salad"><eqn>{second}</eqn></element></aux>'
        for name, first, second in (("ask", 3, 4), ("first", 2, 1), ("same", 1, 1))
    )
    of = '<aux name="{}"><eqn>ALLOCATE({}, Dish, ask, {}, {})</eqn>{}</aux>'
    calls = of.format("given", supply, "first", 0, IS) + of.format("even", supply, "same", 0, IS)
    model = read_model(stella(tmp_path / "m.stmx", arrays + calls, before=DIMS))
    run = simulate(model)
    assert run["given"][0].values.tolist() == expected
    np.testing.assert_allclose(run["even"][0], np.array([3, 4]) * min(1, supply / 7), rtol=1e-15)
    write_xmile(model, tmp_path / "again.stmx")
    assert simulate(read_model(tmp_path / "again.stmx")).equals(run)
    with pytest.raises(EquationError, match="with a width and without a kind of profile; give the kind"):
        simulate(
            read_model(stella(tmp_path / "m.stmx", arrays + of.format("given", supply, "first", 1, IS), before=DIMS))
        )
