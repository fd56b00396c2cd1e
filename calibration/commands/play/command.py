"""``cipark play``. Nothing heavy is imported before the command runs."""

import click

from calibration.commands.play.request import Settings
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Player


@command_of(Settings, short_help="Write a page with levers that runs the model.")
def play(settings: Settings) -> Player:
    """Write one HTML file in which STUDY or MODEL runs: levers, curves, scenarios, a link that keeps what is set.

    The model is in the file as WebAssembly. It needs no server and no network, opens from disk and can be sent by
    mail; its numbers are the native engine's bit for bit, which the page checks when it is opened.

    STUDY is a folder with problem.toml or the name of a study that comes with the package (by default the park's). The
    levers are those of its policies.toml, else the fitted constants and what else moves the curves most; the bands are
    of the posterior that cipark calibrate --posterior has left in cipark-output; before a fit they are of the priors,
    and the page says so. MODEL is any .mdl or XMILE file: one run at a time, and its most influential constants as
    levers.

    \b
    Examples:
      cipark play                                  the park
      cipark play my.mdl --open
      cipark play my.mdl --variables "Population,births" --levers "birth rate,death rate" -o page.html
      cipark play my_study --draws my_fit/draws.nc
    """
    from calibration.commands.play.page import write
    from cipark_sd.base.optional import record_in

    record_in()
    path, notice = write(settings)
    if settings.opened:
        click.launch(str(path.resolve()))
    size = path.stat().st_size
    printed = [f"{path}: {size / 1000:.0f} kB, opens in any browser", *([notice] if notice else [])]
    return Player({"output": path, "bytes": size, "notice": notice}, printed=printed)
