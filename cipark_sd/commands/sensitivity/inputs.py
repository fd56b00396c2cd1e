"""What varies in a sensitivity analysis, and what that rests on."""

from dataclasses import dataclass

from cipark_sd.basis import UNSEEN, Basis
from cipark_sd.sensitivities.question import Question


@dataclass(frozen=True)
class Inputs:
    """What varies.

    Parameters
    ----------
    question : Question
        With the factors that are drawn from.
    prior : Question
        The same with those that have seen no data, which claims are set against.
    basis : Basis
        What the draws are.
    effective : float
        How many independent draws they are worth.
    whole : bool
        Whether all that varies has draws of the fit. A fit holds other constants at values of its own; where these vary
        over their priors, the two together are no posterior.
    notes : tuple of str
        Sentences for the head of the page, each of which a reader must know.
    study_digest : str
        Of the study whose data stand behind the draws; empty where none do, or where the draws do not say.
    """

    question: Question
    prior: Question
    basis: Basis
    effective: float = float("inf")
    whole: bool = True
    notes: tuple[str, ...] = ()
    study_digest: str = ""

    @property
    def independent(self) -> float | None:
        """For claims: what draws of a posterior are worth, None where there is no posterior of all that varies."""
        return self.effective if self.whole and not self.unseen else None

    @property
    def unseen(self) -> bool:
        """Whether no data stand behind what varies."""
        return self.basis.origin in UNSEEN
