"""How much of a statistical test the suite takes, and how much ``CIPARK_THOROUGH=1`` takes."""

import os


def share(sentinel: int, full: int) -> int:
    """The smaller number as a sentinel, unless all is asked for."""
    return full if os.environ.get("CIPARK_THOROUGH") else sentinel
