"""What a model is: frozen values, compared by content, with nothing in them that runs."""
