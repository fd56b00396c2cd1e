"""Runs of a model: one, many, step by step; what failed."""
