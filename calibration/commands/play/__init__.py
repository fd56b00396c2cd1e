"""A study as a page that plays it."""
