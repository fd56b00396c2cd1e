"""What Python users meet: a study of a model and a table, one from a folder, and its fit as a value."""

import pickle
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from calibration.commands import pipeline
from calibration.commands.calibrate import calibrate as command
from calibration.commands.calibrate import finish, whole
from calibration.commands.for_analyses.study import CalibrationStudy
from calibration.commands.new_study import new_study as new_study_command
from calibration.commands.play.page import player_of
from calibration.commands.settings import Settings
from calibration.front.density import Density
from calibration.front.noise import IN_PYTHON, Noise, with_noise
from calibration.front.priors import stated
from calibration.inference.sample.draws import PosteriorDraws, tree
from calibration.likelihood.posterior import On, posterior
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.new_study.folders import check_free
from calibration.new_study.guesses import NewStudy
from calibration.new_study.request import Request
from calibration.new_study.study import new_study
from calibration.power.measure import SETS, Power, own_structure, power_of
from calibration.power.question import QUESTION, PowerQuestion, read_power_question
from calibration.report.collect import Calibration, fit_findings, values_of
from calibration.report.figures_posterior import pairs_figure, posterior_figure
from calibration.report.findings import Findings, estimates, posterior_table, save
from calibration.report.output import ending, files_of_earlier, page
from calibration.report.sections.answer import First
from calibration.report.sections.constants import classes
from calibration.report.sections.registry import SECTIONS
from calibration.study import FILE
from calibration.study.observations import quantities_of
from calibration.study.problem import CalibrationProblem, read_problem
from calibration.study.sections import METHODS
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.arrays import evenly
from cipark_sd.base.checkpoints import program, sign_files, signed_bytes
from cipark_sd.base.errors import InvalidValue, UnknownMethod, UnknownName, UnusableInput, brief_methods, one_of
from cipark_sd.base.files import OUTPUT_FOLDER, file_name, output_folder, unused_removed, write_bytes, write_text
from cipark_sd.base.naming import base_name, override_key
from cipark_sd.base.optional import recorded
from cipark_sd.commands.requests import dress, in_python, parameters_of, requested
from cipark_sd.commands.result import Acting, Player, Result, of_folder
from cipark_sd.data.scenarios import Scenario
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.changes_files import ScenarioLike
from cipark_sd.model.model import Method as Integration
from cipark_sd.model.model import Model
from cipark_sd.pages.output import draw
from cipark_sd.pages.page import HTML, answer_of
from cipark_sd.pages.parts import Drawing, Pictures
from cipark_sd.simulations.ensembles import ensemble
from cipark_sd.simulations.held import scenario_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

#: Options of the command that ask for what follows a fit, or for files: they are those of :meth:`Fit.report`.
AFTER = ("holdout", "rivals", "scenario", "self_test", "all", "player", "fresh", "output")
#: All of a fit, for :func:`load_fit`: a line that names the program, and a pickle.
WHOLE = "fit.pickle"
#: Draws of a prediction.
DRAWS = 500


@brief_methods
@dataclass(frozen=True, eq=False, repr=False)
class Fit(Calibration, Acting):
    """What ``cipark calibrate`` computes, as a value: ``cp.simulate(model, fit.scenario)`` runs the fitted model.

    Parameters
    ----------
    settings : Settings
        What was asked for.
    study : object
        What holds the files of a study without a folder of its own.
    """

    settings: Settings = field(default_factory=Settings)
    study: object = None

    @property
    def scenario(self) -> Scenario:
        """The scenario of the fit: the study's own values and times, and the constants of the model at the estimate.

        A fit by rk4 of a file that has Euler's method runs as it was fitted with ``method="rk4"``.
        """
        values = values_of(self.problem, self.optimum.theta)
        return (self.problem.scenario | Scenario("", values)).renamed("fit")

    @cached_property
    def density(self) -> Density:
        """The log density that was fitted: its rows, time step and noise. See :attr:`Study.density`."""
        return _density(self.problem, self.engine)

    @cached_property
    def findings(self) -> Findings:
        """What tables, figures and the page are made of, with what draws are held against, such as a misfit."""
        return Findings(fit_findings(self), pipeline.assessment(self.settings, self))

    @cached_property
    def idata(self) -> Any:
        """The draws with prior, predictions, log likelihood and data, as the ArviZ that is installed takes them.

        Returns
        -------
        xarray.DataTree, or arviz.InferenceData for ArviZ before 1.0

        Raises
        ------
        UnusableInput
            Of a fit without draws.
        """
        seed = self.problem.method.seed
        drawn = tree(self._drawn(), stage_numbers(seed, Stage.FILE_OF_DRAWS), seed)
        try:
            import arviz
        except ImportError:
            return drawn
        if not arviz.__version__.startswith("0."):
            # it takes xarray's own trees, and warns whoever asks for the class before them
            return drawn
        older: Any = arviz.InferenceData
        return older.from_datatree(drawn)

    def summary(self) -> "pd.DataFrame":
        """A row for each parameter: estimate with standard error and profile interval, and moments of the draws.

        An end of an interval is NaN where there is none; ``class`` is what the data say of a fitted constant of the
        model, such as "known", and ``verdict`` says in words what that rests on.
        """
        import pandas as pd

        fit = self.findings.fit
        table = pd.DataFrame(estimates(fit)).rename(columns={"profile_low": "low", "profile_high": "high"})
        table["unit"] = [fit.study.units.get(name, "") for name in table["name"]]
        table["class"] = table["name"].map(classes(self.findings)).fillna("")
        table = table.set_index("name")[["unit", "estimate", "standard_error", "low", "high", "class", "verdict"]]
        if drawn := posterior_table(fit):
            columns = ["mean", "sd", "median", "low_95", "high_95", "rhat", "ess_bulk"]
            table = table.join(pd.DataFrame(drawn).set_index("name")[columns])
        table = table.rename_axis("parameter")
        numbers = [name for name in table if name not in ("unit", "class", "verdict")]
        return table.astype(dict.fromkeys(numbers, float))

    def predict(
        self,
        scenario: ScenarioLike = Scenario(),  # noqa: B008  (frozen, and neutral)
        *,
        save: Sequence[str] = (),
        draws: int = DRAWS,
        times: Sequence[float] | None = None,
    ) -> "xr.Dataset":
        """Runs of the model over draws of the posterior, without the noise of the data; ``plot_fan`` draws them.

        Parameters
        ----------
        scenario : Scenario, mapping or path
            What differs from the study, such as a policy or a later end; it wins over the draws.
        save : sequence of str
            Variables; without them those that were observed.
        draws : int
            How many, at most; evenly spaced ones are taken.
        times : sequence of float, optional
            Some of the saved times.

        Returns
        -------
        xarray.Dataset
            See :func:`cipark_sd.ensemble`.

        Raises
        ------
        UnusableInput
            Of a fit without draws.
        """
        problem, chosen = self.problem, evenly(self._drawn().flat, draws)
        changed = scenario_of(problem.model, scenario)
        columns = {
            parameter.name: values
            for parameter, values in zip(problem.space, chosen.T, strict=True)
            if parameter.target == "model" and override_key(parameter.name) not in changed.overrides
        }
        shared = problem.scenario | changed
        names = tuple(save) or self._observed()
        return ensemble(problem.model, columns, save=names, times=times, scenario=shared, engine=self.engine)

    def plot(self, name: str = "fit") -> "Figure":
        """A figure of the report by its name: ``"fit"`` is the model at the estimate beside the data, with residuals.

        Parameters
        ----------
        name : str
            Such as ``"posterior"``, priors and draws of each parameter, or ``"pairs"`` of them.

        Raises
        ------
        UnknownName
            For one that this fit does not have.
        """
        drawings = {drawing.name: drawing for part in SECTIONS for drawing in part.drawings(self.findings)}
        if self.draws is not None:
            space, flat = self.problem.space, self.draws.flat
            drawings["posterior"] = Drawing("posterior", posterior_figure, space, flat)
            drawings["pairs"] = Drawing("pairs", pairs_figure, space, flat, space.names)
        if name not in drawings:
            raise UnknownName(name, drawings, kind="figure", where=self.problem.title)
        return drawings[name].figure()

    def report(self, folder: Path | str | None = None, **options: Any) -> Result:
        """Write the page, tables and figures that ``cipark calibrate`` writes; the page is what a notebook shows.

        Parameters
        ----------
        folder : path, optional
            By default ``cipark-output/`` and the name of the study.
        options :
            Of the command, for what follows a fit: ``holdout``, ``rivals``, ``scenario``, ``self_test``, ``all``,
            ``player``. They need draws.
        """
        without = [name for name in parameters_of(command) if name not in AFTER or name in ("output", "fresh")]
        with requested("report", command, (), options, without) as chosen:
            request = Settings(**chosen)
            after = ("holdout", "rivals", "scenarios", "self_tests", "everything", "player")
            if any(getattr(request, name) for name in after[:-1]):
                self._drawn()
            settings = replace(self.settings, **{name: getattr(request, name) for name in after})
            with unused_removed():
                # made when there is something to put into it
                place = self._folder(folder)
                with recorded(place):
                    findings = finish(whole(settings, place), self, self.findings.fit, place)
            made = of_folder(place, ending=ending(findings, place / HTML), exit_code=0 if findings.sound else 1)
        return replace(made, command="calibrate")

    def save(self, folder: Path | str | None = None) -> Path:
        """Write what other commands and :func:`cipark_sd.load_fit` take up.

        Parameters
        ----------
        folder : path, optional
            By default ``cipark-output/`` and the name of the study, where ``policy`` and ``play`` look.
        """
        place = self._folder(folder)
        earlier = files_of_earlier(place)
        pipeline.keep_fit(self.findings, place)
        # its bytes go by what is shared in memory: the command, whose files are the same after a stop, writes none
        write_bytes(place / WHOLE, f"{program()}\n".encode() + pickle.dumps(replace(self, study=None)))
        sign_files(place, WHOLE)
        save(self.findings, place)
        pipeline.keep_draws(self, place)
        for path in earlier:
            path.unlink(missing_ok=True)
        return place

    def power(self, question: Path | str | None = None, *, sets: int = SETS, check: int = 0) -> Power:
        """What these data could have said of constants and rivals, and what further data would.

        Parameters
        ----------
        question : path, optional
            A file such as ``power.toml``: rivals, sizes, further data. By default that beside the study, if there is
            one.
        sets, check : int
            Data sets that each structure makes, and how many of them are sampled in full as well.

        Returns
        -------
        Power
            Its tables are ``rivals``, ``constants`` and ``value``.

        Raises
        ------
        UnusableInput
            Of a fit without draws.
        """
        problem, drawn = self.problem, self._drawn().flat
        path = problem.folder / QUESTION if question is None else Path(question)
        there = question is not None or path.is_file()
        asking = read_power_question(problem, path) if there else PowerQuestion()
        return power_of(problem, {own_structure(problem): drawn}, asking, On(self.engine), sets=sets, check=check)

    def play(
        self, *, variables: Sequence[str] = (), levers: Sequence[str] = (), output: Path | str | None = None
    ) -> Player:
        """The page on which the fitted model runs, as ``cp.play(fit)`` gives it, written into ``output``.

        Parameters
        ----------
        variables, levers : sequence of str
            Outputs to show and constants to move, as for ``cipark play``.
        output : path, optional
            By default in ``cipark-output``.
        """
        with tempfile.TemporaryDirectory() as scratch:
            place = self.save(Path(scratch))
            text = player_of(self.problem, place, self.problem.method.seed, tuple(variables), tuple(levers))
        path = Path(output or output_folder(OUTPUT_FOLDER) / f"{self.problem.folder.resolve().name}-play.html")
        return Player({"output": write_text(path, text), "bytes": len(text.encode())}, 0, [str(path)], "play")

    def _repr_html_(self) -> str:
        """The answer of the page."""
        with tempfile.TemporaryDirectory() as scratch:
            drawings = list(First().drawings(self.findings))
            for drawing in drawings:
                draw(drawing, Path(scratch), (".svg",))
            pictures = Pictures(frozenset(drawing.name for drawing in drawings))
            return answer_of(page(self.findings, pictures), Path(scratch))

    def _drawn(self) -> PosteriorDraws:
        if self.draws is None:
            why = self.findings.fit.unsampled or "fit with posterior=True"
            raise UnusableInput(f"the fit has no draws: {why}", where=self.problem.title)
        return self.draws

    def _observed(self) -> tuple[str, ...]:
        parts = (name for quantity in quantities_of(self.problem.observations) for name, _ in quantity.parts)
        return tuple(dict.fromkeys(base_name(name) for name in parts))

    def _folder(self, folder: Path | str | None) -> Path:
        if noises := getattr(self.study, "noises", {}):
            raise UnusableInput(f"noise of {', '.join(noises)}: {IN_PYTHON}", where=self.problem.title)
        name = self.problem.folder.resolve().name
        return output_folder(OUTPUT_FOLDER / name if folder is None else Path(folder), where="folder")


def load_fit(folder: Path | str) -> Fit:
    """The fit that :meth:`Fit.save` left in a folder, whole.

    Parameters
    ----------
    folder : path
        Such as ``"cipark-output/park"``.

    Returns
    -------
    Fit
        As it was when it was kept: its estimates, intervals and draws, to go on with.

    Raises
    ------
    UnusableInput
        For a folder without a fit, or with one that somebody else or another version of the program has made.
    """
    where = f"load_fit: {folder}"
    # a pickle can run anything: nothing is read of a file that this user has not signed
    content = signed_bytes(Path(folder), WHOLE)
    if content is None:
        raise UnusableInput("no fit that this user has signed is in it: fit.save(folder) leaves one", where=where)
    made_by, _, pickled = content.partition(b"\n")
    if made_by.decode() != program():
        raise UnusableInput("its fit is of another version of cipark_sd: fit again", where=where)
    fit: Fit = pickle.loads(pickled)
    return fit


def _density(problem: CalibrationProblem, engine: str) -> Density:
    if problem.payoff and not problem.method.log_density:
        raise UnusableInput("its objective is a payoff that is not said to be a log density", where=problem.title)
    return Density(posterior(problem, choose(engine)))


def calibrate(study: Any = None, **options: Any) -> Fit:
    """As documented by :func:`cipark_sd.commands.requests.dress`."""
    for name in AFTER:
        if name in options:
            raise UnusableInput(f"{name!r} is for what follows a fit: fit.report({name}=…)", where="calibrate")
    noises = getattr(study, "noises", {})
    # noise of one's own is in no file, and in no other process
    place = study.problem.folder if noises else study
    with requested("calibrate", command, () if place is None else (place,), options, AFTER) as keywords:
        chosen = Settings(**keywords)
        chosen = replace(chosen, workers=0) if noises else chosen
        fast = options.get("fast", True)
        settings = replace(chosen, study=chosen.folder, fast=fast, profiles=options.get("profiles", not fast))
        made = pipeline.calibrate(settings, partial(with_noise, noises=noises))
    return Fit(
        **{entry.name: getattr(made, entry.name) for entry in fields(Calibration)}, settings=settings, study=study
    )


dress(calibrate, "calibrate", command, AFTER)
calibrate.__doc__ = f"""Fit a study: searches from many starting points, profiles and draws as asked for.

>>> from calibration import calibrate
>>> fit = calibrate("nist_rat42", starts=4, profiles=False)
>>> round(fit.estimates["Largest Yield"], 3)
72.462

Without ``fast=False`` there are few searches, and profiles only where ``profiles=True`` asks for them. Nothing is
written: :meth:`Fit.report` and :meth:`Fit.save` do that. The rest is as in the command:

{calibrate.__doc__}
"""


@brief_methods
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
        What is fitted; a path is read first.
    data : DataFrame, Series, DataArray, mapping of columns, run or path
        A table with a column of times, or a long one: ``unique_id, ds, y``, or ``variable, value`` and times.
    value : mapping of str to str
        Which variable a column observes; without it by the names.
    priors : mapping of str to Prior, frozen scipy.stats distribution or number
        By constant; a number is held. Whatever is not named has a wide prior around the value in the file.
    noise : mapping of str to Noise
        By column, where the noise is one's own. Such a study has no files: it is fitted in Python alone.
    step : float
        Time step in the model's unit of time; without it the file's, which a fit refines where it is too coarse.
    method : {"euler", "rk4", "rk4_auto", "rk2", "rk2_auto", "gear"}
        Likewise, of integration.
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
    held: Mapping[str, object]

    def __init__(
        self,
        model: Model | Path | str,
        data: Any,
        value: Mapping[str, str] | Sequence[str] = (),
        *,
        priors: Mapping[str, Any] | None = None,
        noise: Mapping[str, Noise] | None = None,
        step: float | None = None,
        method: Integration | None = None,
        **options: Any,
    ) -> None:
        data = table_of(data, where="Study")
        scratch = tempfile.mkdtemp(prefix="cipark-")
        # it goes when nothing holds the study any more, or Python ends
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        name = file_name(model.name if isinstance(model, Model) else Path(model).stem)
        chosen = {key: stated(key, prior) for key, prior in (priors or {}).items()}
        options |= {"value": value, "output": Path(scratch) / name}
        if method is not None:
            method = cast(Integration, one_of(method, METHODS, "the integration method", where="Study"))
        with requested("Study", new_study_command, (model, data), options) as keywords:
            request = Request(**keywords, priors=chosen, step=step, method=method)
            guessed = new_study(request)
        problem = read_problem(guessed.folder, allow_files=request.allow_files)
        held = {key: setting for key, setting in (("step", step), ("method", method)) if setting is not None}
        self._fill(with_noise(problem, noise or {}), request.allow_files, guessed, noise, held)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "problem" not in vars(self):
            raise AttributeError(name)
        raise UnknownMethod(name, self.title, "study")

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

    @cached_property
    def density(self) -> Density:
        """The log density of the parameters, with gradients, draws of the priors and simulated observations.

        Raises
        ------
        UnusableInput
            Where the objective is a payoff, which is no log density.
        """
        return _density(self.problem, "native")

    def fit(self, **options: Any) -> Fit:
        """The fit of :func:`cipark_sd.calibrate`, with the same options."""
        return calibrate(self, **{"allow_files": self.allow_files, **self.held, **options})

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
            raise problem.saying(in_python(problem.message, new_study_command)) from None
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
        held: Mapping[str, object] | None = None,
    ) -> "Study":
        parts = {"problem": problem, "allow_files": tuple(allow_files), "guessed": guessed, "noises": noises or {}}
        parts["held"] = held or {}
        for name, part in parts.items():
            object.__setattr__(self, name, part)
        return self


def read_study(name: Path | str | None = None, *, allow_files: Sequence[Path] = ()) -> Study:
    """The study in a folder, or the one of that name that comes with the package; by default the park's.

    >>> from cipark_sd import read_study
    >>> read_study("flu_1978").parameters[0].name
    'Beta'

    Parameters
    ----------
    name : path or str, optional
        None for the study of the park.
    allow_files : sequence of Path
        Folders beneath which its files may lie as well.

    Returns
    -------
    Study
        With the data, priors and settings of its ``problem.toml``.

    Raises
    ------
    UnknownName, InvalidValue, Problems
    """
    folder = find_folder(None if name is None else str(name), file=FILE, where="read_study")
    return Study.__new__(Study)._fill(read_problem(folder, allow_files=allow_files, maximised=True), allow_files)
