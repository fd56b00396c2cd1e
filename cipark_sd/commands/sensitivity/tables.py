"""The tables of a sensitivity analysis, for spreadsheets."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.claims import classify
from cipark_sd.commands.sensitivity.findings import Found
from cipark_sd.sensitivity.behaviour import measures, mode_shares
from cipark_sd.sensitivity.loops import leads
from cipark_sd.sensitivity.ranking import Moment, ranked
from cipark_sd.sensitivity.sample import fan, pawn
from cipark_sd.sensitivity.verdicts import evidence_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Lines of a ranking.
_RANKED = 10


def tables(found: Found, seed: int) -> "dict[str, pd.DataFrame]":
    """Tables by name: rankings at the moments, and every number over time."""
    result: dict[str, pd.DataFrame] = {}
    moments = found.moments
    if found.sobol is not None:
        result |= _sobol_tables(found.sobol, moments)
    for name, dataset, columns in (
        ("morris", found.morris, ["mu", "mu_star", "mu_star_conf", "sigma"]),
        ("tornado", found.tornado, ["low", "high", "middle"]),
        ("dgsm", found.dgsm, ["nu", "bound", "bound_conf"]),
        ("shapley", found.shapley, ["Sh", "Sh_conf"]),
    ):
        if dataset is not None:
            result[name] = _at(dataset[columns], moments)
    if found.sample is not None:
        result |= _sample_tables(found.sample, moments, seed)
    if found.claims is not None:
        result["claims"] = _claims(found.claims)
        result["claims_indices"] = found.claims[["S1", "S1_conf"]].to_dataframe().reset_index()
    if found.choices is not None:
        names = ["best", "best_low", "best_high", "mean", "regret"]
        result["choices"] = found.choices[names].to_dataframe().reset_index().dropna(subset=["best"])
        result["choices_indices"] = found.choices[["S1", "S1_conf"]].to_dataframe().reset_index()
    if found.loops is not None:
        result |= _loop_tables(found.loops)
    return result


def _claims(claims: "xr.Dataset") -> "pd.DataFrame":
    """One row for each claim: class, probabilities before and after the fit, the Bayes factor between them."""
    import pandas as pd

    rows = []
    for place in range(claims.sizes["claim"]):
        at = claims.isel(claim=place)
        evidence = evidence_of(at)
        classified = classify([evidence])
        facts: dict[str, object] = {
            "claim": str(at["claim"].item()),
            "title": str(at["title"].item()),
            "class": classified.kind,
            "side": classified.side,
            "n_failed": int(at["n_failed"]),
            "true": float(at["true"]),
            "prior": evidence.prior.share,
            "prior_low": evidence.prior.interval[0],
            "prior_high": evidence.prior.interval[1],
        }
        after, factor = evidence.posterior, evidence.factor
        if after is not None and factor is not None:
            low, high = after.interval
            facts |= {"posterior": after.share, "posterior_low": low, "posterior_high": high}
            facts |= {"bayes_factor": factor.value, "bayes_factor_low": factor.low, "bayes_factor_high": factor.high}
        rows.append(facts)
    return pd.DataFrame(rows)


def _sobol_tables(indices: "xr.Dataset", moments: Sequence[Moment]) -> "dict[str, pd.DataFrame]":
    import pandas as pd

    lines = [
        asdict(row) | {"course": "; ".join(f"{t:g}: {v:.2f}" for t, v in row.course)}
        for output in map(str, indices["output"].to_numpy())
        for moment in moments
        for row in ranked(indices, output, moment, count=_RANKED)
    ]
    over_time = indices[["S1", "S1_conf", "ST", "ST_conf", "leading"]].to_dataframe().reset_index()
    result = {"ranking": pd.DataFrame(lines), "indices": over_time.drop(columns=["units"])}
    if "S2" in indices:
        pairs = indices[["S2", "S2_conf"]].to_dataframe().reset_index().dropna(subset=["S2"])
        result["second_order"] = pairs[pairs["pair"] < pairs["parameter_2"]].drop(columns=["units"])
    return result


def _sample_tables(drawn: "xr.Dataset", moments: Sequence[Moment], seed: int) -> "dict[str, pd.DataFrame]":
    import pandas as pd

    modes = [
        asdict(share) | {"apart": "; ".join(f"{name} {d:+.2f}" for name, d in share.apart)}
        for share in mode_shares(drawn)
    ]
    measured = measures(drawn)
    quantiles = fan(measured, (5.0, 25.0, 50.0, 75.0, 95.0)).isel(time=0, drop=True)
    of_measures = quantiles.to_pandas().T.rename_axis("measure").reset_index()
    of_measures["runs_with_a_value"] = measured.sizes["run"] - measured["n_failed"].isel(time=0).to_numpy()
    drivers = pawn(measured, seed=seed)[["median", "dummy"]].isel(time=0, drop=True)
    return {
        "fan": fan(drawn).to_dataframe().reset_index(),
        "modes": pd.DataFrame(modes),
        "measures": of_measures,
        "pawn": _at(pawn(drawn.sel(time=_nearest(drawn, moments)), seed=seed), moments),
        "measures_pawn": drivers.to_dataframe().reset_index().dropna(subset=["median"]),
    }


def _loop_tables(found: "xr.Dataset") -> "dict[str, pd.DataFrame]":
    import pandas as pd

    rows = [
        {
            "loop": lead.name,
            "leads": "; ".join(f"{start:g} to {end:g}" for start, end in lead.spans),
            "largest": lead.largest,
            "at": lead.at,
            "share_of_draws": lead.share,
            "begins_10": lead.begins[0],
            "begins_50": lead.begins[1],
            "begins_90": lead.begins[2],
        }
        for lead in leads(found)
    ]
    over_time = found[["reinforcing", "balancing"]].to_dataframe().reset_index()
    return {"loops": over_time, "loop_leads": pd.DataFrame(rows)}


def _nearest(dataset: "xr.Dataset", moments: Sequence[Moment]) -> list[float]:
    times = dataset["time"].to_numpy()
    return list(dict.fromkeys(float(times[np.abs(times - moment.time).argmin()]) for moment in moments))


def _at(dataset: "xr.Dataset", moments: Sequence[Moment]) -> "pd.DataFrame":
    return dataset.sel(time=_nearest(dataset, moments)).to_dataframe().reset_index()
