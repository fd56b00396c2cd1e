"""Sampling from the posterior, and whether the chains have converged."""
