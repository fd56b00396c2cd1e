"""Outputs of a block of runs put where each run's course lies together, in one pass that reads each line once.

NumPy goes through such an array either against the order in which it was written or against that in which it is kept,
and holds the interpreter's lock meanwhile, so that threads wait for each other.
"""

import ctypes
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cipark_sd.engines.base import Values
from cipark_sd.engines.columns import Columns
from cipark_sd.engines.native.engine import jit
from cipark_sd.engines.native.text import LANES

_INTEGER, _POINTER = ctypes.c_int64, ctypes.c_void_p
_SIGNATURE = ctypes.CFUNCTYPE(None, *([_POINTER] * 4), *([_INTEGER] * 5))

#: For each output and each of its times: the values of the runs, which lie beside each other in the source.
_PUT = """
define void @put(ptr noalias %source, ptr noalias %targets, ptr noalias %across, ptr noalias %along, i64 %n, \
i64 %times, i64 %runs, i64 %place_step, i64 %time_step) {{
entry:
  br label %place
place:
  %p = phi i64 [ 0, %entry ], [ %p1, %placed ]
  %target_at = getelementptr ptr, ptr %targets, i64 %p
  %target = load ptr, ptr %target_at, align 8
  %across_at = getelementptr i64, ptr %across, i64 %p
  %a = load i64, ptr %across_at, align 8
  %along_at = getelementptr i64, ptr %along, i64 %p
  %l = load i64, ptr %along_at, align 8
  %from0 = mul i64 %p, %place_step
  %from = getelementptr i8, ptr %source, i64 %from0
  br label %time
time:
  %t = phi i64 [ 0, %place ], [ %t1, %timed ]
  %row0 = mul i64 %t, %time_step
  %row = getelementptr i8, ptr %from, i64 %row0
  %to0 = mul i64 %t, %l
  %to = getelementptr double, ptr %target, i64 %to0
  br label %run
run:
  %r = phi i64 [ 0, %time ], [ %r1, %run ]
{values}
  %r1 = add nuw i64 %r, {together}
  %more_runs = icmp slt i64 %r1, %runs
  br i1 %more_runs, label %run, label %timed
timed:
  %t1 = add nuw i64 %t, 1
  %more_times = icmp slt i64 %t1, %times
  br i1 %more_times, label %time, label %placed
placed:
  %p1 = add nuw i64 %p, 1
  %more_places = icmp slt i64 %p1, %n
  br i1 %more_places, label %place, label %done
done:
  ret void
}}
"""
_VALUE = """\
  %r_{i} = add nuw i64 %r, {i}
  %value_at{i} = getelementptr double, ptr %row, i64 %r_{i}
  %value{i} = load double, ptr %value_at{i}, align 8
  %course{i} = mul i64 %r_{i}, %a
  %put_at{i} = getelementptr double, ptr %to, i64 %course{i}
  store double %value{i}, ptr %put_at{i}, align 8"""
#: Below so many bytes NumPy is done before the code for it is made.
LEAST = 2**20


@cache
def _put(together: int) -> Any:
    """The code for numbers of runs that are multiples of ``together``."""
    values = "\n".join(_VALUE.format(i=i) for i in range(together))
    return jit(_PUT.format(values=values, together=together), "put", _SIGNATURE)


class Courses:
    """Where the outputs of an ensemble go.

    Parameters
    ----------
    columns : Columns
    arrays : mapping of str to (n_runs, n_saved, *sizes)
        Arrays of the columns, by name.
    """

    def __init__(self, columns: Columns, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        self.columns, self.arrays = columns, arrays
        targets, across, along, order = [], [], [], []
        for name in columns.names:
            places = columns.places[name].reshape(-1)
            first = arrays[name].ctypes.data
            for position, place in enumerate(places.tolist()):
                if place >= 0:
                    order.append(place)
                    targets.append(first + 8 * position)
                    across.append(arrays[name][0].size)
                    along.append(len(places))
        # outputs are numbered in this order
        assert order == list(range(len(order)))
        self.targets, self.across, self.along = (np.array(n, dtype=np.int64) for n in (targets, across, along))

    def fill(self, runs: NDArray[np.intp] | slice, values: Values) -> None:
        """Put (n_flat, n_saved, n_runs) into the places of some runs, as :meth:`Columns.fill` does."""
        if isinstance(runs, np.ndarray) or values.nbytes < LEAST or values.strides[2] != values.itemsize:
            self.columns.fill(self.arrays, runs, values)
            return
        _, n_times, n_runs = values.shape
        assert n_runs == runs.stop - runs.start
        targets = self.targets + 8 * runs.start * self.across
        put = _put(LANES if n_runs % LANES == 0 else 1)
        addresses = (array.ctypes.data for array in (values, targets, self.across, self.along))
        put.call(*addresses, len(targets), n_times, n_runs, *values.strides[:2])
