"""Noise families, by what was observed, and the registry that lists them."""
