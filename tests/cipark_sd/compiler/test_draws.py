"""Random functions beside scipy's distributions: quantiles, counts, bounds, and the same bits on every engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from cipark_sd.base.errors import CiparkError
from cipark_sd.compiler.functions.chance import ROWS
from cipark_sd.compiler.functions.row import Function
from cipark_sd.compiler.primitives import ON_ARRAYS
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl as write_mdl_file
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
N = 4000
#: Of a right distribution one test in ten thousand falls; the draws are always the same ones.
DOUBTFUL = 1e-4
#: A call in Vensim and what scipy has for it, by Vensim's reference manual, fn_random.
CONTINUOUS = {
    "RANDOM UNIFORM(-1, 3, 7)": stats.uniform(-1, 4),
    "RANDOM NORMAL(-99, 99, 2, 3, 0)": stats.norm(2, 3),
    "RANDOM NORMAL(1, 4, 2, 3, 0)": stats.truncnorm(-1 / 3, 2 / 3, 2, 3),
    "RANDOM EXPONENTIAL(0, 1000, 1, 2, 0)": stats.expon(1, 2),
    "RANDOM EXPONENTIAL(2, 5, 1, 2, 0)": stats.truncexpon(1.5, 2, 2),
    "RANDOM BETA(0, 99, 2, 5, 1, 10, 0)": stats.beta(2, 5, 1, 10),
    "RANDOM BETA(0, 1, 0.4, 0.7, 0, 1, 0)": stats.beta(0.4, 0.7),
    "RANDOM GAMMA(0, 999, 3.5, 1, 2, 0)": stats.gamma(3.5, 1, 2),
    "RANDOM GAMMA(0, 999, 0.5, 0, 2, 0)": stats.expon(0, 2),
    "RANDOM TRIANGULAR(-9, 9, 0, 1, 4, 0)": stats.triang(0.25, 0, 4),
    "RANDOM TRIANGULAR(-9, 9, 0, 4, 4, 0)": stats.triang(1.0, 0, 4),
    "RANDOM TRIANGULAR(-9, 9, 1, 1, 4, 0)": stats.triang(0.0, 1, 3),
    "RANDOM WEIBULL(0, 99, 1.5, 1, 2, 0)": stats.weibull_min(1.5, 1, 2 / special.gamma(1 + 1 / 1.5)),
}
DISCRETE = {
    "RANDOM POISSON(0, 99, 2.5, 0, 1, 0)": stats.poisson(2.5),
    "RANDOM POISSON(0, 999, 40, 0, 1, 0)": stats.poisson(40),
    "RANDOM BINOMIAL(0, 99, 0.3, 12, 0, 1, 0)": stats.binom(12, 0.3),
    "RANDOM BINOMIAL(0, 999, 0.8, 100, 0, 1, 0)": stats.binom(100, 0.8),
    "RANDOM NEGATIVE BINOMIAL(0, 999, 0.4, 3, 0, 1, 0)": stats.nbinom(3, 0.4, loc=3),
}
#: The same of XMILE, by isee systems' help, "Statistical builtins".
STELLA = {
    "EXPRND(2, 7)": stats.expon(0, 2),
    "BETA(2, 5)": stats.beta(2, 5),
    "GAMMA(0.5, 3, 1)": stats.gamma(0.5, 0, 3),
    "LOGISTIC(1, 2)": stats.logistic(1, 2),
    "PARETO(3, 2)": stats.pareto(3, 0, 2),
    "TRIANGULAR(0, 1, 4)": stats.triang(0.25, 0, 4),
    "WEIBULL(3, 15.7, NAN, 0, 300)": stats.weibull_min(3, 0, 15.7),
    "NORMAL(2, 3, 1, 1, 4)": stats.truncnorm(-1 / 3, 2 / 3, 2, 3),
}
STELLA_DISCRETE = {
    "POISSON(40)": stats.poisson(40),
    "BINOMIAL(12, 0.3)": stats.binom(12, 0.3),
    "MONTECARLO(20)": stats.bernoulli(0.2),
}


def draws(path: Path, engine: str = "native") -> dict[str, np.ndarray]:
    run = simulate(read_model(path), engine=engine)
    return {str(name): run[name].to_numpy() for name in run.data_vars if str(name).startswith("x")}


def in_vensim(write_mdl: Write, calls: list[str], n: int = N) -> Path:
    equations = "".join(f"x{i} = {call} ~~|\n" for i, call in enumerate(calls))
    return write_mdl(equations, final=n - 1, step=1)


def in_xmile(tmp_path: Path, calls: list[str], n: int = N) -> Path:
    path = tmp_path / "draws.xmile"
    elements = "".join(f'<aux name="x{i}"><eqn>{call}</eqn></aux>' for i, call in enumerate(calls))
    path.write_text(
        '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"><sim_specs><start>0</start>'
        f"<stop>{n - 1}</stop><dt>1</dt></sim_specs><model><variables>{elements}</variables></model></xmile>",
        encoding="utf-8",
    )
    return path


def doubtful(values: np.ndarray, distribution: stats.rv_continuous) -> bool:
    return stats.kstest(values, distribution.cdf).pvalue < DOUBTFUL


def doubtful_counts(values: np.ndarray, distribution: stats.rv_discrete) -> bool:
    low, high = int(distribution.ppf(0.002)), int(distribution.ppf(0.998))
    seen = np.bincount(np.clip(values, low, high).astype(int) - low, minlength=high - low + 1)
    wanted = np.diff(np.concatenate([[0.0], distribution.cdf(np.arange(low, high)), [1.0]]))
    return bool((values != np.rint(values)).any()) or stats.chisquare(seen, wanted * len(values)).pvalue < DOUBTFUL


def test_continuous_draws_of_vensim_have_scipy_s_distributions(write_mdl: Write) -> None:
    found = draws(in_vensim(write_mdl, list(CONTINUOUS)))
    wrong = [call for i, (call, wanted) in enumerate(CONTINUOUS.items()) if doubtful(found[f"x{i}"], wanted)]
    assert wrong == []
    # and a neighbour of each is found out
    moved = [c for i, (c, wanted) in enumerate(CONTINUOUS.items()) if not doubtful(found[f"x{i}"] * 1.15, wanted)]
    assert moved == []


def test_counts_of_vensim_have_scipy_s_distributions(write_mdl: Write) -> None:
    found = draws(in_vensim(write_mdl, list(DISCRETE)))
    assert [c for i, (c, wanted) in enumerate(DISCRETE.items()) if doubtful_counts(found[f"x{i}"], wanted)] == []
    assert [
        c for i, (c, wanted) in enumerate(DISCRETE.items()) if not doubtful_counts(found[f"x{i}"] + 1, wanted)
    ] == []


def test_draws_of_stella_have_scipy_s_distributions(tmp_path: Path) -> None:
    found = draws(in_xmile(tmp_path, [*STELLA, *STELLA_DISCRETE]))
    assert [c for i, (c, wanted) in enumerate(STELLA.items()) if doubtful(found[f"x{i}"], wanted)] == []
    counts = [found[f"x{len(STELLA) + i}"] for i in range(len(STELLA_DISCRETE))]
    wanted_counts = zip(counts, STELLA_DISCRETE.items(), strict=True)
    assert [call for values, (call, wanted) in wanted_counts if doubtful_counts(values, wanted)] == []


def test_draws_lie_between_their_bounds_after_shift_and_stretch(write_mdl: Write) -> None:
    calls = {
        "RANDOM POISSON(3, 12, 4, 1, 2, 0)": (3, 12),
        "RANDOM GAMMA(2, 4, 3, 1, 1, 0)": (2, 4),
        "RANDOM BINOMIAL(0.5, 3.5, 0.3, 12, 0, 1, 0)": (1, 3),
        "RANDOM BETA(0.2, 0.3, 2, 2, 0, 1, 0)": (0.2, 0.3),
        "RANDOM WEIBULL(1, 2, 2, 0, 1, 0)": (1, 2),
        "RANDOM TRIANGULAR(1, 2, 0, 1, 3, 0)": (1, 2),
        # no draw can lie there: the nearer bound
        "RANDOM POISSON(500, 600, 4, 0, 1, 0)": (500, 500),
    }
    found = draws(in_vensim(write_mdl, list(calls), n=500))
    for i, (call, (low, high)) in enumerate(calls.items()):
        values = found[f"x{i}"]
        assert low <= values.min() <= values.max() <= high, call
        assert low == high or len(set(values.tolist())) > 2, call


def test_parameters_without_a_distribution_have_no_draw(write_mdl: Write) -> None:
    calls = ["RANDOM POISSON(0, 9, -1, 0, 1, 0)", "RANDOM BINOMIAL(0, 9, 1.5, 3, 0, 1, 0)"]
    calls += ["RANDOM BETA(0, 1, -1, 2, 0, 1, 0)", "GAMMA LN(0)"]
    assert all(np.isnan(values).all() for values in draws(in_vensim(write_mdl, calls, n=3)).values())


def test_every_engine_draws_the_same_bits_and_each_call_has_a_stream(write_mdl: Write) -> None:
    calls = ["RANDOM BETA(0, 1, 0.4, 0.7, 0, 1, 0)", "RANDOM TRIANGULAR(-9, 9, 0, 1, 4, 0)", *DISCRETE]
    calls += ["RANDOM WEIBULL(0, 99, 1.5, 1, 2, 0)", "GAMMA LN(Time + 0.1)"]
    path = in_vensim(write_mdl, [*calls, calls[0]], n=20)
    numpy, native, wasm = (draws(path, engine) for engine in ("numpy", "native", "wasm"))
    assert all(np.array_equal(numpy[x], native[x]) and np.array_equal(numpy[x], wasm[x]) for x in numpy)
    assert not np.array_equal(native["x0"], native[f"x{len(calls)}"])


def test_they_are_written_and_read_again(write_mdl: Write, tmp_path: Path) -> None:
    calls = [call for call in (*CONTINUOUS, *DISCRETE) if "NEGATIVE" not in call][1::2]
    path = in_vensim(write_mdl, calls, n=50)
    write_xmile(read_model(path), tmp_path / "a.xmile")
    write_mdl_file(read_model(tmp_path / "a.xmile"), tmp_path / "b.mdl")
    before, there, back = (draws(p) for p in (path, tmp_path / "a.xmile", tmp_path / "b.mdl"))
    for i, call in enumerate(calls):
        np.testing.assert_allclose(there[f"x{i}"], before[f"x{i}"], rtol=1e-12, err_msg=call)
        np.testing.assert_allclose(back[f"x{i}"], before[f"x{i}"], rtol=1e-12, err_msg=call)


@pytest.mark.parametrize("row", [row for row in ROWS if row.vensim and "mean" in row.parameters])
def test_a_wrong_number_of_arguments_says_which_there_are(write_mdl: Write, row: Function) -> None:
    with pytest.raises(CiparkError, match=rf"model\.mdl:2:5: .*{row.vensim}\({row.parameters}\) takes"):
        read_model(write_mdl(f"x = {row.vensim}(1) ~~|\n"))


def test_log_gamma_and_its_slope_are_scipy_s() -> None:
    x = np.concatenate([np.geomspace(1e-8, 1e8, 2001), np.arange(1, 60.0)])
    for ours, theirs in ((ON_ARRAYS.lgamma, special.gammaln), (ON_ARRAYS.digamma, special.digamma)):
        assert (np.abs(ours(x) - theirs(x)) <= 1e-14 * np.maximum(1.0, np.abs(theirs(x)))).all()


@pytest.mark.parametrize(("mean", "least"), [(10.0, 0.74), (1e5, 0.85)])
def test_a_candidate_of_poisson_s_is_accepted_so_often(mean: float, least: float) -> None:
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        k = ON_ARRAYS.poisson_try(np.full(20_000, mean), rng.random(20_000), rng.random(20_000))
    assert np.mean(k >= 0) > least
