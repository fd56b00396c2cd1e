"""``cipark sensitivity``: request, computation, findings, and the tables, figures and page made of them."""
