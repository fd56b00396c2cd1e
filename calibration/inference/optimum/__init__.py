"""Estimation: optimisation, profile likelihoods, identifiability and residuals."""
