"""Vectors of lanes and their constants, as LLVM assembly writes them."""

import struct

#: Runs that the native engine has in a vector.
LANES = 8
#: Up to so many runs are computed one by one, which takes less than a vector of eight.
FEW = 2


def number(value: float) -> str:
    """A double, to the bit."""
    return "0x" + struct.pack(">d", value).hex().upper()


class Vectors:
    """The types of vectors of so many lanes, ``v`` of doubles, ``i`` of integers and ``b`` of truths."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.v, self.i, self.b = (f"<{lanes} x {kind}>" for kind in ("double", "i64", "i1"))

    def splat(self, value: float) -> str:
        """The same double in every lane."""
        return "<" + ", ".join([f"double {number(value)}"] * self.lanes) + ">"

    def splat_int(self, value: int) -> str:
        """The same integer in every lane."""
        return "<" + ", ".join([f"i64 {value}"] * self.lanes) + ">"

    @property
    def every(self) -> str:
        """True in every lane."""
        return "<" + ", ".join(["i1 true"] * self.lanes) + ">"
