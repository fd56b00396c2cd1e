"""A page in which a model runs: its kernel as WebAssembly, levers, a fan of draws, and nothing from elsewhere."""
