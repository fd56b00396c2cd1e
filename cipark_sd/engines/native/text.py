"""Vectors of eight lanes and their constants, as LLVM assembly writes them."""

import struct

LANES = 8
V = f"<{LANES} x double>"
B = f"<{LANES} x i1>"
I = f"<{LANES} x i64>"  # noqa: E741  (integers, as V are values and B truths)


def number(value: float) -> str:
    """A double, to the bit."""
    return "0x" + struct.pack(">d", value).hex().upper()


def splat(value: float) -> str:
    """The same double in every lane."""
    return "<" + ", ".join([f"double {number(value)}"] * LANES) + ">"


def splat_int(value: int) -> str:
    """The same integer in every lane."""
    return "<" + ", ".join([f"i64 {value}"] * LANES) + ">"
