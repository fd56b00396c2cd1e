"""The least value of an objective: where searches start, how they go down, and how they pass jumps.

Starts are the prior medians and a Latin hypercube of the priors (:mod:`.optimise`). What a search does hangs on the
objective at hand; all searches of a study run in step.

=======================================  =============================  ===============================================
where                                    method                         because
=======================================  =============================  ===============================================
far from a minimum                       L-BFGS: ``downhill.nearing``   a step costs one gradient
near it, all noise normal or lognormal   Levenberg-Marquardt:           residuals give the curvature for nothing
                                         ``least_squares.polished``
near it, else                            quasi-Newton by the measured   exact however wide the bounds are
                                         curvature:
                                         ``box_search.minimising``
a step function of one parameter         a scan: ``downhill.scanning``  its gradient is zero nearly everywhere
(a date at which something switches)
jumps along most parameters              damped steps over the jumps:   all others stop at the first jump
(``scoring.is_rough``)                   ``scoring.scored``
=======================================  =============================  ===============================================

Further searches follow where the first leave a doubt: under wider priors and none (a narrow prior has a top of its
own), from warmed chains where few agree (kinks), and from the best of many draws of the priors where that is better
than all ends (a plane that sees no data).
"""
