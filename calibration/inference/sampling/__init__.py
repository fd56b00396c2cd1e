"""Sampling from the posterior, and whether the sampling has converged."""
