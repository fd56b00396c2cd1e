"""A study as sensitivity analysis sees it: its uncertain constants, draws and decisions."""
