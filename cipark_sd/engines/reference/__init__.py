"""PySD, an independent program that runs the model as well."""
