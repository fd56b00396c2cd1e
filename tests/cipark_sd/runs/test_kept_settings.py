"""Runs of policies that are kept: the same results, a call that goes on, and commands that know their stores."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from cipark_sd.cli import cli
from cipark_sd.experiments.definition import Outcome, Policy, Structure
from cipark_sd.experiments.draws import Draws
from cipark_sd.experiments.futures import Futures, run_futures
from cipark_sd.experiments.run import SettingsTask, Setup, run_policies
from cipark_sd.frontends.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.runs.kept import FOLDER, Keeper, keeper_of
from cipark_sd.runs.kept_settings import KeptSettings, SettingsAgain
from cipark_sd.runs.verify import verify
from cipark_sd.scenarios import Scenario
from cipark_sd.store.chunks import RunStore, StoredChunk
from cipark_sd.store.schema import NoStore
from cipark_sd.tasks.workers import Workers

Write = Callable[..., Path]
SHARED = Path(__file__).parents[2] / "shared"
#: With noise, a limit that some draws fall below, and a loss that the model's own step is too long for.
MODEL = """
level = INTEG(-loss + noise, start) ~ m [0,?] ~ |
noise = RANDOM UNIFORM(0, 0.1, 0) ~ m/Year ~ |
start = 10 ~ m ~ |
rate = 0.1 ~ 1/Year ~ |
drain = 0 ~ m/Year ~ |
shut = 0 ~ Dmnl ~ |
loss = level * rate * (1 - shut) + drain ~ m/Year ~ |
"""
N = 24
POLICIES = (Policy("base", "nothing"), Policy("save", "saving", Scenario("save", {"shut": 0.5})))
RIVALS = (Structure("M0", "as written"), Structure("M1", "slow", Scenario("slow", {"start": 8})))
OUTCOMES = (Outcome("level", "level", "level", low=0.0), Outcome("ratio", "ratio", "loss", "level"))
TIMES = (2.0, 4.0)


@pytest.fixture
def model(write_mdl: Write) -> Model:
    return read_model(write_mdl(MODEL, final=4.75, step=0.25, saveper="0.25"))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The settings that were run and not taken from a store."""
    whole, labels = SettingsTask.__call__, []

    def counted(self: SettingsTask, tell: object) -> object:
        labels.append(self.label)
        return whole(self, tell)  # type: ignore[arg-type]

    monkeypatch.setattr(SettingsTask, "__call__", counted)
    return labels


def draws() -> Draws:
    # the step is too long for the fast ones, and the last are emptied
    drain = np.where(np.arange(N) < N - 4, 0.0, 9.0)
    return Draws("M0", {"rate": np.linspace(0.01, 6, N), "drain": drain}, "prior")


def found(model: Model, keeper: Keeper | None = None) -> xr.Dataset:
    pool = Workers(keeps=None if keeper is None else KeptSettings(keeper))
    by_rival = {"M0": draws(), "M1": draws().under("M1")}
    with pool:
        return run_policies(Setup(model, pool=pool), POLICIES, RIVALS, by_rival, OUTCOMES, TIMES)


def stores_of(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).iterdir())


def test_kept_runs_change_no_result_go_on_and_are_verified(
    model: Model, tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = found(model)
    assert int(plain["refined"].sum()) > 0
    assert 0 < int((plain["run_failed"] > 0).sum()) <= 4 * 4
    save, saved = StoredChunk.save, []

    def dying(self: StoredChunk, arrays: object) -> None:
        if len(saved) == 3:
            raise KeyboardInterrupt
        saved.append(self)
        save(self, arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(StoredChunk, "save", dying)
    with pytest.raises(KeyboardInterrupt), keeper_of(tmp_path, model, 1, fresh=False) as keeper:
        found(model, keeper)
    monkeypatch.setattr(StoredChunk, "save", save)
    computed.clear()
    for expected in (1, 1):
        with keeper_of(tmp_path, model, 1, fresh=False) as keeper:
            xr.testing.assert_identical(found(model, keeper), plain)
        assert len(computed) == expected
    (path,) = stores_of(tmp_path)
    store = RunStore(path)
    checked = verify(store, SettingsAgain(store, model), sample=4 * N, chunks=None, seed=1)
    assert (checked.passed, checked.runs, checked.chunks) == (True, 4 * N, 4)
    # a run is found by the settings that it stands under
    opened = store.open()
    labels = opened["settings"].to_numpy()[opened["setting"].to_numpy()]
    under = [f"{policy.title} under {rival.title}" for rival in RIVALS for policy in POLICIES]
    assert labels.tolist() == np.repeat(under, N).tolist()
    own = ~(opened["refined"].to_numpy().reshape(2, 2, N) ^ plain["refined"].to_numpy().swapaxes(0, 1).astype(bool))
    level = opened["level"].to_numpy().reshape(2, 2, N, len(TIMES))
    told = plain["level"].to_numpy().swapaxes(0, 1)
    assert np.array_equal(level[own], told[own], equal_nan=True)


def test_what_is_changed_in_a_store_is_found_and_draws_of_another_call_are_not_taken(
    model: Model, tmp_path: Path, write_mdl: Write
) -> None:
    with keeper_of(tmp_path, model, 1, fresh=False) as keeper:
        found(model, keeper)
    (path,) = stores_of(tmp_path)
    chunk = RunStore(path).entry("chunk", 1)
    content = {name: np.array(array) for name, array in (chunk.load() or {}).items()}
    content["level"][3] += 1e-9
    chunk.save(content)
    store = RunStore(path)
    checked = verify(store, SettingsAgain(store, model), sample=4 * N, chunks=None, seed=1)
    assert checked.different == ((N + 3, "level"),)
    content["draws"] += 1e-9
    chunk.save(content)
    with keeper_of(tmp_path, model, 1, fresh=False) as keeper, pytest.raises(NoStore, match="holds other draws than"):
        found(model, keeper)
    other = read_model(write_mdl(MODEL.replace("0.1 ~ 1/Year", "0.2 ~ 1/Year"), final=4.75, step=0.25))
    with pytest.raises(NoStore, match="it holds other runs: the model differ"):
        SettingsAgain(store, other)
    with keeper_of(tmp_path, model, 1, fresh=True) as keeper:
        xr.testing.assert_identical(found(model, keeper), found(model))


def test_futures_of_structures_with_draws_of_their_own_number_have_stores_of_their_own(
    model: Model, tmp_path: Path, computed: list[str]
) -> None:
    futures = Futures(RIVALS, np.arange(N) % 3 // 2, draws(), ("rate",))
    how = (POLICIES, futures, OUTCOMES, TIMES)
    plain = run_futures(Setup(model), *how)
    for expected in (8, 0):
        computed.clear()
        with keeper_of(tmp_path, model, 1, fresh=False) as keeper:
            again = run_futures(Setup(model, pool=Workers(keeps=KeptSettings(keeper))), *how)
        assert len(computed) + 4 * (expected > 0) == expected
        assert np.array_equal(plain, again, equal_nan=True)
    assert sorted(RunStore(path).n_runs for path in stores_of(tmp_path)) == [16, 32]


def test_a_policy_command_keeps_its_runs_and_the_others_know_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cipark(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    monkeypatch.chdir(tmp_path)
    shutil.copytree(SHARED / "fishery", tmp_path / "fishery")
    # decisions are added to the model, whose file then is another one
    catalogue = tmp_path / "fishery" / "policies.toml"
    before, _, after = catalogue.read_text().partition("[decisions]")
    catalogue.write_text(before + after[after.index("[robustness]") :])
    call = ("policy", "fishery", "--part", "effects", "--runs", "20", "--keep-runs", "-o", "out")
    done = cipark(*call)
    assert done.exit_code == 0, done.output
    listed = " ".join(cipark("runs", "list", "out").output.split())
    stores = stores_of(tmp_path / "out")
    assert (len(stores), listed.count("120 of 120"), listed.count("60 of 60")) == (3, 2, 1)
    shown = " ".join(cipark("runs", "show", stores[0]).output.split())
    assert "settings (policies under structures) over 20 draws" in shown
    verified = cipark("runs", "verify", stores[0], "--sample", "7", "--model", "fishery/fish.mdl")
    assert verified.exit_code == 0, verified.output
    assert "7 runs came out bit for bit" in verified.output
