"""Fitting system-dynamics models to data."""
