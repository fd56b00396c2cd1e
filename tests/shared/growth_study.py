"""A study of a model that grows, ``grow.mdl``: one table of its stock, and one parameter that a test names."""


def growth_study(parameter: str, bounds: tuple[float, float], median: float) -> str:
    """The text of ``problem.toml``, with a lognormal prior."""
    return f"""
title = "growth"
[model]
file = "grow.mdl"
[[observation]]
name = "seen"
table = "seen.csv"
kind = "level"
variable = "Stock"
time = "time"
value = "stock"
family = "normal"
sd = 1
[[parameter]]
name = "{parameter}"
bounds = [{bounds[0]:g}, {bounds[1]:g}]
prior = {{ family = "lognormal", median = {median:g}, sigma = 0.2 }}
"""
