"""A study: its model, observations, parameters, calendar and questions, read from a folder and checked as a whole."""
