"""A stored ensemble in the words of its command, from which the work is made again to be checked."""

import json
from dataclasses import dataclass
from pathlib import Path

from cipark_sd.errors import CiparkError, InvalidValue, raise_all
from cipark_sd.model.model import Method, Model
from cipark_sd.naming import split_key
from cipark_sd.runs.design import KINDS, Design, Drawn, Kind, read_design
from cipark_sd.runs.work import Work
from cipark_sd.scenarios import Scenario
from cipark_sd.sensitivities.factors import Factor, Factors, Uniform, around, check_factors


@dataclass(frozen=True)
class Recipe:
    """What varies in an ensemble and how it is run; plain values, which a store keeps.

    Parameters
    ----------
    design : str
        ``"lhs"``, ``"sobol"``, ``"random"`` or a CSV file.
    runs : int
    share : float or None
        All constants vary by this share of their values.
    vary : tuple of (str, float, float)
        Constants and the ends between which they vary.
    leave_out : tuple of str
        Constants that do not vary with the others.
    save : tuple of str
    times : tuple of float or None
    scenario : Scenario
    """

    design: str
    runs: int
    share: float | None
    vary: tuple[tuple[str, float, float], ...]
    leave_out: tuple[str, ...]
    save: tuple[str, ...]
    times: tuple[float, ...] | None
    engine: str
    method: Method | None
    seed: int

    def work(self, model: Model, scenario: Scenario) -> Work:
        """What its chunks compute.

        Raises
        ------
        CiparkError
        """
        design = self.drawn(model)
        save = tuple(dict.fromkeys(model[name].name for name in self.save))
        return Work(model, design, save, self.engine, self.times, scenario, self.method, self.seed)

    def drawn(self, model: Model) -> Design:
        """What varies.

        Raises
        ------
        CiparkError
        """
        if self.design not in KINDS:
            return read_design(Path(self.design))
        kind: Kind = self.design
        return Drawn(kind, self.runs, self._factors(model), self.seed)

    def _factors(self, model: Model) -> Factors:
        named_factors = tuple(Factor(name, Uniform(low, high), f"{low:g} to {high:g}") for name, low, high in self.vary)
        problems: list[CiparkError] = []
        for name, low, high in self.vary:
            if not low < high:
                expected = "two finite numbers, the lower first"
                problems.append(InvalidValue(f"the range of {name!r}", f"{low:g}:{high:g}", expected, where="--vary"))
        raise_all("--vary", problems)
        further: tuple[Factor, ...] = ()
        if self.share is not None:
            named = {split_key(model.key(name))[0] for name, _, _ in self.vary}
            further = around(model, self.share, without=(*self.leave_out, *named)).constants
        factors = Factors((*named_factors, *further))
        check_factors(factors, where=model.name)
        return factors


def scenario_of(text: str) -> Scenario:
    """The scenario whose :meth:`Scenario.to_json` a store keeps.

    Raises
    ------
    InvalidValue
        When it is none.
    """
    try:
        content = json.loads(text)
        overrides = {**content.pop("set", {}), **{k: v for k, v in content.items() if k != "name"}}
        return Scenario(str(content.get("name", "")), overrides)
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise InvalidValue("the scenario", text, f"one that cipark wrote ({problem})", where="the run store") from None
