"""The command line in the process of a test."""

from typing import Any

from click.testing import CliRunner, Result


def cipark(*words: object, code: int | None = 0, **more: Any) -> Result:
    """What a call of ``cipark`` comes to; it ends with this exit code, or any for ``None``. ``more`` is for click."""
    # a test that changes what a command lists does so before it is imported
    from cipark_sd.commands.cli import cli

    done = CliRunner().invoke(cli, [str(word) for word in words], **more)
    assert code is None or done.exit_code == code, (done.output, done.exception)
    return done
