"""PySD, which runs the original file."""
