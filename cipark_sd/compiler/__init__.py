"""From a model to a program that an engine can run."""
