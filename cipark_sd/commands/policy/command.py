"""``cipark policy``. Nothing heavy is imported before the command runs."""

from cipark_sd.commands.options import command_of
from cipark_sd.commands.policy.request import Request
from cipark_sd.commands.result import Result


@command_of(Request, short_help="Compare policies: effects, decisions, attribution.")
def command(request: Request) -> Result:
    """Run the policy experiments of a study over joint draws of its parameters and over rival structures.

    STUDY is a folder with problem.toml and policies.toml, or the name of a study that comes with the package; without
    it the park's. Without --draws the posterior is used that cipark calibrate --posterior has left in cipark-output,
    and of rivals that of --rivals. Without any, policies run at the best fit alone, without intervals. --draws prior
    shows signs only, and stops where the priors contradict the data. Interrupted runs resume.

    \b
    Examples:
      cipark policy                                what the paper's claims come to
      cipark policy --draws prior                  what the model assumes: signs, no sizes
      cipark policy --draws fit/draws.nc           the posterior of one structure
      cipark policy --part attribution             the contribution of each mechanism
      cipark policy my_study --part decisions      options against doing nothing, and what to measure first
      cipark policy --part all --runs 200 -o policies
      cipark policy my_study --draws M0=a.nc --draws M1=b.nc
    """
    from cipark_sd.commands.policy.output import run

    return run(request)
