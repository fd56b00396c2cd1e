"""The numbers that steer walks along profiles, in one record: what each is measured in, and why it is what it is.

``tools/tuning.py`` halves and doubles each of them, as those of searches (:mod:`calibration.inference.search.tuning`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Of profiles; a share of the threshold is one of the rise of the log density at which an interval ends."""

    #: Points that the searches of one side may ask for, from all centres together: of 44 sides of a smooth likelihood
    #: of 21 parameters (benchmarks/gauntlet, wolves) half took fewer than 350 and the dearest 664; along kinks
    #: (appliance) 15 of 44 were not found with 1,000, of which 9 had risen by more than half of what they had to. A
    #: larger model has fewer: as many as cost so many operations, but no fewer than a smooth side needs, however fine
    #: its step. Housing's two ends that 2,000 did not find, and three of a brigade's four, are found with more; with
    #: 200 million operations a whole fit of dengue took 180 s.
    most_asked: int = 5000
    least_asked: int = 700
    work: int = 120_000_000
    #: Operations that a side may take of an objective that jumps, where a step runs the model twice for each
    #: parameter: 224 steps of benchmarks/gauntlet's reservoir and 444 of dengue, of which no side of the 60 of either
    #: needed all.
    over_jumps: int = 3_000_000_000
    least_swept: int = 50
    #: After so many steps in a row that were too far the last one is searched again.
    suspect: tuple[int, ...] = (6, 14)
    #: The fall of the log density that a search may leave, and the share of the threshold that its last steps gain
    #: together where a kink keeps it from that; so many times that share on the way out, where a place only shows how
    #: far to go next.
    tolerance: float = 1e-7
    stall: float = 1e-4
    rough: float = 10.0
    #: The fall that a search may leave at an end. With 1e-7 the ends of benchmarks/gauntlet's bees differ by up to
    #: 5e-6 between processors, with this by 6e-10; it takes three slopes more.
    at_end: float = 1e-10
    #: A search that ends lower than another by this share of the threshold shows that the other one had stuck; the
    #: same where the objective jumps. An end that is missed by a share of the threshold is off by half that share of
    #: its distance from the centre; a smaller share begins walks again for what moves no digit. Halved or doubled
    #: neither moves an end of flu, Rat42 and the core. Over the jumps of a tank that opens above a level up to three
    #: of eight ends move, one by 40% where the second is doubled or the first halved: what searches have to gain goes
    #: by their ratio.
    lower: float = 1e-3
    lower_over_jumps: float = 0.05
    #: How many times that share grows in a walk each time that it goes on from a lower place, begins again or has
    #: searched longer for nothing, and the most of it: along jumps and kinks there always is a place that is a little
    #: lower. They trade time for ends that are off by a twentieth of their distance at most. Halved or doubled the one
    #: moves no end of the same four, the other an end of the tank by a thousandth.
    patience: float = 4.0
    most_lower: float = 0.1
    #: A side that has used up its points ends between two places whose rises miss the threshold by no more than this
    #: share, and that are the third share of their distance from the centre apart: levels of 91 and 97% for 95%. The
    #: second is the first where the objective jumps: the places are near, and the end lies between them.
    nearly: float = 0.25
    nearly_over_jumps: float = 1.0
    apart: float = 0.1
    #: The finest step of a crossing of a rise that jumps, as share of the one in which it lies.
    finest_over_jumps: float = 0.02
    #: A rise of the log density from which on a place of a walk fits better than the optimum: below it, the end of an
    #: interval, where the profile has fallen by about 2, moves by less than half a percent of its distance. The same
    #: where the objective jumps: what lies between two jumps is a matter of luck.
    better: float = 0.02
    better_over_jumps: float = 0.3
    #: Parameters whose profiles are walked in step, whatever the number of workers.
    together: int = 32
    #: How often curvature is measured again where it cannot be inverted.
    measured_again: int = 4
    #: Ends of searches about which points are drawn lie no further below the best, in log units, and are so many at
    #: most.
    near: float = 4.0
    most_ends: int = 24
    #: Points, a power of two, and the degrees of freedom of Student's t from which they come: heavier tails than a
    #: ridge's. Each round shows the next one more of the whole: of a tank that opens above a level, with a posterior
    #: sd of 5.8, five seeds give 3.8 to 6.5 after one round and 4.1 to 6.0 after four; the curvature about the best
    #: place gives 1.85.
    points: int = 8192
    degrees: int = 4
    rounds: int = 4
    #: Places are as good as the best within so many log units, about the height of a tooth.
    as_good: float = 0.5


PROFILE = Tuning()
