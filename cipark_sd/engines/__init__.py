"""Ways to run a program or a model."""
