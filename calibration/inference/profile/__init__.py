"""How far a number may go before the data contradict it: profiles, intervals and standard errors about an optimum.

========================================  =========================  ==================================================
question                                  answered by                by
========================================  =========================  ==================================================
how far may the profile rise?             ``interval_rules``         chi-square; F where the spread is estimated from
                                                                     few numbers
where does it rise so far?                ``walk``                   minima of the objective and a quadratic penalty
                                                                     that moves the number outwards, step by step
what ended the walk on this side?         ``verdict``                found, open, closed by another's bound, a jump, or
                                                                     the budget
of a constant, or of a prediction?        ``profile``                the penalty's quantity: a place in the range, or a
                                                                     number of the run
standard errors                           ``interval_rules``         Fisher information for normal and lognormal noise
                                          (``information``)          (``information``), else the curvature
standard errors where it jumps            ``scatter``                how far places as good lie apart
========================================  =========================  ==================================================
"""
