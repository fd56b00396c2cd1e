"""Which assumptions drive the outputs of a model, when, and how sure that is.

Factors and outputs go in, a Dataset with the dims parameter, output and time comes out.
"""
