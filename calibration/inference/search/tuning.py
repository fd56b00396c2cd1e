"""The numbers that steer searches, in one record: what each is measured in, and why it is what it is.

``tools/tuning.py`` halves and doubles each of them on four studies. A number that moves neither an optimum nor an end
nor the points that are run on any of them, nor on a harder one that its reason names, is no knob: it stands where it is
used.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Of searches; a step, a distance or a place is a share of a search range, a fall or a rise is in log units."""

    #: Points that are run lie on a grid: this share of a search range, and where the objective is steep this share of
    #: the distance of its difference quotient, a millionth of a standard deviation, which no search can see.
    #: Processors differ in the last bits of a step; beside a jump or a kink these would decide where a search ends.
    grid: float = 2.0**-30
    grid_of_step: float = 2.0**-11
    #: Half the distance of a difference quotient where no other is known.
    step: float = 1e-4
    #: Curvature below which a direction counts as flat: a rise of 0.0005 over the whole range.
    flat: float = 1e-3
    #: Tolerances up to this one ask for all digits.
    last_digits: float = 1e-9
    #: Parameters, and operations of all runs, from which on a curvature takes slopes: of 30 parameters in place of 870
    #: runs 60 slopes, each at six runs. Of 13 both would cost the same.
    slopes_from: int = 25
    costly: int = 40_000_000
    #: Numbers of the corners whose values are asked for at once, 8 MiB: those of 400 parameters are 129 million.
    corner_numbers: int = 2**20
    #: Times that least squares stick before a walk does without: each takes a thousand runs.
    kinked: int = 2
    #: Runs after which least squares that have not converged are left to steps that need no slopes of residuals: at
    #: kinks of the model there is no sum of squares nearby.
    most_runs: int = 1000
    #: Places of a scan of a step parameter, and steps of the search of the others at each.
    scan_places: int = 24
    scan_steps: int = 20

    #: Share of the prior left out at either end when starts are drawn: a search from a far tail is time lost.
    start_tail: float = 0.02
    #: A search counts as arrived when its log density is within this of the best one.
    arrived: float = 0.1
    #: The fall that a search may leave.
    tolerance: float = 1e-10
    #: Searches that run in step, whatever the number of workers: a block of lanes.
    together: int = 8
    #: Weights of the log priors in the further searches, and how many searches there are with each: priors a third
    #: wider, as a lognormal one of sigma 2 for one of 1.5, and none.
    wider: tuple[float, ...] = (0.5625, 0.0)
    further: int = 3
    #: Searches from likely places, and the share of searches that have to have arrived for there to be none.
    likely: int = 8
    agreed: float = 1 / 3
    #: Points of the priors that are run to see what they reach, a power of two; from how many of the best searches
    #: begin again, and by how many log units searches may end below the best: of a tank that opens above a level,
    #: where searches ended 319 below the optimum on a plane, the best point lies 40 to 230 below it in ten sequences
    #: of 500.
    looked_at: int = 512
    begin_again: int = 8
    few: float = 3.0
    #: Searches that go on where the posterior is changed a little: those beside the best show whether it still is.
    go_on: int = 6
    #: The gain of a search downhill of a profile's place after which step parameters are scanned anew: a scan costs as
    #: much as many local searches, and where little was gained the steps are as good as before.
    scanned: float = 1.0
    #: Optima are two where a parameter differs by this.
    apart: float = 1e-3

    #: Where the objective jumps along at least so many parameters, searches step over the jumps: a jump along one
    #: alone is a date's, which is scanned. Of a tank that opens above a level, with four parameters, 1 and 3
    #: say the same; 6 would leave it to slopes, which end 0.6 below the best log density.
    along: int = 3
    #: Searches over jumps at least, of which each costs about a second.
    over_jumps: int = 24
    #: What the last steps of one have to gain, and those of searches that go on from so many of the best.
    stall_over_jumps: float = 0.02
    close: float = 2e-3
    closer: int = 4
    #: Over how many steps it has to gain that.
    last_sweeps: int = 4
    #: The longest probe over jumps, and the first ones where no curvature is known.
    most_probe: float = 0.1
    first_probe: float = 1e-3
    #: Dampings that are tried at once, each ten times the one before it: one block of lanes runs them.
    trials: int = 8
    #: What luck with jumps is worth: a minimum may be lower by as much. An end of a profile is as uncertain, so that a
    #: crossing is searched no closer; halved, three of eight ends of a tank that opens above a level move, one by 4%.
    doubt: float = 0.05


SEARCH = Tuning()
