"""From the move of a lever to the painted fan, in Chromium.

    python benchmarks/player.py [page.html] [--moves 120] [--slow 6] [--alone]

Opens a page that ``cipark play`` has made (without one: the park with 200 draws of its priors), moves its levers by
their input elements, and measures in the page from the event's own time stamp to the first task after the frame in
which the fan was drawn (a message that is posted in ``requestAnimationFrame``). So waiting for the frame is in it, and
the last step of the compositor is not. The same once more with the whole browser slowed, all its processes and threads:
they are stopped and go on in turn, so that they have a sixth of the time (DevTools slows the main thread alone, and not
the workers, which have most of the work). Beside it stands the processor time of the page's threads for each move, all
that follows the painting included; it hardly depends on what else the machine does. With ``--alone`` the page has no
workers. Linux only.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

#: What is wished of 95 % of the moves, in milliseconds: at full speed, and slowed six times.
GOALS = {1: 40, 6: 200}
MEASURE = """
const [moves, seed, done] = arguments;
let state_ = seed;
const random = () => (state_ = (state_ * 1103515245 + 12345) % 2147483648) / 2147483648;
const times = [], channel = new MessageChannel();
let start = 0;
addEventListener("input", (event) => { start = event.timeStamp; }, true);
const next = () => {
  const place = Math.floor(random() * page.levers.length), slider = document.getElementById(`lever${place}`);
  slider.value = Number(slider.min) + random() * (slider.max - slider.min);
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => channel.port2.postMessage(0));
};
channel.port1.onmessage = () => {
  // the page's own frame came first: it was asked for within the event
  if (waiting) { requestAnimationFrame(() => channel.port2.postMessage(0)); return; }
  times.push(performance.now() - start);
  if (times.length < moves) setTimeout(next, 30 + 40 * random());
  else done(times);
};
next();
"""


#: Seconds for which a slowed browser runs at a time.
TURN = 0.002
ONE_CORE = "Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => 1 });"


def processes(root: int) -> list[int]:
    """The processes below one, but for those that drive a browser."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # the name may have spaces and brackets
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            # it has ended meanwhile
            continue
    below, stack = [], [root]
    while stack:
        parent = stack.pop()
        children = [process for process, its_parent in parents.items() if its_parent == parent]
        below += children
        stack += children
    return below


def processor_time(root: int) -> dict[str, float]:
    """Milliseconds so far of the threads of a browser's pages, by name of the thread."""
    times: dict[str, float] = {}
    for process in processes(root):
        folder = Path(f"/proc/{process}")
        if b"--type=renderer" in (folder / "cmdline").read_bytes():
            for task in (folder / "task").glob("*"):
                name = "main" if task.name == folder.name else (task / "comm").read_text().strip()
                spent = int((task / "schedstat").read_text().split()[0]) / 1e6
                times[name] = times.get(name, 0.0) + spent
    return times


@contextmanager
def slowed(root: int, factor: float) -> Iterator[list[float]]:
    """A browser that runs for one part of the time in ``factor``; the list takes by how much it was slowed."""
    ended, pids, slowness = threading.Event(), processes(root), [1.0]

    def alternate() -> None:
        begun, running = time.perf_counter(), 0.0
        while not ended.is_set():
            since = time.perf_counter()
            time.sleep(TURN)
            for process in pids:
                os.kill(process, signal.SIGSTOP)
            running += time.perf_counter() - since
            time.sleep(max(0.0, begun + running * factor - time.perf_counter()))
            for process in pids:
                os.kill(process, signal.SIGCONT)
        slowness[0] = (time.perf_counter() - begun) / running

    if factor == 1:
        yield slowness
        return
    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield slowness
    finally:
        ended.set()
        thread.join()


def measured(driver: Any, page: Path, moves: int, slow: int) -> "tuple[np.ndarray[Any, Any], dict[str, float], float]":
    """Milliseconds of each move, processor time of each kind of thread for one, and by how much all was slowed; some
    moves before, with code that is still being compiled, are left out.
    """
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get("about:blank")
    driver.get(page.resolve().as_uri())
    WebDriverWait(driver, 60).until(lambda d: d.execute_script("return !document.getElementById('page').hidden"))
    # workers are taken when the page stands
    time.sleep(3)
    driver.set_script_timeout(110)
    driver.execute_async_script(MEASURE, 10, 2)
    root = driver.service.process.pid
    before = processor_time(root)
    with slowed(root, slow) as slowness:
        times = np.array(driver.execute_async_script(MEASURE, moves, 1))
    spent = {name: (after - before.get(name, 0.0)) / moves for name, after in processor_time(root).items()}
    return times, spent, slowness[0]


def park(folder: Path) -> Path:
    """The park's page with 200 draws of its priors: as many and as long runs as with a fit."""
    from calibration.commands.play.page import write
    from calibration.commands.play.request import Settings

    return write(Settings(target=None, output=folder / "park.html", draws="prior"))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path)
    parser.add_argument("--moves", type=int, default=120)
    parser.add_argument("--slow", type=int, default=6)
    parser.add_argument("--alone", action="store_true", help="without workers")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/shared"))
    from browsing import chromium

    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        page = arguments.page or park(Path(folder))
        if arguments.alone:
            driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": ONE_CORE})
        for slow in (1, arguments.slow):
            before = os.getloadavg()[0]
            times, spent, slowness = measured(driver, page, arguments.moves, slow)
            count = driver.execute_script("return workers ? workers.count : 0")
            p50, p95 = np.quantile(times, [0.5, 0.95])
            goal = f", goal {GOALS[slow]}" if slow in GOALS else ""
            threads = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(spent.items()) if ms >= 0.1)
            print(
                f"{page.name}, {count} workers, {f'slowed {slowness:.1f} times' if slow > 1 else 'at full speed'}: "
                f"{len(times)} moves, p50 {p50:.0f} ms, p95 {p95:.0f} ms{goal}, largest {times.max():.0f} ms; "
                f"{sum(spent.values()):.0f} ms of processor time a move ({threads}); "
                f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
            )


if __name__ == "__main__":
    main()
