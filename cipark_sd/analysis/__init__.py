"""Experiments on models: policies, sensitivities, ensembles on disk."""
