"""The certificate: every engine runs the same model on the same grid, and all their numbers are compared."""
