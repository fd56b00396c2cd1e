"""Figures: a Dataset goes in, a matplotlib Figure comes out; pyplot and its global state are never touched."""
