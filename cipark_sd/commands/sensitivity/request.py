"""What the command line of ``cipark sensitivity`` asks for."""

from dataclasses import dataclass
from pathlib import Path

from cipark_sd.scenarios import override_key
from cipark_sd.sensitivities.question import Question

#: Times of a bare model that are analysed when nothing is said.
MOST_TIMES = 100
#: Share of a bare model's constants by which they vary when nothing is said.
RANGE = 0.2


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    target: str | None = None
    outputs: tuple[str, ...] = ()
    effect: str | None = None
    share: float | None = None
    leave_out: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    rows: int = 1024
    until: float | None = None
    most_rows: int = 1 << 16
    pairs: tuple[str, ...] = ()
    moments: tuple[float, ...] = ()
    draws: Path | None = None
    seed: int = 1
    resamples: int = 100
    workers: int | None = None
    dask: str | None = None
    allow_failed: float | None = None
    keep_runs: bool = False
    every: float | None = None
    loop_draws: int | None = None
    fresh: bool = False
    output: Path | None = None
    series: tuple[Path, ...] = ()
    allow_files: tuple[Path, ...] = ()

    @property
    def prior(self) -> bool:
        """Whether the priors are asked for by name, whatever has been fitted."""
        return self.draws == Path("prior")

    @property
    def wants_sobol(self) -> bool:
        """Whether indices are computed, to which some options belong."""
        return "sobol" in self.methods if self.methods else self.draws is None or self.prior


def paired(request: Request, question: Question) -> tuple[str, ...]:
    """The constants of ``--pairs`` as the question spells them."""
    spelt = {override_key(name): name for name in question.factors.names}
    return tuple(spelt[override_key(name)] for name in request.pairs)
