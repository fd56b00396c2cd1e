"""Ensembles that are stored: what varies in them, what one chunk computes, and which runs fail."""
