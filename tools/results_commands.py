"""What each kept result is: its commands, the files it depends on, and where its numbers stand in the output."""

import json
import os
import re
import shlex
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import park_loops
import xarray as xr
from click.testing import CliRunner
from core_results import ceremonies, core_fit, park_on_core_windows
from later_draws import DECIDED
from later_full import later_full, later_loops
from later_next import later_next
from later_results import later_fit, later_score
from parks_results import parks

from calibration.assess.holdout import MODEL, RollingOrigin, rolling_origin
from calibration.likelihood.posterior import On
from calibration.study.problem import read_problem
from cipark_sd import read_model, simulate
from cipark_sd.commands.cli import cli
from cipark_sd.model.expr import Grid
from cipark_sd.model.model import Model

ROOT = Path(__file__).resolve().parent.parent
PARK_MODEL = ROOT / "models" / "cipark.mdl"
Numbers = dict[str, Any]


def run_command(command: str, folder: Path) -> str:
    """Run a `cipark` command in a folder and return what it prints; exit code 1 is a finding, not a failure."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        outcome = CliRunner().invoke(cli, shlex.split(command.replace("ROOT", str(ROOT)))[1:])
    finally:
        os.chdir(before)
    if outcome.exit_code not in (0, 1) or (outcome.exception and not isinstance(outcome.exception, SystemExit)):
        raise RuntimeError(f"{command}: {outcome.output}") from outcome.exception
    return outcome.output


@dataclass(frozen=True)
class Result:
    """Commands that are run in an empty folder, and a reader of what they leave there and print.

    `ROOT` in a command is the project's folder; marked blocks of the page `files` are written into the folder first.
    `cheap` results are made again by the tests; the others are compared with the files that they were made from.
    """

    name: str
    commands: tuple[str, ...]
    inputs: tuple[str, ...]
    read: Callable[[Path, str], Numbers]
    cheap: bool = False
    files: str = ""
    #: Whether the headline records in the folder are those of another result, which keeps them.
    shares_records: bool = False

    def numbers(self, folder: Path) -> Numbers:
        """Run the commands and read the numbers."""
        for name, text in marked_files(self.files) if self.files else ():
            (folder / name).write_text(text, encoding="utf-8")
        printed = [run_command(command, folder) for command in self.commands if command.startswith("cipark ")]
        return self.read(folder, "\n".join(printed))


def marked_files(page: str) -> list[tuple[str, str]]:
    """Names and contents of the blocks of a page that are files of its example."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"<!-- file: (\S+) -->\n```\n(.*?)```", text, flags=re.DOTALL)


def _fit(folder: Path, printed: str) -> Numbers:
    fit = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    squares = {entry["observation"]: entry["sum_of_squares"] for entry in fit["residuals"]}
    return {"squares": squares, "collinearity": fit["collinearity"]}


#: Of a profile, by how many of its ends are numbers.
SIDES = ("none", "one", "both")
#: Verdicts of what data bound with no help from priors or from constants that are held.
ALONE = ("bounded by the data", "bounded from below only", "bounded from above only")


def _park_fit(folder: Path, printed: str) -> Numbers:
    folder = folder / "cipark-output" / "great_stone"
    fit = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    model_parameters = list(pd.read_csv(folder / "fisher_information.csv", index_col=0).index)
    ends = {name: [side["lower"], side["upper"]] for name, side in fit["profiles"].items()}
    bounded: dict[str, list[str]] = {sides: [] for sides in SIDES}
    for name in model_parameters:
        bounded[SIDES[2 - ends[name].count(None)]].append(name)
    alone = [name for name in model_parameters if fit["profiles"][name]["verdict"] in ALONE]
    return {
        "model_digest": fit["model_digest"],
        "estimate": fit["parameters"],
        "percent": 100 * fit["level"],
        "count": {sides: len(names) for sides, names in bounded.items()},
        **_park_answer(folder, printed),
        "bounded": bounded,
        "alone": alone,
        "count_leaning": len(model_parameters) - len(alone),
        "course": _course(pd.read_csv(folder / "course_errors.csv").set_index("observation").loc["residents"]),
    }


def _park_answer(folder: Path, printed: str) -> Numbers:
    counted = pd.read_csv(ROOT / STUDIES / "great_stone" / "data" / "residents.csv", comment="#")
    return {"counted": float(counted.loc[counted["date"] == "2019-12-31", "residents"].item())}


def _course(row: pd.Series) -> Numbers:
    """How a series and the model part, shares in per cent."""
    shares = ("bias", "variance", "covariance", "without_phase", *(name for name in row.index if "chance" in name))
    numbers = {name: float(value) * (100 if name in shares else 1) for name, value in row.items()}
    return numbers | {"earlier": -numbers["phase"]}


def _park_policy(folder: Path) -> Numbers:
    """Differences in residents at 2019.9 over structures, and how many expectations are of each class."""
    effects = pd.read_csv(folder / "effects.csv")
    effects = effects[
        (effects["outcome"] == "residents") & (effects["time"] == 2019.9) & (effects["rival"] != "weighted")
    ]
    claims = pd.read_csv(folder / "claims.csv").drop_duplicates(["policy", "expected"])
    medians = effects.pivot(index="policy", columns="rival", values="median")
    able = ["M1", "M9"]  # where the founder is as able as China Merchants
    alone = -medians.loc["E1"]
    return {
        "lost": {name: [-float(row.max()), -float(row.min())] for name, row in medians.iterrows()},
        "without_china_merchants": {
            "able_founder": [float(alone[able].min()), float(alone[able].max())],
            "others": [float(alone.drop(able).min()), float(alone.drop(able).max())],
        },
        "expectations": len(claims),
        "classes": {kind: int((claims["class"] == kind).sum()) for kind in ("built in", "informed", "undecided")},
    }


KNOCKOUTS = "cipark policy great_stone_knockouts --part knockouts --runs 200"


def _park_knockouts(folder: Path, printed: str) -> Numbers:
    """Knock-outs by group, and every claim of the park study with its probabilities before and after the counts."""
    output = folder / "cipark-output"
    frame = pd.read_csv(output / "great_stone_knockouts-policy" / "knockouts.csv")
    after = frame[frame["when"] == "posterior"]
    groups = []
    for title, of_group in frame.groupby("group", sort=False):
        rows = []
        for policy, of in of_group.groupby("policy", sort=False):
            base = of[of["structure"] == "M0"].set_index("when")
            active = of[(of["when"] == "posterior") & ~of["idle"].astype(bool)]["median"]
            answers = ("median", "fewer", "none", "more")
            rows.append(
                {
                    "id": policy,
                    "title": of["title"].iloc[0],
                    "verdict": of["verdict"].iloc[0],
                    "medians": [float(active.min()), float(active.max())],
                    **{
                        draws: {key: float(base.loc[draws, key]) for key in answers}
                        | {"band": [float(base.loc[draws, key]) for key in ("low90", "high90")]}
                        for draws in ("prior", "posterior")
                    },
                }
            )
        groups.append({"title": title, "year": int(of_group["time"].iloc[0]) - 1, "rows": rows})
    return {
        "command": KNOCKOUTS,
        "groups": groups,
        "draws": int(after["n"].max()),
        "prior_draws": int(frame[frame["when"] == "prior"]["n"].max()),
        "structures": int(frame["structure"].nunique()),
        "claims": _claims(pd.read_csv(output / "great_stone-policy" / "claims.csv")),
    }


def _claims(frame: pd.DataFrame) -> list[Numbers]:
    """One entry for each claim: its class, and its probabilities in the base and over the structures that have it."""
    rows = []
    for (_, expected), of in frame.groupby(["policy", "expected"], sort=False):
        active = of[~of["no_effect"].astype(bool)]
        base = of[of["structure"] == "M0"].iloc[0]
        side = of["side"].fillna("").iloc[0]
        rows.append(
            {
                "asked_of": "full",
                "claim": f"{of['title'].iloc[0]}: {expected}",
                "class": f"{of['class'].iloc[0]}{', against it' if side == 'against' else ''}",
                "base": [float(base["prior"]), float(base["posterior"])],
                **{key: [float(active[key].min()), float(active[key].max())] for key in ("prior", "posterior")},
                "structures": len(active),
                "of": len(of),
            }
        )
    return rows


def _park_loops(folder: Path, printed: str) -> Numbers:
    file = folder / park_loops.FILE
    if not file.exists():
        park_loops.scored(folder).to_netcdf(file, engine="h5netcdf")
    with xr.open_dataset(file, engine="h5netcdf") as scores:
        return park_loops.numbers(scores.load())


def _unreformed() -> list[str]:
    """Structures of the park study in which the reform of 2017 has no effect."""
    study = tomllib.loads((ROOT / STUDIES / "great_stone" / "problem.toml").read_text(encoding="utf-8"))
    return [rival["name"] for rival in study["rival"] if rival["set"].get("SW Reform") == 0]


def curves_ahead() -> pd.DataFrame:
    """Scores of the curves of great_stone_curves at the origins of the study."""
    problem = read_problem(ROOT / STUDIES / "great_stone_curves")
    rng = np.random.default_rng(problem.method.seed)
    return rolling_origin(problem, On("native"), rng, rivals=problem.rivals).scores


def _park_structures(folder: Path, printed: str) -> Numbers:
    """How well each structure predicts, the forecasts of rows held out, and policies over sampled posteriors."""
    policy = _park_policy(folder / "cipark-output" / "great_stone-policy")
    folder = folder / "cipark-output" / "great_stone"
    structures = pd.read_csv(folder / "rivals.csv")
    unseen = pd.read_csv(folder / "contraction.csv")
    unreformed = structures["name"].isin(_unreformed())
    # what a model of the park has to beat: curves without a mechanism, at the same origins
    curves = curves_ahead()
    scores = pd.concat([pd.read_csv(folder / "holdout.csv"), curves[curves["forecaster"] != MODEL]])
    scores = RollingOrigin(scores, ()).summary
    posterior = pd.read_csv(folder / "posterior.csv", comment="#")
    columns = ("elpd_behind", "behind_error", "probability")
    return {
        "converged": bool(structures["converged"].all()),
        "structures": [
            {"id": row["name"], "title": row["why"], **{key: float(row[key]) for key in columns}}
            for _, row in structures.iterrows()
        ],
        "furthest": {"with": _behind(structures[~unreformed].iloc[-1])},
        "nearest_without": _behind(structures[unreformed].iloc[0]),
        "count_with": int((~unreformed).sum()),
        "count_without": int(unreformed.sum()),
        "parameters": len(posterior),
        "unseen": list(unseen.loc[unseen["verdict"].str.startswith("the data cannot see it"), "name"]),
        "unseen_count": int(unseen["verdict"].str.startswith("the data cannot see it").sum()),
        "forecasters": [
            {
                "name": row["forecaster"],
                **{key: float(row[key]) for key in ("mean_log_score", "log_score_error", "mean_crps", "crps_error")},
                "inside_90": 100 * float(row["coverage_90"]),
            }
            for _, row in scores.iterrows()
        ],
        "held_out": {key: int(scores.iloc[0][key]) for key in ("n", "n_numbers")},
        "policy": policy,
    }


def _behind(structure: pd.Series) -> dict[str, float]:
    return {key: float(structure[key]) for key in ("elpd_behind", "behind_error")}


def _posterior(folder: Path, printed: str) -> Numbers:
    table = pd.read_csv(folder / "posterior.csv", comment="#").set_index("name")
    return {**_fit(folder, printed), "mean": table["mean"].to_dict()}


def _flu(folder: Path, printed: str) -> Numbers:
    draws = xr.open_datatree(folder / "draws.nc", engine="h5netcdf")["posterior"].to_dataset()
    names = {str(name).lower(): draws[name] for name in draws}
    beta, gamma = names["beta"], names["gamma"]
    return {**_posterior(folder, printed), "R0": float((beta / gamma).mean()), "days": float((1 / gamma).mean())}


FITTED = (
    "Approach Hazard",
    "Pool Scale",
    "Start Time Scale",
    "Construction Scale",
    "Reform Weight",
    "Infrastructure Floor",
)


def _park_runs() -> Numbers:
    """Sizes of the model, its fitted constants, and its base run at some dates."""
    model = read_model(PARK_MODEL)
    outputs = {"residents": "total_residents", "registered": "total_registered", "operating": "total_operating"}
    outputs |= {"construction": "total_under_construction"}
    dates = (2015.33, 2015.36, 2017, 2018, 2018.35, 2018.36, 2019, 2019.9, 2019.99)
    run = simulate(model, engine="native")
    kinds = [type(variable).__name__ for variable in model.variables]
    return {
        "variables": len(kinds),
        "constants": kinds.count("Constant"),
        "fitted": {name: _values(model, name) for name in FITTED},
        "base": {
            name: {f"y{date:g}".replace(".", "_"): float(np.interp(date, run["time"], run[column])) for date in dates}
            for name, column in outputs.items()
        },
    }


def _values(model: Model, name: str) -> list[float]:
    (constant,) = (variable for variable in model.constants if variable.label == name)
    (piece,) = constant.pieces
    return list(piece.expr.values) if isinstance(piece.expr, Grid) else [piece.expr.value]


def _checks(folder: Path, printed: str) -> Numbers:
    report = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
    return {
        "passed": sum(entry["status"] == "pass" for entry in report),
        "count_failed": sum(entry["status"] == "fail" for entry in report),
    }


def _core_forecast() -> Numbers:
    """Medians and 90 % of the frozen forecast, as they are printed."""
    with xr.open_dataset(ROOT / FORECAST, engine="h5netcdf") as dataset:
        draws = {"r": dataset["residents"].load(), "w": dataset["working"].load()}

    def shown(kind: str, scenario: str, structure: str, year: int) -> str:
        values = draws[kind].sel(scenario=scenario, structure=structure, year=year).values
        if np.isnan(values).all():
            return "-"
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), method="inverted_cdf")
        return f"{middle:.0f} ({low:.0f} to {high:.0f})"

    rows = [
        {
            "scenario": scenario.replace("_", " "),
            "structure": structure,
            **{f"r{year}": shown("r", scenario, structure, year) for year in (2020, 2022, 2025, 2030)},
            **{f"w{year}": shown("w", scenario, structure, year) for year in (2022, 2025, 2030)},
        }
        for scenario in map(str, draws["r"]["scenario"].values)
        for structure in map(str, draws["r"]["structure"].values)
        if scenario == "as fitted" or structure == "mixture"
    ]
    return {"draws": len(draws["r"]["draw"]), "rows": rows}


def _core_checks(folder: Path, printed: str) -> Numbers:
    model = read_model(ROOT / "models" / "core.mdl")
    return {"variables": len(model.variables), "constants": len(model.constants)} | _checks(folder, printed)


def _certificate(folder: Path, printed: str) -> Numbers:
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    pairs = {(pair["left"], pair["right"]): pair for pair in certificate["pairs"]}
    return {
        "times": certificate["saved_times"],
        "columns": min(pair["columns"] for pair in pairs.values()),
        "numpy": pairs["native", "numpy"]["verdict"],
        "largest": {
            engine: max(d["largest"] for d in pairs["native", engine]["differences"]) for engine in ("pysd", "pysimlin")
        },
    }


STUDIES = "calibration/studies"
PARK = ("models/cipark.mdl", f"{STUDIES}/great_stone/p*.toml", f"{STUDIES}/great_stone/data/*.csv")
CORE = (
    "models/core.mdl",
    f"{STUDIES}/great_stone_core/p*.toml",
    f"{STUDIES}/great_stone_curves/*.toml",
    f"{STUDIES}/great_stone_curves/*.mdl",
    f"{STUDIES}/great_stone/data/residents.csv",
    f"{STUDIES}/great_stone/data/operating.csv",
)


#: The draws that are kept beside the later study.
KEPT_DRAWS = tuple(f"{STUDIES}/great_stone_later/rivals/draws-{name}.nc" for name in DECIDED)
PARK_AND_CORE = ("models/cipark.mdl", f"{STUDIES}/great_stone/problem.toml", *CORE)
FORECAST = f"{STUDIES}/great_stone_core/forecast_2020_2030.nc"
FULL_LATER = ("models/cipark.mdl", f"{STUDIES}/great_stone_full_later/problem.toml")
LATER = (
    "models/core_later.mdl",
    f"{STUDIES}/great_stone_later/problem.toml",
    f"{STUDIES}/great_stone_later/data/*.csv",
)


#: Studies in which a sector is fitted alone.
SECTORS = ("great_stone_lifecycle", "great_stone_core_lifecycle", "great_stone_land")


def _power(folder: Path, printed: str) -> Numbers:
    """The tables of ``cipark power``, rows by their names."""
    tables = {name: pd.read_csv(folder / f"{name}.csv", index_col=0) for name in ("rivals", "constants", "value")}
    return {
        name: {
            row: {column: None if value != value else value for column, value in cells.items()}
            for row, cells in table.to_dict("index").items()
        }
        for name, table in tables.items()
    }


def _study(name: str, options: str, read: Callable[[Path, str], Numbers] = _fit, *, cheap: bool = False) -> Result:
    folder = f"{STUDIES}/{name}"
    inputs = (f"{folder}/problem.toml", f"{folder}/*.mdl", f"{folder}/*.xmile", f"{folder}/data/*.csv")
    return Result(name, (f"cipark calibrate {name} {options} -o .",), inputs, read, cheap)


def _made_by_tools(name: str, inputs: tuple[str, ...], make: Callable[[Path], Numbers], **options: bool) -> Result:
    """A result that no command of ``cipark`` makes."""
    return Result(name, (f"python tools/results.py {name}",), inputs, lambda folder, printed: make(folder), **options)


def _certified(name: str, model: str) -> Result:
    return Result(name, (f"cipark certify ROOT/{model} -o certificate.json",), (model,), _certificate)


RESULTS: dict[str, Result] = {
    result.name: result
    for result in (
        _made_by_tools("park_runs", ("models/cipark.mdl",), lambda folder: _park_runs(), cheap=True),
        Result(
            "park_checks",
            ("cipark check -o checks.json",),
            ("models/cipark.mdl", "models/cipark.checks.toml"),
            _checks,
            cheap=True,
        ),
        _made_by_tools("core_fit", CORE, lambda folder: core_fit()),
        _made_by_tools("park_on_core_windows", PARK_AND_CORE, lambda folder: park_on_core_windows()),
        _made_by_tools("core_forecast", (FORECAST,), lambda folder: _core_forecast(), cheap=True),
        Result(
            "core_checks",
            ("cipark check ROOT/models/core.mdl -o checks.json",),
            ("models/core.mdl", "models/core.checks.toml"),
            _core_checks,
            cheap=True,
        ),
        _made_by_tools("ceremonies", PARK_AND_CORE, lambda folder: ceremonies()),
        _made_by_tools("later_fit", LATER, lambda folder: later_fit()),
        _made_by_tools("later_full", (*LATER, *FULL_LATER), lambda folder: later_full()),
        _made_by_tools("later_loops", LATER, lambda folder: later_loops()),
        _made_by_tools(
            "later_next",
            (*LATER, f"{STUDIES}/great_stone_later/policies.toml", *KEPT_DRAWS),
            later_next,
            shares_records=True,
        ),
        Result(
            "later_power",
            ("cipark power great_stone_later --check 1 -o .",),
            (*LATER, f"{STUDIES}/great_stone_later/power.toml", *KEPT_DRAWS),
            _power,
        ),
        _made_by_tools("parks", (f"{STUDIES}/other_parks/data/pairs.csv", *LATER), lambda folder: parks()),
        Result(
            "later_score",
            ("cipark calibrate great_stone --posterior --fast --no-profiles --no-player -o full",),
            (*PARK, FORECAST, *LATER, *FULL_LATER),
            lambda folder, printed: later_score(folder / "full" / "forecast.csv"),
            shares_records=True,
        ),
        Result(
            "sectors",
            tuple(f"cipark calibrate {name} --no-posterior --no-compare-pysd -o {name}" for name in SECTORS),
            (
                "models/cipark.mdl",
                "models/core.mdl",
                f"{STUDIES}/great_stone/data/*.csv",
                *(f"{STUDIES}/{name}/problem.toml" for name in SECTORS),
                f"{STUDIES}/great_stone_land/data/*.csv",
            ),
            lambda folder, printed: {},
        ),
        Result("park_answer", ("cipark calibrate",), PARK, _park_answer),
        Result("park_fit", ("cipark calibrate --no-posterior --no-compare-pysd",), PARK, _park_fit),
        Result(
            "park_knockouts",
            (
                "cipark calibrate --all",
                "cipark policy",
                KNOCKOUTS,
            ),
            (*PARK, f"{STUDIES}/great_stone_knockouts/policies.toml"),
            _park_knockouts,
            shares_records=True,
        ),
        Result(
            "park_loops",
            ("cipark calibrate --all", "python tools/results.py park_loops"),
            (*PARK, "models/cipark.loops.toml"),
            _park_loops,
            shares_records=True,
        ),
        Result(
            "park_structures",
            ("cipark calibrate --all", "cipark policy --part all"),
            PARK,
            _park_structures,
        ),
        Result(
            "school",
            (
                'cipark new-study sir.mdl school.csv --value "In bed=Infected"',
                "cipark calibrate school --fast",
            ),
            ("docs/tutorial/studies.md#files",),
            lambda folder, printed: {"printed": printed},
            files="docs/tutorial/studies.md",
        ),
        _study("nist_rat42", "--no-profiles --no-posterior", cheap=True),
        _study("nist_rat43", "--no-profiles --no-posterior"),
        _study("bass_air_conditioners", "--no-profiles --no-posterior"),
        _study("crow_grouped", "--no-profiles --no-posterior"),
        _study("flu_1978", "--fast --no-profiles --posterior", _flu),
        _study("hare_lynx", "--fast --no-profiles --posterior", _posterior),
        _certified("park_certificate", "models/cipark.mdl"),
        _certified("world3_certificate", "benchmarks/models/world3.mdl"),
    )
}
