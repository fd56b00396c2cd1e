"""What is read from a whole course of the model: metrics of a run, and counts as they are reported."""
