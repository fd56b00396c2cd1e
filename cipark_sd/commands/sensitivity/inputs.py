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
    basis : Basis
        What the draws are.
    notes : tuple of str
        Sentences for the head of the page, each of which a reader must know.
    study_digest : str
        Of the study whose data stand behind the draws; empty where none do, or where the draws do not say.
    """

    question: Question
    basis: Basis
    notes: tuple[str, ...] = ()
    study_digest: str = ""

    @property
    def unseen(self) -> bool:
        """Whether no data stand behind what varies."""
        return self.basis.origin in UNSEEN
