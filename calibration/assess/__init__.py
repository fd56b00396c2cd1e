"""What follows a posterior: predictive checks, hold-out, rival structures, forecasts, self-tests."""
