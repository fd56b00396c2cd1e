"""The reader of TOML tables, which stands in :mod:`cipark_sd.section`."""

from cipark_sd.section import Section as Section
