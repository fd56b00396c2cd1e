"""What follows a posterior: predictive checks, hold-out, rival structures, counterfactuals, forecasts, self-tests."""
