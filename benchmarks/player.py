"""From the move of a lever to the painted fan, in Chromium.

    python benchmarks/player.py [page.html] [--moves 120] [--slow 6]

Opens a page that ``cipark play`` has made (without one: the park with 200 draws of its priors), moves its levers by
their input elements, and measures in the page from the event's own time stamp to the first task after the frame in
which the fan was drawn (a message that is posted in ``requestAnimationFrame``). So waiting for the frame is in it, and
the last step of the compositor is not. The same once more with the processor throttled through the DevTools protocol.
Beside it stands the processor time of the page's main thread for each move, all that follows the painting included; it
hardly depends on what else the machine does.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

#: What is wished of 95 % of the moves, in milliseconds: at full speed, and slowed six times.
GOALS = {1: 50, 6: 250}
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


def main_thread(driver: Any) -> float:
    """Processor time of the page's main thread so far, in milliseconds."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def measured(driver: Any, page: Path, moves: int, slow: int) -> "tuple[np.ndarray[Any, np.dtype[np.float64]], float]":
    """Milliseconds of each move, and processor time of the main thread for one; the first ten moves, with code that is
    still being compiled, are left out of the former.
    """
    from selenium.webdriver.support.ui import WebDriverWait

    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    driver.get("about:blank")
    driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": 1})
    driver.get(page.resolve().as_uri())
    WebDriverWait(driver, 60).until(lambda d: d.execute_script("return !document.getElementById('page').hidden"))
    driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": slow})
    driver.set_script_timeout(300)
    before = main_thread(driver)
    times = np.array(driver.execute_async_script(MEASURE, moves + 10, 1))[10:]
    return times, (main_thread(driver) - before) / (moves + 10)


def park(folder: Path) -> Path:
    """The park's page with 200 draws of its priors: as many and as long runs as with a fit."""
    from calibration.commands.play.page import Settings, write

    return write(Settings(target=None, output=folder / "park.html", draws="prior"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?", type=Path)
    parser.add_argument("--moves", type=int, default=120)
    parser.add_argument("--slow", type=int, default=6)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/shared"))
    from browsing import chromium

    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        page = arguments.page or park(Path(folder))
        for slow in (1, arguments.slow):
            before = os.getloadavg()[0]
            times, work = measured(driver, page, arguments.moves, slow)
            p50, p95 = np.quantile(times, [0.5, 0.95])
            goal = f", goal {GOALS[slow]}" if slow in GOALS else ""
            print(
                f"{page.name}, processor {'as it is' if slow == 1 else f'slowed {slow} times'}: {len(times)} moves, "
                f"p50 {p50:.0f} ms, p95 {p95:.0f} ms{goal}, largest {times.max():.0f} ms; "
                f"main thread {work:.0f} ms of processor time a move; "
                f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
            )


if __name__ == "__main__":
    main()
