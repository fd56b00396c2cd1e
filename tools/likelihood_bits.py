"""The likelihood's numbers as digests, so that two states of the program can be compared bit for bit.

``python tools/likelihood_bits.py FILE`` writes a digest for each array: pointwise log densities at prior draws, random
observations, residuals, bands, identifiability and predictive checks, of the shipped studies and of small ones that
have each family as exact numbers, intervals, net counts, ratios and autocorrelated series. With ``--against OLD`` it
names every array that differs and exits with 1.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np

import calibration
from calibration.assess.forecast import forecast
from calibration.assess.posterior_predictive import predict
from calibration.fit.diagnostics import standardised
from calibration.fit.residuals import fitted
from calibration.likelihood.posterior import On, Posterior, posterior
from calibration.likelihood.replicate import replaced, replicate, replicate_by_term
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.engines.registry import choose

N = 200
MODEL = """{UTF-8}
joined = INTEG(joining, 0) ~ firm ~ |
left = INTEG(leaving, 0) ~ firm ~ |
joining = 12 ~ firm/year ~ |
leaving = stock * rate ~ firm/year ~ |
stock = INTEG(joining-leaving, size) ~ firm ~ |
size = 60 ~ firm ~ |
rate = 0.2 ~ 1/year ~ |
INITIAL TIME = 0 ~ year ~ |
FINAL TIME = 12 ~ year ~ |
SAVEPER = TIME STEP ~ year ~ |
TIME STEP = 0.125 ~ year ~ |
"""
HEAD = '[model]\nfile = "leaving.mdl"\n'
PARAMETERS = """
[[parameter]]
name = "size"
bounds = [1, 1000]
prior = { family = "lognormal", median = 100, sigma = 0.5 }
[[parameter]]
name = "rate"
bounds = [0.01, 2]
prior = { family = "lognormal", median = 0.2, sigma = 0.5 }
"""
NOISE = """[[parameter]]
name = "spread"
target = "noise"
bounds = [0.01, 50]
prior = { family = "lognormal", median = 1, sigma = 1 }
"""
PHI = '[[parameter]]\nname = "phi"\ntarget = "noise"\nbounds = [0, 0.95]\n'
TABLES = {
    "exact.csv": "time,value,use\n1,22,fit\n2,37,fit\n2.5,41,check\n3,50,fit\n4,60,fit\n5,61,holdout\n6,63,fit\n"
    "7,66,fit\n",
    "interval.csv": "time,lower,upper\n1,20,24\n2,35,38\n3,48,52\n4,60,60\n5,75,inf\n",
    "net.csv": "time,value\n0,60\n1,61\n2,58\n3,58\n4,52\n5,55\n",
    "ratio.csv": "time,value\n1,0.4\n2,0.7\n3,0.9\n5,1.2\n",
    "split.csv": "time,category,value\n1,a,5\n1,b,3\n1,c,0\n4,a,2\n4,b,6\n4,c,9\n",
    "share.csv": "time,lower,upper,total\n1,5,5,12\n2,3,8,11\n4,6,9,9\n",
}
SPREADS = {
    "poisson": "",
    "nb1": "dispersion",
    "nb2": "dispersion",
    "normal": "sd",
    "lognormal": "sd",
    "student-t": "sd",
    "multinomial": "",
    "dirichlet-multinomial": "concentration",
    "binomial": "",
}
COUNTS, MEASURED = ("poisson", "nb1", "nb2"), ("normal", "lognormal", "student-t")


def _observation(family: str, table: str, kind: str, *lines: str) -> str:
    spread = f'{SPREADS[family]} = "spread"\n' if SPREADS[family] else ""
    more = "".join(f"{line}\n" for line in lines)
    return f'[[observation]]\nname = "x"\ntable = "{table}"\nkind = "{kind}"\nfamily = "{family}"\n{spread}{more}'


def small_studies() -> Iterator[tuple[str, str]]:
    """Each as its name and the text of its ``problem.toml``."""
    for family in (*COUNTS, *MEASURED):
        noise = NOISE if SPREADS[family] else ""
        ends = ('lower = "lower"', 'upper = "upper"')
        studies = {
            "exact": _observation(family, "exact.csv", "increments", 'variable = "left"', "start = 0", 'use = "use"'),
            "interval": _observation(family, "interval.csv", "level", 'variable = "stock"', *ends, "weight = 0.7"),
        }
        if family in COUNTS:
            net = ('variable = "stock"', 'gains = "joined"')
            studies["net"] = _observation(family, "net.csv", "increments", *net)
        if family == "nb1":
            studies["net interval"] = _observation(family, "interval.csv", "increments", *net, "start = 0", *ends)
        if family in MEASURED:
            ratio = ('numerator = "left"', 'denominator = "stock"')
            studies["ratio"] = _observation(family, "ratio.csv", "ratio", *ratio)
            remembered = ('variable = "stock"', 'autocorrelation = "phi"', 'use = "use"', "lag = 0.5")
            studies["memory"] = _observation(family, "exact.csv", "level", *remembered) + PHI
        if family == "student-t":
            studies["dof"] = _observation(family, "net.csv", "level", 'variable = "stock"', "dof = 2.5")
        for name, text in studies.items():
            yield f"{family} {name}", text + noise
    for family in ("multinomial", "dirichlet-multinomial"):
        categories = 'categories = { a = "stock", b = "left", c = "joined" }'
        text = _observation(family, "split.csv", "breakdown", 'category = "category"', categories)
        yield family, text + (NOISE if SPREADS[family] else "")
    parts = ('numerator = "left"', 'denominator = ["stock", "left"]', 'lower = "lower"', 'upper = "upper"')
    yield "binomial", _observation("binomial", "share.csv", "share", *parts, 'total = "total"')


def problems() -> Iterator[tuple[str, CalibrationProblem]]:
    """The shipped studies and the small ones."""
    for file in sorted((Path(str(calibration.__file__)).parent / "studies").glob("*/problem.toml")):
        yield file.parent.name, read_problem(file.parent)
    for name, text in small_studies():
        with tempfile.TemporaryDirectory() as folder:
            for file, content in ({"leaving.mdl": MODEL} | TABLES).items():
                (Path(folder) / file).write_text(content, encoding="utf-8")
            whole = f'title = "{name}"\n{HEAD}{text}{PARAMETERS}'
            (Path(folder) / "problem.toml").write_text(whole, encoding="utf-8")
            yield name, read_problem(Path(folder))


def numbers(problem: CalibrationProblem) -> Iterator[tuple[str, object]]:
    """The arrays of a study, by name."""
    density: Posterior = posterior(problem, choose("native"))
    theta = density.space.from_unit(np.random.default_rng(1).uniform(size=(N, len(density.space))))
    yield "log prior", density.space.log_prior(theta)
    for known in ("earlier", "others"):
        yield f"pointwise, {known}", density.pointwise(theta, fitted_only=False, known=known, weighted=False)
    yield "log posterior", density.log_posterior(theta)
    drawn = replicate(density, theta, np.random.default_rng(2))
    yield "replicates", drawn
    yield "one step", np.concatenate(replicate_by_term(density, theta, np.random.default_rng(3), one_step=True), axis=1)
    usable = np.flatnonzero(np.isfinite(drawn).all(axis=1))
    for i in usable[:3]:
        other = replaced(density, drawn[i], np.random.default_rng(4))
        yield f"replaced {i}", other.pointwise(theta, fitted_only=False)
    for i in range(12):
        yield f"fitted {i}", [astuple(row) for row in fitted(density, theta[i])]
    with np.errstate(all="ignore"):
        yield "standardised", standardised(density, theta[0], density.by_term(theta))
    yield "predicted", [astuple(row) for row in predict(density, theta[:60], np.random.default_rng(5))]
    rows = forecast(problem, On("native"), theta[:60], np.random.default_rng(6))
    yield "forecast", [astuple(row) for row in rows]


def digest(content: object) -> str:
    """Of an array's bits, or of a table's exact text."""
    data = content.tobytes() if isinstance(content, np.ndarray) else repr(content).encode()
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Write, and compare where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--against", type=Path)
    asked = parser.parse_args()
    digests = {f"{name}: {what}": digest(array) for name, problem in problems() for what, array in numbers(problem)}
    asked.file.write_text(json.dumps(digests, indent=1), encoding="utf-8")
    print(f"{len(digests)} arrays")
    if asked.against is None:
        return 0
    before = json.loads(asked.against.read_text(encoding="utf-8"))
    differ = [name for name in sorted(before.keys() | digests.keys()) if before.get(name) != digests.get(name)]
    print("\n".join([*differ, f"{len(differ)} differ"]))
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
