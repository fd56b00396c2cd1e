"""Which values fit: the optimum and its profiles, draws of the posterior."""
