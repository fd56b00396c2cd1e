"""What draws are, in words that pages, consoles and files share: what they have seen, how many, how good."""

import math
from dataclasses import dataclass
from typing import Literal

#: Where draws come from. ``laplace`` are those of a normal approximation at the mode of the posterior; ``borrowed`` are
#: those of another structure, used for one that has not been fitted itself; ``ranges`` lie between limits that a user
#: gave, and there are no data; ``optimum`` is the best fit alone.
Origin = Literal["prior", "ranges", "posterior", "laplace", "borrowed", "optimum"]
#: Origins that have seen no data.
UNSEEN: tuple[Origin, ...] = ("prior", "ranges")
#: Pareto k above which draws of an approximation are no stand-in for the posterior (Vehtari et al. 2024, JMLR 25(72)).
RELIABLE = 0.7
#: What follows where draws are no basis for a band; what to do is another thing for chains and an approximation.
NO_BAND = "so that no band of them can be trusted: 'cipark calibrate STUDY --posterior"


@dataclass(frozen=True, slots=True)
class Basis:
    """What ``n`` draws are.

    Parameters
    ----------
    origin : Origin
    n : int
    converged : bool or None
        Of a posterior, whether its sampling has; None where nobody has said.
    pareto_k : float
        Of a Laplace approximation, the shape of the tail of its importance ratios against the posterior; NaN where it
        is not known.
    """

    origin: Origin
    n: int
    converged: bool | None = None
    pareto_k: float = float("nan")

    @property
    def name(self) -> str:
        """A few words for captions."""
        return {
            "prior": "draws from the priors",
            "ranges": "draws from ranges given by you",
            "posterior": "posterior draws",
            "laplace": "draws of a Laplace approximation",
            "borrowed": "posterior draws of another structure",
            "optimum": "the best fit",
        }[self.origin]

    @property
    def bands(self) -> bool:
        """Whether a band may be drawn of them: not of an approximation that is far from the posterior or of which
        nobody knows how far, nor of chains that have not converged.
        """
        if self.origin == "laplace":
            return self.pareto_k <= RELIABLE
        return self.origin in UNSEEN or (self.origin != "optimum" and self.converged is not False)

    @property
    def _number(self) -> str:
        return f"{self.n} draw{'' if self.n == 1 else 's'}"

    @property
    def label(self) -> str:
        """For a column of a table: origin, number and quality."""
        match self.origin:
            case "posterior" | "borrowed":
                quality = {True: "converged", False: "not converged", None: "not checked for convergence"}[
                    self.converged
                ]
                return f"{self.origin}, {self._number}, {quality}"
            case "optimum":
                return "best fit, no draws"
            case "laplace":
                known = "" if math.isnan(self.pareto_k) else f", Pareto k {self.pareto_k:.2f}"
                return f"Laplace approximation, {self._number}{known}"
            case _:
                return f"{self.origin}, {self._number}, no data seen"

    @property
    def sentence(self) -> str:
        """What stands first on a page and a console; without a full stop."""
        match self.origin:
            case "posterior" | "borrowed":
                quality = {
                    True: "the sampling has converged",
                    False: f"the sampling has NOT converged, {NO_BAND} --steps N' continues it",
                    None: "whether the sampling has converged is not recorded",
                }[self.converged]
                return f"{self._number} from the posterior; {quality}"
            case "laplace":
                text = f"{self._number} from a Laplace approximation of the posterior at its mode, not from chains"
                k = f"Pareto k {self.pareto_k:.2f}"
                if self.bands:
                    return f"{text}; near the posterior ({k}, at most {RELIABLE:g})"
                known = "of unknown quality" if math.isnan(self.pareto_k) else f"{k}, above {RELIABLE:g}"
                return (
                    f"{text}; an unreliable approximation of the posterior ({known}), {NO_BAND}' samples the posterior"
                )
            case "optimum":
                return "the best fit alone, without intervals"
            case "prior":
                return f"{self._number} from the PRIOR: nothing here has seen the data"
            case _:
                return (
                    f"{self._number} from ranges given by you, any value as good as another: there are no data, and "
                    "all numbers are conditional on these ranges"
                )
