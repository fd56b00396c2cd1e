"""Kinds of observation: the columns, noise and windows that each expects, and its terms of the likelihood."""
