"""A study from a model and a table of Python, and one from a folder."""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.commands.for_analyses.study import CalibrationStudy
from calibration.commands.new_study import new_study as command
from calibration.front.fit import Fit, calibrate
from calibration.front.noise import IN_PYTHON, Noise, with_noise
from calibration.new_study.parameters import stated
from calibration.new_study.request import Request
from calibration.new_study.study import NewStudy, check_free, new_study
from calibration.study import FILE
from calibration.study.problem import CalibrationProblem, read_problem
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import file_name
from cipark_sd.commands.calling import in_python, parsed
from cipark_sd.model.model import Model

if TYPE_CHECKING:
    import pandas as pd


class Study(CalibrationStudy):
    """A model with data: what ``cipark new-study`` makes of a model and a table, without a folder of one's own.

    >>> import pandas as pd
    >>> from cipark_sd import Study, bundled
    >>> counts = pd.DataFrame({"year": [2016, 2017, 2018, 2019], "firms": [8, 15, 36, 56]})
    >>> study = Study(bundled("core.mdl"), counts, {"firms": "Residents"})
    >>> study.guessed.series[0].kind
    'level'

    Parameters
    ----------
    model : Model or path
    data : DataFrame or path
        A table with a column of times.
    value : mapping of str to str
        Which variable a column observes; without it by the names.
    priors : mapping of str to Prior, frozen scipy.stats distribution or number
        By constant; a number is held. Whatever is not named has a wide prior around the value in the file.
    noise : mapping of str to Noise
        By column, where the noise is one's own. Such a study has no files: it is fitted in Python alone.
    options :
        Of ``cipark new-study``: ``time``, ``where``, ``scale``, ``unit``, ``origin``, ``until`` and others.

    Raises
    ------
    CiparkError
        For what cannot be guessed, with the keyword that says it.
    """

    guessed: NewStudy | None
    allow_files: tuple[Path, ...]
    noises: Mapping[str, Noise]

    def __init__(
        self,
        model: Model | Path | str,
        data: "pd.DataFrame | Path | str",
        value: Mapping[str, str] | Sequence[str] = (),
        *,
        priors: Mapping[str, Any] | None = None,
        noise: Mapping[str, Noise] | None = None,
        **options: Any,
    ) -> None:
        scratch = tempfile.mkdtemp(prefix="cipark-")
        # it goes when nothing holds the study any more, or Python ends
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        name = file_name(model.name if isinstance(model, Model) else Path(model).stem)
        chosen = {key: stated(key, prior) for key, prior in (priors or {}).items()}
        options |= {"value": value, "output": Path(scratch) / name}
        with parsed("Study", command, (model, data), options) as context:
            request = Request(**context.params, priors=chosen)
            guessed = new_study(request)
        problem = read_problem(guessed.folder, allow_files=request.allow_files)
        self._fill(with_noise(problem, noise or {}), request.allow_files, guessed, noise)

    @property
    def folder(self) -> Path:
        """Where its files are.

        Raises
        ------
        UnusableInput
            Of a study with noise of one's own, which no file holds.
        """
        if self.noises:
            raise UnusableInput(f"noise of {', '.join(self.noises)}: {IN_PYTHON}", where=self.title)
        return self.problem.folder

    def fit(self, **options: Any) -> Fit:
        """The fit of :func:`cipark_sd.calibrate`, with the same options."""
        return calibrate(self, **({"allow_files": self.allow_files} | options))

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write the study into a folder, from which ``cipark calibrate FOLDER`` and the other commands go on.

        Parameters
        ----------
        force : bool
            Replace the files of a study that is there.

        Raises
        ------
        InvalidValue
            Where the folder has files and ``force`` is off.
        """
        try:
            check_free(Path(folder), force=force)
        except InvalidValue as problem:
            raise problem.saying(in_python(problem.message, command)) from None
        return Path(shutil.copytree(self.folder, folder, dirs_exist_ok=True))

    def __repr__(self) -> str:
        problem = self.problem
        fitted = [parameter.name for parameter in problem.space if parameter.use == "CAL"]
        observed = ", ".join(f"{o.name} ({len(o.terms)} rows)" for o in problem.observations)
        return f"<Study {problem.title} of {problem.model.name}: {observed}; {len(fitted)} parameters fitted>"

    def _repr_html_(self) -> str:
        """Each parameter with its prior, and why it is there."""
        head = ("parameter", "use", "prior", "from", "to", "why")
        rows = [
            (p.name, p.use, str(p.prior), f"{p.distribution.low:g}", f"{p.distribution.high:g}", p.why)
            for p in self.problem.space
        ]
        cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        heads = "".join(f"<th scope='col'>{name}</th>" for name in head)
        return f"<p>{escape(repr(self))}</p><table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"

    def _fill(
        self,
        problem: CalibrationProblem,
        allow_files: Sequence[Path],
        guessed: NewStudy | None = None,
        noises: Mapping[str, Noise] | None = None,
    ) -> "Study":
        parts = {"problem": problem, "allow_files": tuple(allow_files), "guessed": guessed, "noises": noises or {}}
        for name, part in parts.items():
            object.__setattr__(self, name, part)
        return self


def read_study(name: Path | str | None = None, *, allow_files: Sequence[Path] = ()) -> Study:
    """The study in a folder, or the one of that name that comes with the package; by default the park's.

    >>> from cipark_sd import read_study
    >>> read_study("flu_1978").parameters[0].name
    'Beta'

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    folder = find_folder(None if name is None else str(name), file=FILE, where="read_study")
    return Study.__new__(Study)._fill(read_problem(folder, allow_files=allow_files), allow_files)
