"""Whether a model and its runs are right: checks, engines side by side."""
