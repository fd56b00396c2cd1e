"""The figures of ``cipark sensitivity``: what is drawn of what was computed, on all processors."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cipark_sd.commands.sensitivity.findings import Found
from cipark_sd.files import file_name
from cipark_sd.sensitivity.ranking import strongest_names
from cipark_sd.sensitivity.sample import fan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: From so many figures on, others draw as well: a process takes about as long to start as three figures to draw.
_MANY = 10


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its file's name, and a function of a module with what it draws."""

    name: str
    draw: "Callable[..., Figure]"
    parts: tuple[Any, ...]


def drawings(found: Found) -> Iterator[Drawing]:
    """What there is to draw."""
    from cipark_sd.plotting import decisions, indices
    from cipark_sd.plotting import sensitivity as plot
    from cipark_sd.plotting.loops import plot_loops

    moments = found.moments
    if found.sobol is not None:
        yield Drawing("indices", indices.indices_over_time, (found.sobol, moments))
        yield Drawing("heat-map", indices.heat_map, (found.sobol,))
        yield Drawing("convergence", indices.convergence, (found.sobol, moments))
    if found.shapley is not None:
        yield Drawing("shapley-over-time", indices.shapley_over_time, (found.shapley, moments))
        yield Drawing("shapley", plot.shapley_bars, (found.shapley, moments))
    if found.sample is not None:
        yield Drawing("fan", plot.fan_chart, (fan(found.sample), moments))
    if found.tornado is not None:
        yield Drawing("tornado", plot.tornado_bars, (found.tornado, moments))
    if found.morris is not None:
        yield Drawing("morris", plot.morris_planes, (found.morris, moments))
    if found.claims is not None:
        yield Drawing("claims", decisions.claims_map, (found.claims,))
    if found.choices is not None:
        yield Drawing("choices", decisions.choice_bars, (found.choices,))
    if found.loops is not None:
        yield Drawing("loops", plot_loops, (found.loops,))
    yield from _scatters(found)


def _scatters(found: Found) -> Iterator[Drawing]:
    """Of each output and moment, with the four strongest constants."""
    from cipark_sd.plotting import sensitivity as plot

    leading = found.sobol if found.sobol is not None else found.shapley
    if found.sample is None or leading is None:
        return
    for output in map(str, leading["output"].to_numpy()):
        for moment in found.moments:
            names = strongest_names(leading, output, moment, count=4)
            if len(names) > 1:
                nearest = float(found.sample["time"].sel(time=moment.time, method="nearest"))
                part = found.sample.sel(output=[output], time=[nearest], parameter=names)
                name = f"scatter_{file_name(output)}_{file_name(moment.label)}"
                yield Drawing(name, plot.scatter_matrix, (part, names, output, moment))


@contextmanager
def drawn(asked: Sequence[Drawing], folder: Path, workers: int) -> "Iterator[Callable[[], list[Path]]]":
    """Draw while the body does other things; what it gets waits for the figures and gives their files in order."""
    if workers < 2 or len(asked) < _MANY:
        yield lambda: [path for drawing in asked for path in draw(drawing, folder)]
        return
    # a process of its own memory: one that is copied from this may wait for locks of threads that it does not have
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_uninterrupted) as pool:
        waiting = [pool.submit(draw, drawing, folder) for drawing in asked]
        try:
            yield lambda: [path for each in waiting for path in each.result()]
        finally:
            pool.shutdown(cancel_futures=True)


def _uninterrupted() -> None:
    """Ctrl-C is for the process that waits; it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def draw(drawing: Drawing, folder: Path) -> list[Path]:
    """Draw and save one figure; its files, the one for a page first."""
    from cipark_sd.plotting.files import save_for_print

    return save_for_print(drawing.draw(*drawing.parts), folder, drawing.name)
