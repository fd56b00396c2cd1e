"""Numbers of two states of the program, compared bit for bit.

    python tools/same_numbers.py REV               this checkout against the commit REV, in a worktree of its own
    python tools/same_numbers.py REV --only park   those whose names hold "park"

Compared are the runs of the corpus and of the park's models, base and each experiment; at fixed points the likelihood
of the shipped studies and of small ones that have each family as exact numbers, intervals, net counts, ratios and
autocorrelated series: log priors, pointwise log densities, random observations, residuals and predictive checks. Both
states read the files of REV. Each runs in a process that imports its own checkout; :data:`PLACES` says where either
keeps what is called. Whatever differs, or one state alone refuses, is named with the largest relative difference, and
the exit code is 1.
"""

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
#: Where either state keeps what is called: the rooms of today, and those before.
PLACES = {
    "read_problem": ("calibration.study.problem",),
    "On": ("calibration.likelihood.posterior",),
    "replicate": ("calibration.likelihood.replicate",),
    "replicate_by_term": ("calibration.likelihood.replicate",),
    "replaced": ("calibration.likelihood.replicate",),
    "fitted": ("calibration.inference.judge.residuals", "calibration.fit.residuals"),
    "predict": ("calibration.assess.posterior_predictive",),
    "forecast": ("calibration.assess.forecast",),
}
#: Points at which a likelihood is compared.
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
    last = "".join(f"{line}\n" for line in lines)
    return f'[[observation]]\nname = "x"\ntable = "{table}"\nkind = "{kind}"\nfamily = "{family}"\n{spread}{last}'


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


def named(name: str) -> Any:
    """What the state that is imported has under a name of :data:`PLACES`."""
    for module in PLACES[name]:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as problem:
            if not module.startswith(str(problem.name)):
                raise
    raise ModuleNotFoundError(f"{name} is in none of {', '.join(PLACES[name])}")


Arrays = Iterator[tuple[str, np.ndarray]]


def columns(rows: Sequence[Any]) -> Arrays:
    """The numbers of rows of a table, field by field; columns of a DataFrame bear the names that fields had."""
    if not isinstance(rows, Sequence):
        quantiles = [name for name in rows if re.fullmatch(r"q0?\.\d+", str(name))]
        named = {"draws": "n_draws", "origin_time": "origin"}
        for name in rows.select_dtypes("number").columns.difference(quantiles, sort=False):
            yield named.get(name, name), rows[name].to_numpy(float)
        if quantiles:
            yield "quantiles", rows[quantiles].to_numpy(float)
        return
    for field in asdict(rows[0]) if rows and is_dataclass(rows[0]) else ():
        values = [getattr(row, field) for row in rows]
        if all(isinstance(value, float | int | tuple) for value in values):
            yield field, np.array(values, dtype=float)


def run_of(path: Path, settings: dict[str, float]) -> Arrays:
    """All columns of a run on the native engine."""
    from cipark_sd import Scenario, read_model, simulate

    run = simulate(read_model(path), Scenario("set", settings), engine="native")
    for name, variable in run.variables.items():
        if variable.dtype.kind == "f":
            yield str(name), variable.values


def likelihood_of(folder: Path) -> Arrays:
    """The arrays of a study at fixed points."""
    density = named("On")("native")(named("read_problem")(folder))
    theta = density.space.from_unit(np.random.default_rng(1).uniform(size=(N, len(density.space))))
    yield "log prior", density.space.log_prior(theta)
    for known in ("earlier", "others"):
        yield f"pointwise, {known}", density.pointwise(theta, fitted_only=False, known=known, weighted=False)
    yield "log posterior", density.log_posterior(theta)
    drawn = named("replicate")(density, theta, np.random.default_rng(2))
    yield "replicates", drawn
    steps = named("replicate_by_term")(density, theta, np.random.default_rng(3), one_step=True)
    yield "one step", np.concatenate(steps, axis=1)
    for i in np.flatnonzero(np.isfinite(drawn).all(axis=1))[:3]:
        synthetic = named("replaced")(density, drawn[i], np.random.default_rng(4))
        yield f"replaced {i}", synthetic.pointwise(theta, fitted_only=False)
    for i in range(12):
        for name, values in columns(named("fitted")(density, theta[i])):
            yield f"fitted {i}, {name}", values
    for name, values in columns(named("predict")(density, theta[:60], np.random.default_rng(5))):
        yield f"predicted, {name}", values
    rows = named("forecast")(density.problem, named("On")("native"), theta[:60], np.random.default_rng(6))
    for name, values in columns(rows):
        yield f"forecast, {name}", values


def settings_of(study: Path) -> dict[str, dict[str, float]]:
    """The base and each experiment of a study."""
    import tomllib

    policies = tomllib.loads((study / "policies.toml").read_text(encoding="utf-8"))["policy"]
    return {"base": {}, **{policy["id"]: policy["set"] for policy in policies}}


def cases(inputs: Path) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """What is compared, by name."""
    for path in sorted(inputs.glob("models/*.*")):
        if path.suffix in (".mdl", ".xmile"):
            yield f"run of {path.name}", lambda path=path: run_of(path, {})
    for name, settings in settings_of(inputs / "calibration" / "studies" / "great_stone").items():
        yield f"run of the park, {name}", lambda settings=settings: run_of(inputs / "models" / "cipark.mdl", settings)
    for path in sorted(inputs.glob("tests/corpus/*/*.*")):
        if path.suffix in (".mdl", ".xmile", ".stmx"):
            yield f"run of {path.parent.name}/{path.name}", lambda path=path: run_of(path, {})
    for file in sorted(inputs.glob("calibration/studies/*/problem.toml")):
        yield f"study {file.parent.name}", lambda file=file: likelihood_of(file.parent)
    for name, text in small_studies():
        yield f"small study, {name}", lambda name=name, text=text: list(small_study(name, text))


def small_study(name: str, text: str) -> Arrays:
    """The arrays of a small study."""
    with tempfile.TemporaryDirectory() as folder:
        for file, content in ({"leaving.mdl": MODEL} | TABLES).items():
            (Path(folder) / file).write_text(content, encoding="utf-8")
        whole = f'title = "{name}"\n{HEAD}{text}{PARAMETERS}'
        (Path(folder) / "problem.toml").write_text(whole, encoding="utf-8")
        yield from likelihood_of(Path(folder))


def write(file: Path, inputs: Path, only: str) -> None:
    """The arrays of the state that is imported; of a case that it refuses, the error in words."""
    arrays: dict[str, np.ndarray] = {}
    for case, make in cases(inputs):
        if only not in case:
            continue
        try:
            with np.errstate(all="ignore"):
                arrays |= {f"{case}: {name}": values for name, values in make()}
        except Exception as problem:
            arrays = {name: values for name, values in arrays.items() if not name.startswith(f"{case}: ")}
            arrays[f"{case}: refused"] = np.array(f"{type(problem).__name__}: {problem}")
    np.savez(file, **{name.replace("/", "\\"): values for name, values in arrays.items()})


def numbers_of(checkout: Path, inputs: Path, only: str, folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkout, made by a process that imports nothing of another."""
    file = folder / "numbers.npz"
    settings = {"PYTHONPATH": str(checkout), "CIPARK_CACHE": str(folder / "cache"), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--write", str(file), "--inputs", str(inputs)]
    subprocess.run([*command, "--only", only, "--checkout", str(checkout)], env=os.environ | settings, check=True)
    with np.load(file) as content:
        return {name.replace("\\", "/"): content[name] for name in content.files}


def difference(before: np.ndarray, now: np.ndarray) -> float:
    """The largest relative difference of two arrays, infinite for other shapes; NaN where they have the same bits."""
    if before.shape != now.shape:
        return np.inf
    if before.astype(float).tobytes() == now.astype(float).tobytes():
        return np.nan
    unequal = (before != now) & ~(np.isnan(before) & np.isnan(now))
    with np.errstate(all="ignore"):
        apart = np.abs(before - now) / np.maximum(np.abs(before), np.abs(now))
    # a zero of the other sign is another bit, and no other number; an infinity or NaN for a number is all the way off
    return float(np.max(np.where(np.isfinite(apart), apart, np.inf)[unequal], initial=0.0))


def differences(before: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> Iterator[tuple[str, str, str]]:
    """Case, kind of array and difference in words of all that is not the same in two states."""
    largest: dict[tuple[str, str], float] = {}
    for name in sorted(before.keys() | now.keys()):
        case, _, array = name.partition(": ")
        kind = re.sub(r" ?\d+", "", array)
        errors = [str(state.get(f"{case}: refused", "runs")) for state in (before, now)]
        if array == "refused":
            # what both refuse is compared by the kind of the error
            if len({error.partition(":")[0] for error in errors}) > 1:
                yield case, kind, f"before: {errors[0]}; now: {errors[1]}"
        elif name in before and name in now and not np.isnan(apart := difference(before[name], now[name])):
            largest[case, kind] = max(apart, largest.get((case, kind), 0.0))
    yield from ((case, kind, f"by {apart:.1e}") for (case, kind), apart in largest.items())


def main() -> int:
    """Compare, or write the numbers of the state that is imported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rev", nargs="?")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--checkout", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        for package in ("cipark_sd", "calibration"):
            place = Path(str(importlib.import_module(package).__file__)).resolve()
            if not place.is_relative_to(options.checkout.resolve()):
                sys.exit(f"{package} was imported from {place}, not from {options.checkout}")
        write(options.write, options.inputs, options.only)
        return 0
    if options.rev is None:
        parser.error("name the commit to compare with")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), options.rev], cwd=ROOT, check=True)
        try:
            states = []
            for name, checkout in (("old", tree), ("new", ROOT)):
                (Path(folder) / name).mkdir()
                states.append(numbers_of(checkout, tree, options.only, Path(folder) / name))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
    before, now = states
    alone = [sorted(a.keys() - b.keys()) for a, b in ((before, now), (now, before))]
    counts = (f"{len(names)} {words} alone" for words, names in zip(("before", "now"), alone, strict=True))
    print(f"{len(before.keys() & now.keys())} arrays in both states, {', '.join(counts)}")
    differing = [f"    {case}, {kind}: {words}" for case, kind, words in differences(before, now)]
    print(f"{len(differing)} differ:", *differing, "all others have the same bits", sep="\n")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
