"""The parts of a policy analysis, in the order in which the page shows them."""

PARTS = ("effects", "attribution", "robustness", "design", "information")
