"""The parts of a policy analysis. A row is all that a new one needs beside its own file."""

from collections.abc import Mapping

#: By name, in the order of the page: the module that has the part as ``PART``, which is imported when it is needed.
PARTS: Mapping[str, str] = {
    name: f"cipark_sd.commands.policy.{name}" for name in ("signs", "decisions", "effects", "knockouts", "attribution")
}
#: What is shown in place of all others where the draws are of priors.
UNDER_PRIORS = "signs"
#: What is run where a command line names none, as far as the catalogue has tables for it.
USUAL = ("decisions", "effects")
#: Those that a command line can ask for.
NAMES = tuple(name for name in PARTS if name != UNDER_PRIORS)
