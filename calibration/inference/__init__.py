"""Which values fit, and how well that is known: four rooms, each of which knows those above it in this list alone.

- :mod:`~calibration.inference.sample`: draws of the posterior, and whether they have converged;
- :mod:`~calibration.inference.search`: the optimum;
- :mod:`~calibration.inference.profile`: intervals and standard errors about the optimum;
- :mod:`~calibration.inference.judge`: what estimates and intervals rest on, and what the residuals say.

Searches stand below draws since they begin where annealed draws of the priors come to. Each room's own text has the
table of its methods: which one a study gets, and why. Below all, :mod:`~calibration.inference.small_algebra` is linear
algebra of a few parameters without LAPACK, so that a fit is the same on every processor.
"""
