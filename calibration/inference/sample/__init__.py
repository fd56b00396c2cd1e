"""Draws of the posterior, and whether they have converged.

====================================  ===================================  ============================================
the posterior                         method                               because
====================================  ===================================  ============================================
always first                          adaptive importance sampling:        independent draws, with the evidence;
                                      ``adaptive_importance``              of many parameters it is soon given up
its weights cannot be trusted         trajectories (Hamiltonian Monte      follow the gradient, many chains in step
                                      Carlo): ``trajectories``
no gradient, or jumps                 ensembles of walkers: ``chains``,    need no gradient
                                      ``moves``
modes that chains seldom leave        each weighed by its evidence:        the share of chains in a mode says where they
                                      ``modes``                            began
optima that searches found            a component or chains at each,       nothing in the draws tells of a mode that
                                      weighed after: ``known_optima``      they have not met
====================================  ===================================  ============================================

:mod:`.sample` chooses, :mod:`.convergence` says when to end and what may be printed, :mod:`.draws` makes the file.
"""
