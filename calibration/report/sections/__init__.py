"""Sections of the page of a calibration, a file each; :mod:`calibration.report.sections.registry` has their order."""
