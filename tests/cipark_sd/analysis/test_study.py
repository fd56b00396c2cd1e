"""A study as analyses see it: one with data and a model without, through the same members."""

from pathlib import Path

import numpy as np
import pytest
from places import FISHERY
from small_study import small_study

from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.analysis.sensitivities.factors import Factor
from cipark_sd.analysis.study import (
    DrawRequest,
    DrawSet,
    PlainModel,
    Study,
    find_folder,
    find_study,
    known_studies,
    study_in,
)
from cipark_sd.base.console import Bars
from cipark_sd.base.errors import InvalidValue, UnknownName
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model

STRUCTURES = (Structure("a", "as it is"), Structure("b", "slow", Scenario("", {"Growth Rate": 0.2})))


@pytest.fixture(scope="module")
def plain() -> PlainModel:
    rate = Factor("Growth Rate", lambda shares: 0.1 + 0.4 * shares)
    return PlainModel("fish", FISHERY, read_model(FISHERY / "fish.mdl"), (rate,))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("leaving")
    small_study(folder)
    return find_study(str(folder))


def drawn(study: Study, source: object, folder: Path, n: int = 8) -> DrawSet:
    return study.draws(DrawRequest(STRUCTURES, source, n, 1, folder, "native"), Bars())  # type: ignore[arg-type]


def test_a_model_without_data_draws_its_ranges_whole_and_alike_for_each_structure(
    plain: PlainModel, tmp_path: Path
) -> None:
    made = drawn(plain, "at hand", tmp_path)
    values = made.draws["a"].values["growth_rate"]
    # a Latin hypercube: one draw in each eighth of the range
    assert sorted(np.floor((values - 0.1) / 0.05).astype(int)) == list(range(8))
    assert np.array_equal(made.draws["b"].values["growth_rate"], values)
    assert {draws.origin for draws in made.draws.values()} == {"ranges"}
    assert (made.structures, made.prior, made.notes) == (STRUCTURES, made.draws, ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", [Path("fit"), {"a": Path("a.nc")}])
def test_a_model_without_data_has_no_fit_to_draw_from(plain: PlainModel, source: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a model without a study has no data"):
        drawn(plain, source, tmp_path)


def test_a_model_in_which_nothing_is_uncertain_has_no_draws(plain: PlainModel, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"\[\[uncertainty\]\] is 'none'"):
        drawn(PlainModel("fish", FISHERY, plain.model, ()), "prior", tmp_path)


def test_a_model_without_data_contradicts_none_and_asks_for_its_stocks(plain: PlainModel) -> None:
    assert plain.contradictions(None, None, seed=0, engine="native") == ""
    assert plain.fit_at_hand() is None
    question = plain.question()
    assert question.factors.names == ("Growth Rate",)
    assert [moment.time for moment in question.moments] == [plain.model.time.final]
    assert {output.variable for output in question.outputs} <= {stock.label for stock in plain.model.stocks}
    assert 1 <= len(question.outputs) <= 3


def test_a_study_with_data_is_seen_through_the_same_members(fitted: Study, plain: PlainModel, tmp_path: Path) -> None:
    assert (fitted.has_data, plain.has_data) == (True, False)
    assert [one.name for one in fitted.parameters] == ["size", "rate"]
    # the scale on which a spread is judged is the parameter's own
    assert fitted.parameters[0].scale(np.array([np.e])) == pytest.approx(1)
    assert plain.parameters[0].scale(np.array([np.e])) == pytest.approx(np.e)
    made = drawn(fitted, "prior", tmp_path)
    assert {draws.origin for draws in made.draws.values()} == {"prior"}
    assert set(made.draws["a"].values) == {"size", "rate"}
    assert fitted.question().factors.names == ("size", "rate")


def test_studies_are_found_by_name_and_by_folder(fitted: Study, tmp_path: Path) -> None:
    assert find_study(None).name == "great_stone"
    assert study_in(fitted.folder) == fitted
    assert study_in(tmp_path) is None
    assert "great_stone" in known_studies("x", "problem.toml")
    with pytest.raises(UnknownName, match="did you mean 'great_stone'"):
        find_study("great_ston")


def test_the_study_that_runs_unnamed_needs_no_name_on_a_command_line(fitted: Study) -> None:
    assert find_study(None).argument == ""
    assert fitted.argument == f" {fitted.folder}"


def test_a_misspelt_study_is_offered_once() -> None:
    with pytest.raises(UnknownName) as raised:
        find_folder("great_ston", file="problem.toml", where="calibrate")
    assert str(raised.value).count("did you mean") == 1
    assert "'great_stone'" in str(raised.value)
