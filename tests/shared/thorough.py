"""Sentinels of what is statistical or long, and all of it with ``CIPARK_THOROUGH=1`` in the environment."""

import os

THOROUGH = bool(os.environ.get("CIPARK_THOROUGH"))


def share(sentinel: int, full: int) -> int:
    """How many: the smaller number unless all is asked for."""
    return full if THOROUGH else sentinel
