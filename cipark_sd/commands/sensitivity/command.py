"""``cipark sensitivity``: which assumptions drive the outputs, when, and with what confidence."""

from cipark_sd.commands import options
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Result
from cipark_sd.commands.sensitivity.request import Request


@options.refused("--resume", "there is no option {} any more: interrupted runs resume; --fresh starts again", flag=True)
@options.refused("--until", "there is no option {} any more: double --rows until intervals are narrow; kept rows count")
@options.refused("--pairs", "there is no option {} any more: SALib has second-order indices, on runs of cipark")
@options.refused("--effect", "there is no option {} any more: sensitivity.toml of a study has outputs with 'without'")
@options.renamed("--to", "--output")
@options.renamed("-n", "--rows")
@command_of(Request, short_help="Find the assumptions that drive the outputs, and when.")
def command(request: Request) -> Result:
    """Find the uncertain constants that drive the outputs of a model, when, and with what confidence.

    STUDY is a folder or a study by name. After cipark calibrate its constants vary as the fit has left them, and before
    that, or with --draws prior, over their priors; its sensitivity.toml adds what the fit holds.
    MODEL is a Vensim or XMILE file: all constants vary by --range around their values, within their limits. Without
    either it is the park study. report.html in the output folder gives the answer in words. The Sobol design is kept: a
    call that was stopped resumes, and one with more --rows continues the design.

    \b
    Examples:
      cipark sensitivity                                     the park: the drivers of residents and of a policy
      cipark sensitivity --rows 4096                         intervals half as wide as with 1024
      cipark sensitivity my.mdl --variables Population --range 0.3
      cipark sensitivity --draws prior                       which assumptions matter before the data
      cipark sensitivity --draws draws.nc                    posterior draws, which depend on each other
      cipark sensitivity --loops 20                          which feedback loops lead, and when
    """
    from cipark_sd.commands.sensitivity.output import answer

    return answer(request)
