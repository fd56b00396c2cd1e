"""Schedulers and workers of dask.distributed as processes of their own, for tests."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from places import SHARED


def environment(path: str = str(SHARED)) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": path}


@contextmanager
def started(*arguments: str, environ: dict[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    call = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    process = subprocess.Popen(
        call, cwd=SHARED, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ or environment()
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def listening_at(scheduler: "subprocess.Popen[str]", protocol: str) -> str:
    """The address of a scheduler that has just been started."""
    assert scheduler.stderr is not None
    for line in scheduler.stderr:
        if match := re.search(protocol + r"://127\.0\.0\.1:\d+", line):
            # whoever writes to a pipe that nobody reads waits in the end
            threading.Thread(target=scheduler.stderr.read, daemon=True).start()
            return match[0]
    raise AssertionError("the scheduler did not start")
