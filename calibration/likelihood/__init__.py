"""The likelihood: the model run forward, read as it was observed, under the noise of each observation."""
