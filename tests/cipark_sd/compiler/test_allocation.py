"""INVERT MATRIX and the allocations on random numbers, against NumPy's and PySD's own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pysd.py_backend.allocation import _allocate_available_1d, _allocate_by_priority_1d
from scipy import optimize, stats

from cipark_sd.base.errors import UnsupportedFeature
from cipark_sd.compiler import unroll
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
N = 200
BY_PRIORITY = """
Claim: a,b,c,d,e,f ~~|
request[Claim] = 1 ~~|
priority[Claim] = 1 ~~|
width = 1 ~~|
supply = 1 ~~|
given[Claim] = ALLOCATE BY PRIORITY(request[Claim], priority[Claim], 6, width, supply) ~~|
"""
AVAILABLE = """
Claim: a,b,c,d,e,f ~~|
kind: ptype, ppriority, pwidth, pextra ~~|
request[Claim] = 1 ~~|
profile[Claim, kind] = 1 ~~|
supply = 1 ~~|
given[Claim] = ALLOCATE AVAILABLE(request[Claim], profile[Claim, ptype], supply) ~~|
"""


def claims() -> dict[str, np.ndarray]:
    """Requests and priorities, among them zeros, ties and gaps of exactly the width; supplies up to too much."""
    rng = np.random.default_rng(5)
    request = rng.choice([0.0, 1.0, 2.5], (N, 6)) + rng.choice([0.0, 1.0], (N, 1)) * rng.uniform(0, 2, (N, 6))
    priority = np.where(rng.random((N, 1)) < 0.5, rng.integers(1, 5, (N, 6)), rng.uniform(0, 5, (N, 6)))
    supply = request.sum(1) * rng.uniform(0, 1.1, N)
    return {"request": request, "priority": priority, "width": rng.choice([0.5, 1.0, 2.0, 7.3], N), "supply": supply}


def test_allocation_by_priority_is_that_of_pysd(write_mdl: Write) -> None:
    drawn = claims()
    given = ensemble(read_model(write_mdl(BY_PRIORITY)), drawn, save=["given"], failures="leave").given.values[:, 0]
    for i in range(N):
        wanted = _allocate_by_priority_1d(*(drawn[name][i] for name in ("request", "priority", "width", "supply")))
        np.testing.assert_allclose(given[i], wanted, rtol=1e-9, atol=1e-12)


def test_all_of_the_supply_is_allocated_and_nobody_gets_more_than_asked_for(write_mdl: Write) -> None:
    drawn = claims()
    given = ensemble(read_model(write_mdl(BY_PRIORITY)), drawn, save=["given"], failures="leave").given.values[:, 0]
    wanted = np.minimum(drawn["supply"], drawn["request"].sum(1))
    np.testing.assert_allclose(given.sum(1), wanted, rtol=1e-12, atol=1e-12)
    assert (given >= 0).all()
    assert (given <= drawn["request"] * (1 + 1e-12)).all()


def test_allocation_of_what_is_available_is_that_of_pysd_to_the_accuracy_of_its_search(write_mdl: Write) -> None:
    drawn = claims()
    rng = np.random.default_rng(6)
    drawn["request"] += 0.1  # PySD's search needs somebody to ask
    profile = np.ones((N, 6, 4))
    profile[:, :, 1], profile[:, :, 2] = drawn.pop("priority"), rng.uniform(0.5, 3, (N, 6))
    del drawn["width"]
    model = read_model(write_mdl(AVAILABLE))
    given = ensemble(model, drawn | {"profile": profile.reshape(N, -1)}, save=["given"], failures="leave").given.values[
        :, 0
    ]
    for i in range(N):
        wanted = _allocate_available_1d(drawn["request"][i], profile[i], drawn["supply"][i])
        np.testing.assert_allclose(given[i], wanted, atol=1e-6)


def test_an_allocation_that_pysd_refuses_is_not_a_number(write_mdl: Write) -> None:
    model = read_model(write_mdl(BY_PRIORITY))
    draws = {"supply": np.array([-1.0, 1, 1, 1]), "width": np.array([1.0, 0, 1, 1])}
    requests = np.ones((4, 6))
    requests[2, 3] = -1
    given = ensemble(model, draws | {"request": requests}, save=["given"], failures="leave").given.values[:, 0]
    assert np.isnan(given[:3]).all()
    assert np.isfinite(given[3]).all()


CURVES = {1: stats.uniform(-0.5, 1), 2: stats.triang(0.5, -0.5, 1), 3: stats.norm(), 4: stats.laplace()}


def test_profiles_of_every_kind_share_out_as_their_distributions_do(write_mdl: Write) -> None:
    drawn = claims()
    rng = np.random.default_rng(8)
    kinds = np.array([1, 2, 3, 4, 3, 2])
    profile = np.ones((N, 6, 4))
    profile[:, :, 0], profile[:, :, 1], profile[:, :, 2] = kinds, drawn["priority"], rng.uniform(0.5, 3, (N, 6))
    stated = ";".join(f"{kind},1,1,0" for kind in kinds)
    model = read_model(write_mdl(AVAILABLE.replace("profile[Claim, kind] = 1", f"profile[Claim, kind] = {stated}")))
    inputs = {"request": drawn["request"], "supply": drawn["supply"], "profile": profile.reshape(N, -1)}
    given = ensemble(model, inputs, save=["given"], failures="leave").given.values[:, 0]
    for i in range(N):
        request, supply = drawn["request"][i], drawn["supply"][i]
        if supply >= request.sum():
            np.testing.assert_array_equal(given[i], request)
            continue

        def shares(price: float, i: int = i, request: np.ndarray = request) -> np.ndarray:
            above = (price - profile[i, :, 1]) / profile[i, :, 2]
            return request * np.array([CURVES[kind].sf(x) for kind, x in zip(kinds, above, strict=True)])

        price = optimize.brentq(lambda x, s=supply, f=shares: f(x).sum() - s, -60, 60, xtol=1e-13)
        np.testing.assert_allclose(given[i], shares(price), atol=1e-9)
        assert given[i].sum() == pytest.approx(supply, rel=1e-9)


def test_a_kind_of_profile_that_no_record_shows_is_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl(AVAILABLE.replace("profile[Claim, kind] = 1", "profile[Claim, kind] = 5")))
    with pytest.raises(UnsupportedFeature, match=r"ALLOCATE AVAILABLE.*another kind than 1 to 4"):
        ensemble(model, [Scenario()], save=["given"])


def test_large_matrices_are_refused_with_the_way_round(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unroll, "MOST_ROWS", 2)
    text = "R: (r1-r3) ~~|\nC: (c1-c3) ~~|\nm[R,C] = 1 ~~|\ninverse[R,C] = INVERT MATRIX(m[R,C], 3) ~~|\n"
    with pytest.raises(UnsupportedFeature, match=r"'inverse' uses INVERT MATRIX of more than 2 rows.*as numbers"):
        ensemble(read_model(write_mdl(text)), [Scenario()], save=["inverse"])


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_a_matrix_of_many_rows_has_the_inverse_of_numpy(write_mdl: Write, engine: str) -> None:
    matrix = np.random.default_rng(11).normal(size=(17, 17))
    rows = "; ".join(", ".join(map(repr, row)) for row in matrix.tolist())
    text = f"R: (r1-r17) ~~|\nC: (c1-c17) ~~|\nm[R,C] = {rows}; ~~|\ninverse[R,C] = INVERT MATRIX(m[R,C], 17) ~~|\n"
    inverse = simulate(read_model(write_mdl(text)), save=["inverse"], engine=engine)["inverse"][0]
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), rtol=1e-10, atol=1e-12)


def test_a_matrix_may_name_one_range_for_rows_and_columns(write_mdl: Write) -> None:
    """The element of the inverse is that of the left side; SDEverywhere's ``invertmatrixio`` has a record of it."""
    text = "R: x1,x2,x3 ~~|\nC: x1,x2,x3 ~~|\nm[R,C] = 2,1,0; 0,3,1; 5,0,4; ~~|\n"
    text += "inverse[R,C] = INVERT MATRIX(m[R,R], 3) ~~|\n"
    inverse = simulate(read_model(write_mdl(text)), save=["inverse"])["inverse"][0]
    np.testing.assert_allclose(inverse, np.linalg.inv([[2, 1, 0], [0, 3, 1], [5, 0, 4]]), rtol=1e-12, atol=1e-15)


def test_inverses_are_those_of_numpy_and_singular_matrices_have_none(write_mdl: Write) -> None:
    text = "R: (r1-r6) ~~|\nC: (c1-c6) ~~|\nm[R,C] = 1 ~~|\ninverse[R,C] = INVERT MATRIX(m[R,C], 6) ~~|\n"
    rng = np.random.default_rng(7)
    matrices = rng.normal(size=(50, 6, 6)) * (rng.random((50, 6, 6)) < 0.7)
    matrices[np.abs(np.linalg.det(matrices)) < 0.1] = np.eye(6)[::-1]
    matrices[0] = 1.0
    model = read_model(write_mdl(text))
    inverse = ensemble(model, {"m": matrices.reshape(50, 36)}, save=["inverse"], failures="leave").inverse.values[:, 0]
    assert not np.isfinite(inverse[0]).all()
    np.testing.assert_allclose(inverse[1:], np.linalg.inv(matrices[1:]), rtol=1e-9, atol=1e-11)


MARKET = """
buyer: b1, b2 ~~|
seller: s1, s2, s3 ~~|
kind: ptype, ppriority, pwidth, pextra ~~|
shape = 3 ~~|
demand[buyer] = 500, 300 ~~|
wish[buyer, ptype] = shape ~~| wish[buyer, ppriority] = buyer ~~| wish[buyer, pwidth] = 1 ~~|
wish[buyer, pextra] = 0 ~~|
supply[seller] = 200, 300, 450 ~~|
cost[seller, ptype] = shape ~~| cost[seller, ppriority] = seller ~~| cost[seller, pwidth] = 2 ~~|
cost[seller, pextra] = 0 ~~|
price = FIND MARKET PRICE(demand[b1], wish[b1, ptype], supply[s1], cost[s1, ptype]) ~~|
bought[buyer] = DEMAND AT PRICE(demand[buyer], wish[buyer, ptype], price) ~~|
sold[seller] = SUPPLY AT PRICE(supply[seller], cost[seller, ptype], price) ~~|
"""
#: The fraction of a quantity below x widths, by kind: Vensim's manual, "Specifying the Curves".
CURVES = {1: stats.uniform(-0.5, 1), 2: stats.triang(0.5, -0.5, 1), 3: stats.norm(), 4: stats.laplace()}


@pytest.mark.parametrize("shape", CURVES)
def test_a_market_price_is_that_of_a_root_finder(write_mdl: Write, shape: int) -> None:
    """Where supply meets demand; all that is bought is sold."""
    model = read_model(write_mdl(MARKET.replace("shape = 3", f"shape = {shape}"), final=0))
    runs = [simulate(model, engine=engine) for engine in ("native", "numpy", "wasm")]
    assert all(run.equals(runs[0]) for run in runs[1:])
    run, curve = runs[0], CURVES[shape]

    def excess(price: float) -> float:
        demand = np.array([500, 300]) * curve.sf(price - np.array([1, 2]))
        return float(demand.sum() - (np.array([200, 300, 450]) * curve.cdf((price - np.array([1, 2, 3])) / 2)).sum())

    price = float(run.price[0])
    assert price == pytest.approx(optimize.brentq(excess, -3, 6, xtol=1e-14), abs=1e-12)
    assert float(run.bought[0].sum()) == pytest.approx(float(run.sold[0].sum()), rel=1e-12)
    assert run.bought[0].to_numpy() == pytest.approx(
        np.array([500, 300]) * curve.sf(price - np.array([1, 2])), abs=1e-9
    )


def test_fixed_quantities_have_no_price_and_an_unknown_kind_is_refused(write_mdl: Write) -> None:
    model = read_model(write_mdl(MARKET.replace("shape = 3", "shape = 0"), final=0))
    run = simulate(model)
    assert np.isnan(run.price[0])
    assert run.bought[0].to_numpy().tolist() == [500, 300]
    assert run.sold[0].to_numpy().tolist() == [200, 300, 450]
    for name in ("price", "sold"):
        with pytest.raises(UnsupportedFeature, match="priority profile of another kind than 0 to 4"):
            simulate(read_model(write_mdl(MARKET.replace("shape = 3", "shape = 5"), final=0)), save=[name])


def test_a_kind_that_changes_in_the_run_gives_the_shares_of_each(write_mdl: Write) -> None:
    """Kind 0 gives all the same part of what they ask for: a run of Vensim's, ``allocate_ptype`` of SDEverywhere."""
    profile = "profile[Claim, ptype] = shape ~~| profile[Claim, ppriority] = Claim ~~| profile[Claim, pwidth] = 2 ~~|"
    equations = AVAILABLE.replace("profile[Claim, kind] = 1 ~~|", f"{profile} profile[Claim, pextra] = 0 ~~|")
    equations = equations.replace("supply = 1 ", "supply = 3.5 ")
    changing = simulate(read_model(write_mdl(f"{equations} shape = INTEGER(Time) ~~|", final=4)))
    for shape in range(5):
        alone = simulate(read_model(write_mdl(f"{equations} shape = {shape} ~~|", final=0))).given[0].to_numpy()
        np.testing.assert_allclose(changing.given.sel(time=shape), alone, rtol=0, atol=1e-9)
        assert alone.sum() == pytest.approx(3.5, abs=1e-9)
    np.testing.assert_allclose(changing.given.sel(time=0), 3.5 / 6, rtol=1e-15)
