"""Policy experiments on any model: what would have happened, what did it, and what to do when much is unknown.

A catalogue (TOML, ``catalogue``) names policies, rival structures, factors, levers and outcomes by the names of a
model; joint draws of its parameters (``draws``) say what is unknown. ``run`` runs every policy with every draw and
rival; all other modules are functions of what it returns.
"""
