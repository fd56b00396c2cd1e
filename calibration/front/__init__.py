"""What Python users meet: a study made from a model and a table, and its fit as a value."""
