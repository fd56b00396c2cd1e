"""The models that are measured, with draws of sixteen constants and three variables that are saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cipark_sd.base.library import bundled
from cipark_sd.base.timegrid import TimeGrid, time_grid
from cipark_sd.compiler.program import Program
from cipark_sd.engines.base import Inputs, Settings
from cipark_sd.engines.programs import program_for
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """A model file, constants that are drawn, and what is saved."""

    name: str
    path: Path
    drawn: tuple[str, ...]
    saved: tuple[str, ...]

    @cached_property
    def model(self) -> Model:
        """The model, read once."""
        return read_model(self.path)

    @cached_property
    def grid(self) -> TimeGrid:
        """The file's own times."""
        span = self.model.time
        return time_grid(span.initial, span.final, span.step, span.saveper, where=self.name)

    @cached_property
    def program(self) -> Program:
        """The program that computes the saved variables."""
        return program_for(self.model, self.saved, Settings())

    def eight_dates(self) -> list[float]:
        """Eight saved times, from the eighth part of the run to its end."""
        times = self.grid.saved_times
        return [float(times[i]) for i in np.linspace(0, len(times) - 1, 9).round().astype(int)[1:]]

    def draws(self, n_runs: int) -> Mapping[str, NDArray[np.float64]]:
        """Each drawn constant within 5 % of the file's value; the same for any number of runs."""
        values = dict(zip(self.program.params, self.program.defaults, strict=True))
        factors = np.random.default_rng(1).uniform(0.95, 1.05, size=(n_runs, len(self.drawn)))
        return {name: values[name] * factors[:, i] for i, name in enumerate(self.drawn)}

    def inputs(self, n_runs: int, *, dates: Sequence[float] | None = None) -> Inputs:
        """What an engine is given for so many runs; without dates all saved times are kept."""
        params = np.repeat(np.array(self.program.defaults)[:, None], n_runs, axis=1)
        for name, values in self.draws(n_runs).items():
            params[self.program.param_position[name]] = values
        saved = self.grid.saved if dates is None else self.grid.saved & np.isin(self.grid.times, dates)
        return Inputs(self.grid, float(self.grid.times[-1]), params, (), saved, np.arange(n_runs, dtype=np.uint64))


PARK = Case(
    "park",
    bundled(),
    (
        *("reform_weight", "disagreement_weight", "summit_strength", "negotiation_time", "relocation_time"),
        *("start_time_scale", "lapse_rate", "construction_scale", "base_exit_rate", "exit_slope"),
        *("agglomeration_elasticity", "reputation_strength", "capability_exponent", "pool_scale"),
        *("approach_hazard[private]", "unit_land_cost"),
    ),
    ("total_operating", "total_registered", "total_residents"),
)
WORLD3 = Case(
    "world3",
    HERE / "models" / "world3.mdl",
    (
        *("initial_nonrenewable_resources", "life_expectancy_normal", "desired_completed_family_size_normal"),
        *("maximum_total_fertility_normal", "reproductive_lifetime", "industrial_capital_output_ratio_1"),
        *("lifetime_of_industrial_capital_1", "fraction_to_consumption_constant_1", "lifetime_of_service_capital_1"),
        *("labor_force_participation", "land_fraction_harvested", "processing_loss", "social_discount"),
        *("subsistence_food_per_capita", "inherent_land_fertility", "assimilation_half_life_in_1970"),
    ),
    ("population", "industrial_output_per_capita", "persistent_pollution_index"),
)
POWER = Case(
    "power",
    HERE / "models" / "power.mdl",
    (
        *("warming_time", "mixing_normal", "stability", "activation", "growth_optimum", "q_ten", "best_light"),
        *("half_phosphorus", "uptake_power", "algae_growth_rate", "algae_loss_rate", "grazing_rate"),
        *("grazing_power", "fish_rate", "spawning_rate", "load"),
    ),
    ("algae", "old_fish", "oxygen"),
)
CASES: Mapping[str, Case] = {case.name: case for case in (PARK, WORLD3, POWER)}
