"""What draws are, in words that pages, consoles and files share: what they have seen, how many, how good."""

from dataclasses import dataclass
from typing import Literal

#: Where draws come from. ``borrowed`` are those of another structure, used for one that has not been fitted itself;
#: ``ranges`` lie between limits that a user gave, and there are no data; ``optimum`` is the best fit alone.
Origin = Literal["prior", "ranges", "posterior", "borrowed", "optimum"]
#: Origins that have seen no data.
UNSEEN: tuple[Origin, ...] = ("prior", "ranges")


@dataclass(frozen=True, slots=True)
class Basis:
    """What ``n`` draws are.

    Parameters
    ----------
    origin : Origin
    n : int
    converged : bool or None
        Of a posterior, whether its sampling has; None where nobody has said.
    """

    origin: Origin
    n: int
    converged: bool | None = None

    @property
    def sure(self) -> bool:
        """Whether these are draws of chains that have converged."""
        return self.origin == "posterior" and bool(self.converged)

    @property
    def alone(self) -> bool:
        """Whether it is one run at the best fit, also where the draws of a posterior cannot be trusted."""
        return self.origin == "optimum" or (self.n == 1 and self.converged is False)

    @property
    def name(self) -> str:
        """A few words for captions."""
        return {
            "prior": "draws from the priors",
            "ranges": "draws from ranges given by you",
            "posterior": "posterior draws",
            "borrowed": "posterior draws of another structure",
            "optimum": "the best fit",
        }[self.origin]

    @property
    def bands(self) -> bool:
        """Whether a band may be drawn of them: not of chains that have not converged."""
        return self.origin in UNSEEN or (self.origin != "optimum" and self.converged is not False)

    @property
    def _number(self) -> str:
        return f"{self.n} draw{'' if self.n == 1 else 's'}"

    @property
    def label(self) -> str:
        """For a column of a table: origin, number and quality."""
        match self.origin:
            case _ if self.alone:
                return "best fit, no draws"
            case "posterior" | "borrowed":
                quality = {True: "converged", False: "not converged", None: "not checked for convergence"}[
                    self.converged
                ]
                return f"{self.origin}, {self._number}, {quality}"
            case _:
                return f"{self.origin}, {self._number}, no data seen"

    @property
    def sentence(self) -> str:
        """What stands first on a page and a console; without a full stop."""
        match self.origin:
            case "posterior" | "borrowed" if self.alone:
                return (
                    "the best fit alone, without intervals: the posterior has not converged, and "
                    "'cipark calibrate STUDY --posterior --steps N' samples longer"
                )
            case "posterior" | "borrowed":
                quality = {
                    True: "the sampling has converged",
                    False: "the sampling has NOT converged, so that no band of them can be trusted: "
                    "'cipark calibrate STUDY --posterior --steps N' continues it",
                    None: "whether the sampling has converged is not recorded",
                }[self.converged]
                return f"{self._number} from the posterior; {quality}"
            case "optimum":
                return "the best fit alone, without intervals"
            case "prior":
                return f"{self._number} from the PRIOR: nothing here has seen the data"
            case _:
                return (
                    f"{self._number} from ranges given by you, any value as good as another: there are no data, and "
                    "all numbers are conditional on these ranges"
                )
