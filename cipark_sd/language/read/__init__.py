"""From a file to a :class:`~cipark_sd.model.model.Model`."""
