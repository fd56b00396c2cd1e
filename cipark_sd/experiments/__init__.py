"""Policy experiments on any model: what would have happened, what did it, and what to do when much is unknown.

A catalogue (TOML, :mod:`~cipark_sd.experiments.catalogue`) names policies, rival structures, factors, levers and
outcomes by the names of a model; joint draws of its parameters (:mod:`~cipark_sd.experiments.draws`) say what is
unknown. :mod:`~cipark_sd.experiments.run` runs every policy with every draw and rival; all other modules are functions
of what it returns.
"""
