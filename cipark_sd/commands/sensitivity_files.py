"""What ``cipark sensitivity`` leaves behind: Datasets, tables, figures and a text."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cipark_sd.files import whole, write_text
from cipark_sd.sensitivity.ranking import Moment, ranked, sentences, shapley_sentences

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure


@dataclass
class Found:
    """What was computed."""

    title: str
    moments: Sequence[Moment]
    morris: "xr.Dataset | None" = None
    sobol: "xr.Dataset | None" = None
    sample: "xr.Dataset | None" = None
    tornado: "xr.Dataset | None" = None
    dgsm: "xr.Dataset | None" = None
    shapley: "xr.Dataset | None" = None
    loops: "xr.Dataset | None" = None

    def sentences(self) -> list[str]:
        """What people read."""
        said: list[str] = []
        if self.sobol is not None:
            said += sentences(self.sobol, self.moments)
            if "until" in self.sobol.attrs:
                reached = "reached" if self.sobol.attrs["until_reached"] else "not reached"
                said.append(
                    f"Intervals of +-{self.sobol.attrs['until']:g} {reached} with {self.sobol.attrs['rows']} rows: the "
                    f"widest is +-{self.sobol.attrs['widest']:.3f}."
                )
        if self.morris is not None:
            for output in map(str, self.morris["output"].to_numpy()):
                at = self.morris["rank_agreement"].sel(output=output)
                lows = [float(at.sel(time=moment.time, method="nearest")) for moment in self.moments]
                levels = " and ".join(map(str, self.morris["levels"].to_numpy().tolist()))
                said.append(
                    f"{output}: rankings by Morris with {levels} levels agree to {min(lows):.2f} (rank correlation)."
                )
        if self.shapley is not None:
            said += shapley_sentences(self.shapley, self.moments)
        if self.sample is not None:
            said += _mode_sentences(self.sample)
        if self.loops is not None:
            from cipark_sd.sensitivity.loops import takeovers

            spans = [f"{name} from {start:.1f} to {end:.1f}" for start, end, name in takeovers(self.loops)]
            said.append(f"Feedback loops with the largest share of all scores: {'; '.join(spans) or 'none for long'}.")
        failed = [part for part in (self.sobol, self.sample, self.morris) if part is not None]
        if any(int(part["n_failed"].max()) for part in failed):
            said.append("Some runs failed and were left out; n_failed in the Datasets says how many.")
        return said


def _mode_sentences(drawn: "xr.Dataset") -> Iterator[str]:
    from cipark_sd.sensitivity.behaviour import mode_shares

    shares = mode_shares(drawn)
    for output in dict.fromkeys(share.output for share in shares):
        parts = []
        for share in (s for s in shares if s.output == output):
            if share.share < 0.005:
                continue
            why = ", ".join(f"{'high' if d > 0 else 'low'} {name}" for name, d in share.apart)
            parts.append(f"{share.mode} {share.share:.0%}" + (f" (told apart by {why})" if why else ""))
        yield f"{output}: {'; '.join(parts)}."


def write(found: Found, folder: Path, seed: int) -> list[Path]:
    """Write everything into a folder that exists; each file appears whole or not at all."""
    from cipark_sd.plotting.files import save_figure

    written: list[Path] = []
    for name in ("morris", "sobol", "sample", "tornado", "dgsm", "shapley", "loops"):
        dataset = getattr(found, name)
        if dataset is not None:
            with whole(folder / f"{name}.nc") as partial:
                dataset.to_netcdf(partial, engine="h5netcdf")
            written.append(folder / f"{name}.nc")
    for name, table in tables(found, seed).items():
        written.append(write_text(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n")))
    text = f"{found.title}\n\n" + "\n\n".join(found.sentences()) + "\n"
    written.append(write_text(folder / "summary.txt", text))
    for name, figure in figures(found):
        save_figure(figure, folder / f"{name}.png")
        written.append(folder / f"{name}.png")
    return written


def tables(found: Found, seed: int) -> "dict[str, pd.DataFrame]":
    """Tables by name: the ranking at the moments, and every number over time."""
    import pandas as pd

    from cipark_sd.sensitivity.behaviour import measures, mode_shares
    from cipark_sd.sensitivity.sample import fan, pawn

    result: dict[str, pd.DataFrame] = {}
    if found.sobol is not None:
        outputs = [str(name) for name in found.sobol["output"].to_numpy()]
        lines = [
            asdict(row) | {"before": "; ".join(f"{t:g}: {v:.2f}" for t, v in row.before)}
            for output in outputs
            for moment in found.moments
            for row in ranked(found.sobol, output, moment, count=10)
        ]
        result["ranking"] = pd.DataFrame(lines).rename(columns={"before": "course"})
        over_time = found.sobol[["S1", "S1_conf", "ST", "ST_conf", "leading"]].to_dataframe().reset_index()
        result["indices"] = over_time.drop(columns=["units"])
        if "S2" in found.sobol:
            pairs = found.sobol[["S2", "S2_conf"]].to_dataframe().reset_index().dropna(subset=["S2"])
            result["second_order"] = pairs[pairs["pair"] < pairs["parameter_2"]].drop(columns=["units"])
    if found.morris is not None:
        result["morris"] = _at(found.morris[["mu", "mu_star", "mu_star_conf", "sigma"]], found.moments)
    if found.tornado is not None:
        result["tornado"] = _at(found.tornado, found.moments)
    if found.dgsm is not None:
        result["dgsm"] = _at(found.dgsm[["nu", "bound", "bound_conf"]], found.moments)
    if found.shapley is not None:
        result["shapley"] = _at(found.shapley[["Sh", "Sh_conf"]], found.moments)
    if found.loops is not None:
        result["loops"] = found.loops[["reinforcing", "balancing"]].to_dataframe().reset_index()
    if found.sample is not None:
        result["fan"] = fan(found.sample).to_dataframe().reset_index()
        result["modes"] = pd.DataFrame(
            asdict(share) | {"apart": "; ".join(f"{name} {d:+.2f}" for name, d in share.apart)}
            for share in mode_shares(found.sample)
        )
        measured = measures(found.sample)
        quantiles = fan(measured, (5.0, 25.0, 50.0, 75.0, 95.0)).isel(time=0, drop=True)
        result["measures"] = quantiles.to_pandas().T.rename_axis("measure").reset_index()
        result["measures"]["runs_with_a_value"] = measured.sizes["run"] - measured["n_failed"].isel(time=0).to_numpy()
        moments = _nearest(found.sample, found.moments)
        result["pawn"] = _at(pawn(found.sample.sel(time=moments), seed=seed), found.moments)
        drivers = pawn(measured, seed=seed)[["median", "dummy"]].isel(time=0, drop=True)
        result["measures_pawn"] = drivers.to_dataframe().reset_index().dropna(subset=["median"])
    return result


def _nearest(dataset: "xr.Dataset", moments: Sequence[Moment]) -> list[float]:
    times = dataset["time"].to_numpy()
    return list(dict.fromkeys(float(times[np.abs(times - moment.time).argmin()]) for moment in moments))


def _at(dataset: "xr.Dataset", moments: Sequence[Moment]) -> "pd.DataFrame":
    return dataset.sel(time=_nearest(dataset, moments)).to_dataframe().reset_index()


def figures(found: Found) -> "Iterator[tuple[str, Figure]]":
    """Figures by name."""
    from cipark_sd.plotting import sensitivity as plot
    from cipark_sd.plotting.loops import plot_loops
    from cipark_sd.sensitivity.sample import fan

    moments = found.moments
    if found.sobol is not None:
        yield "indices", plot.indices_over_time(found.sobol, moments)
        yield "convergence", plot.convergence(found.sobol, moments)
        for output in map(str, found.sobol["output"].to_numpy()):
            yield f"heat-map_{_file(output)}", plot.heat_map(found.sobol, output)
    if found.loops is not None:
        yield "loops", plot_loops(found.loops)
    if found.sample is not None:
        yield "fan", plot.fan_chart(fan(found.sample), moments)
    if found.shapley is not None:
        yield "shapley", plot.shapley_bars(found.shapley, moments)
    sources = [dataset for dataset in (found.morris, found.tornado, found.sobol) if dataset is not None]
    outputs = [str(name) for name in sources[0]["output"].to_numpy()] if sources else []
    for output in outputs:
        for moment in moments:
            tail = f"{_file(output)}_{_file(moment.label)}"
            if found.morris is not None:
                yield f"morris_{tail}", plot.morris_plane(found.morris, output, moment)
            if found.tornado is not None:
                yield f"tornado_{tail}", plot.tornado_bars(found.tornado, output, moment)
            if found.sample is not None and found.sobol is not None:
                names = [row.name for row in ranked(found.sobol, output, moment, count=4)]
                if len(names) > 1:
                    yield f"scatter_{tail}", plot.scatter_matrix(found.sample, names, output, moment)


def _file(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(character if character.isalnum() else "-" for character in text).strip("-").lower()
