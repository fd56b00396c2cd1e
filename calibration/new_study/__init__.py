"""A study made from a model and a table of data."""
