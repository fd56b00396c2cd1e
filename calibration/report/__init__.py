"""A calibration as console text, tables, figures and one page."""
