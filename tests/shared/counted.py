"""Work that is counted, never timed: instructions of the interpreter and bytes, and the power with which they grow."""

import math
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def exponent(work: Callable[[int], float], small: int, large: int) -> float:
    """The power of the size with which counted work grows."""
    return math.log(work(large) / work(small)) / math.log(large / small)


def steps(run: Callable[[], object]) -> int:
    """The bytecode instructions that the interpreter executes."""
    count = 0

    def add(*_: object) -> None:
        nonlocal count
        count += 1

    if sys.version_info >= (3, 12):
        # from Python 3.14 on a trace function misses the instructions of a function's first call
        monitoring, tool = sys.monitoring, sys.monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, "steps")
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, add)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        try:
            run()
        finally:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
        return count

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            add()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


def peak(run: Callable[[], object]) -> float:
    """The bytes that are allocated at most at a time."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def called(run: Callable[[], object]) -> int:
    """The functions that are called, those that are written in C and each step of a generator included."""
    count = 0

    def add(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(add)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


@contextmanager
def calls(most: int) -> Iterator[None]:
    """Stop what calls more functions, those that are written in C included."""
    left = most

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        left -= event.endswith("call")
        if left < 0:
            sys.setprofile(before)
            raise AssertionError(f"more than {most:,} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def processor_seconds(most: float) -> Iterator[None]:
    """Stop what takes more of the processor: for regular expressions, whose steps nothing counts, and hours of work."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"more than {most:g} seconds of processor")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
