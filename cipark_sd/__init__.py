"""System-dynamics models that are fitted to data."""
