"""What goes into a run and comes out of it: scenarios, results, names of estimands."""
