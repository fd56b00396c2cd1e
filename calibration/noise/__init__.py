"""What stands between a model and data: noise families, priors, how a run is read."""
