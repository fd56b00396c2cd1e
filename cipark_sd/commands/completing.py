"""What a shell offers behind Tab: names of variables in the model of the line, studies, models of the package.

A name is offered in its plain spelling, ``birth_rate`` for "birth rate", since a space would have to be quoted, and in
the modeller's once a space has been typed; every command takes either. What goes wrong while a line is being typed is
no error: nothing is offered then.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from cipark_sd.base.console import escaped
from cipark_sd.base.errors import CiparkError

if TYPE_CHECKING:
    from cipark_sd.model.model import Model

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
#: Parameters of a line that may name its model or study.
_TARGETS = ("file", "target", "study", "model")


def variables(*kinds: str, value: str = "") -> Offer:
    """Offers variables of these kinds, after the last comma of what is typed.

    Parameters
    ----------
    value : str
        What follows a name, such as ``"="``.
    """

    def offer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from cipark_sd.base.naming import canonical
        from cipark_sd.model.variables import kind

        before, comma, begun = incomplete.rpartition(",") if not value else ("", "", incomplete)
        model = _model(context)
        if model is None:
            return []
        return [
            CompletionItem(
                f"{before}{comma}{variable.label if ' ' in begun else variable.name}{value}",
                help=escaped(variable.units or variable.label),
            )
            for variable in model
            if (not kinds or kind(variable) in kinds)
            and variable.name.startswith(canonical(begun))
            # what a shell would not show as it is
            and escaped(variable.label) == variable.label
        ]

    return offer


def _offered(names: Callable[[], Iterable[str]], *, file: bool = True) -> Offer:
    """Offers names that are known, and files where a file may stand in their place."""

    def offer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        known = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return [*known, CompletionItem(incomplete, type="file")] if file else known

    return offer


def _studies() -> Sequence[str]:
    from cipark_sd.analysis.study import readers

    return sorted(name for reader in readers() for name in reader.shipped_studies(reader.FILE))


def _engines() -> Sequence[str]:
    from cipark_sd.engines.registry import names

    return names()


_MODELS = ("cipark", "core")
#: Studies and models that come with a package, and files.
studies, models = _offered(_studies), _offered(lambda: _MODELS)
targets = _offered(lambda: (*_studies(), *_MODELS))
engines = _offered(_engines, file=False)


def _model(context: click.Context) -> "Model | None":
    """The model that the line names, by itself or through a study; None where there is none yet."""
    from cipark_sd.analysis.study import find_study
    from cipark_sd.base.library import located
    from cipark_sd.language.read.model_file import read_model

    named = next((context.params[name] for name in _TARGETS if context.params.get(name)), None)
    if named is None and context.args:
        # an option that still waits for its value keeps click from giving the arguments their names
        named = context.args[0]
    try:
        path = located(None if named is None else Path(named))
        return read_model(path) if path.is_file() else find_study(str(named)).model
    except (CiparkError, OSError):
        return None
