"""Tests of a model itself: what must hold if it is to be believed, in its file and in the modeller's words."""
