"""The certificate finds what differs, says where and when, and passes what is equal."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import exported
import numpy as np
import pandas as pd
import pytest
from command_line import cipark
from places import CORPUS
from thorough import THOROUGH

from cipark_sd.base.errors import EquationError, InvalidValue, UnknownName, UnusableInput
from cipark_sd.base.inputs import TABLE_LIMIT
from cipark_sd.base.library import bundled
from cipark_sd.data.results import to_table
from cipark_sd.data.scenarios import Scenario
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.variables import Lookup
from cipark_sd.simulations.simulation import simulate
from cipark_sd.verify.certificate import Certificate, as_json, certify
from cipark_sd.verify.sides import PYSD_STOPS

#: Faults of PySD's calculation; what its reader does with a file is no part of a certificate, nor which times it saves.
KNOWN = {
    name: entry
    for name, entry in tomllib.loads((CORPUS / "faults.toml").read_text(encoding="utf-8")).items()
    if entry.get("reads", True) and "rows" not in entry
}
#: Those that no other form of the equation goes round.
UNAVOIDED = {"division_by_zero", "root_of_a_negative"}
Write = Callable[..., Path]
TWINS = ("native", "numpy")

REGIONS = """
Region: East, West ~~|
People[Region] = INTEG(births[Region] - deaths[Region], 1000) ~ people ~ |
births[Region] = People[Region] * rate[Region] ~ people/Year ~ |
deaths[Region] = People[Region] * 0.013 ~ people/Year ~ |
rate[Region] = 0.1, 0.2 ~ 1/Year ~ |
total = SUM(People[Region!]) ~ people ~ |
Born[Region] = INTEG(births[Region], 0) ~ people ~ |
Died[Region] = INTEG(deaths[Region], 0) ~ people ~ |
balance = SUM(Born[Region!]) - SUM(Died[Region!]) - total + 2000 ~ people ~ |
strictness = ABS(balance) / 3 ~ people ~ |
"""


def _file(feature: str) -> Path:
    (path,) = (p for p in (CORPUS / feature).iterdir() if p.suffix in (".mdl", ".xmile", ".stmx"))
    return path


@pytest.fixture
def regions(write_mdl: Write) -> Path:
    return write_mdl(REGIONS)


@pytest.fixture
def recorded(regions: Path, tmp_path: Path) -> Path:
    """The model's own run as a table, headed in another spelling."""
    model = read_model(regions)
    save = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in ("time_step",)]
    table = to_table(simulate(model, save=save, engine="numpy"))
    table.columns = [str(head).upper().replace(" ", "_") for head in table]
    table.index.name = "Time"
    path = tmp_path / "recorded.csv"
    table.to_csv(path)
    return path


def _plant(path: Path, column: str, time: float, factor: float) -> None:
    table = pd.read_csv(path, index_col="Time")
    table.loc[time, column] *= factor
    table.to_csv(path)


def _only(certificate: Certificate, left: str, right: str) -> int:
    (position,) = (i for i, pair in enumerate(certificate.pairs) if (pair.left, pair.right) == (left, right))
    return position


def test_a_recorded_run_of_the_model_itself_is_certified(regions: Path, recorded: Path) -> None:
    certificate = certify(read_model(regions), engines=["native"], recorded=recorded)
    assert certificate.certified
    assert len(certificate.pairs[0].differences) == len(certificate.question.labels)


@pytest.mark.parametrize("factor", [1.5, 1 + 1e-11])
def test_one_wrong_recorded_value_is_found_with_its_place_and_time(
    factor: float, regions: Path, recorded: Path
) -> None:
    _plant(recorded, "PEOPLE[WEST]", 4.25, factor)
    certificate = certify(read_model(regions), engines=TWINS, recorded=recorded)
    assert not certificate.certified
    pair = certificate.pairs[_only(certificate, "native", "recorded.csv")]
    assert pair.first == ("people[west]",)
    assert [(d.column, d.apart_from, d.at) for d in pair.apart] == [("people[west]", 4.25, 4.25)]
    assert certificate.pairs[_only(certificate, "native", "numpy")].verdict == "equal bits"


def test_a_difference_within_the_tolerance_of_the_recorded_run_is_none(regions: Path, recorded: Path) -> None:
    _plant(recorded, "PEOPLE[WEST]", 4.25, 1 + 1e-11)
    assert certify(read_model(regions), engines=["native"], recorded=recorded, recorded_tolerance=1e-9).certified


def test_a_tolerance_of_zero_asks_for_the_same_bits(regions: Path, recorded: Path) -> None:
    _plant(recorded, "PEOPLE[WEST]", 4.25, 1 + 1e-14)
    model = read_model(regions)
    assert certify(model, engines=["native"], recorded=recorded).certified
    assert not certify(model, engines=["native"], recorded=recorded, recorded_tolerance=0.0).certified


def test_values_that_were_not_recorded_are_not_compared(regions: Path, recorded: Path) -> None:
    _plant(recorded, "TOTAL", 3.0, float("nan"))
    assert certify(read_model(regions), engines=["native"], recorded=recorded).certified


def test_where_sides_part_is_told_by_the_cause_not_by_what_follows_from_it(regions: Path, recorded: Path) -> None:
    for column in ("PEOPLE[WEST]", "BIRTHS[WEST]", "TOTAL", "DEATHS[WEST]"):
        _plant(recorded, column, 4.25, 1.5)
    _plant(recorded, "PEOPLE[EAST]", 5.0, 1.5)
    pair = certify(read_model(regions), engines=["native"], recorded=recorded).pairs[0]
    assert pair.first == ("people[west]",)


def test_a_recorded_name_that_the_model_does_not_have_is_an_error(regions: Path, recorded: Path) -> None:
    text = recorded.read_text(encoding="utf-8").replace("TOTAL", "TOTALS")
    recorded.write_text(text, encoding="utf-8")
    with pytest.raises(UnknownName, match=r"has no variable 'TOTALS'; did you mean 'total'"):
        certify(read_model(regions), engines=["native"], recorded=recorded)


def test_a_recorded_run_without_common_times_is_an_error(regions: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("time,total\n100,1\n101,1\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"its times is '100 to 101', expected some that the run saves"):
        certify(read_model(regions), engines=["native"], recorded=tmp_path / "other.csv")


def test_a_recorded_file_that_is_not_vensims_is_an_error(regions: Path, tmp_path: Path) -> None:
    (tmp_path / "run.vdf").write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidValue, match=r"run\.vdf: its content is .*, expected a run of Vensim's"):
        certify(read_model(regions), engines=["native"], recorded=tmp_path / "run.vdf")


def test_a_recorded_file_of_any_size_is_not_read(regions: Path, tmp_path: Path) -> None:
    with (tmp_path / "run.vdf").open("wb") as file:
        # of a sparse file the disk holds nothing
        file.truncate(TABLE_LIMIT + 2**20)
    with pytest.raises(UnusableInput, match="it has 513 MiB, and at most 512 MiB are read"):
        certify(read_model(regions), engines=["native"], recorded=tmp_path / "run.vdf")


def test_what_only_rounding_left_is_compared_on_the_scale_of_its_terms(regions: Path) -> None:
    model = read_model(regions)
    certificate = certify(model, engines=TWINS)
    values = simulate(model, save=["balance"])["balance"].to_numpy()
    assert 0 < np.abs(values).max() < 1e-7
    assert set(certificate.rounded) == {"balance", "strictness"}
    largest = simulate(model, save=["total"])["total"].to_numpy().max()
    assert certificate.rounded["balance"] == largest
    assert certificate.rounded["strictness"] == pytest.approx(largest / 3)


def test_a_small_number_of_the_models_own_keeps_its_scale(write_mdl: Write) -> None:
    equations = "big = 1e9 + Time ~~| tiny = 1e-9 * Time ~~| ratio = tiny / big ~~| part = tiny + ratio * 2 ~~|"
    assert certify(read_model(write_mdl(equations))).rounded == {}


@pytest.mark.parametrize("fault", KNOWN)
def test_what_pysd_gets_wrong_is_written_otherwise_or_named(fault: str) -> None:
    certificate = certify(read_model(_file(fault)), engines=["native", "numpy", "pysd"])
    assert certificate.certified
    (pair,) = (pair for pair in certificate.pairs if (pair.left, pair.right) == ("native", "numpy"))
    assert pair.verdict == "equal bits"
    stops = any(why in absent.reason for absent in certificate.left_out for why in PYSD_STOPS.values())
    assert stops is (fault in UNAVOIDED)


def test_pysd_takes_no_part_under_runge_kutta(regions: Path) -> None:
    certificate = certify(read_model(regions), engines=["native", "numpy", "pysd"], method="rk4")
    assert [(side.name, side.failed) for side in certificate.left_out] == [("pysd", False)]
    assert "rk4" in certificate.left_out[0].reason
    assert certificate.certified


def test_pysimlin_follows_constants_of_a_scenario_and_declines_the_rest(regions: Path) -> None:
    model = read_model(regions)
    same = certify(model, Scenario("s", {"rate[East]": 0.3}), engines=["native", "pysimlin"])
    assert same.certified
    assert not same.left_out
    other = certify(model, Scenario("s", {}, time_step=0.5, saveper=0.5), engines=["native", "numpy", "pysimlin"])
    assert "the run's times" in other.left_out[0].reason


def test_one_side_alone_is_an_error(regions: Path) -> None:
    with pytest.raises(InvalidValue, match="two runs"):
        certify(read_model(regions), engines=["native"])


def test_an_unknown_engine_is_an_error(regions: Path) -> None:
    with pytest.raises(UnknownName, match=r"no engine 'nativ'; did you mean 'native'"):
        certify(read_model(regions), engines=["nativ", "numpy"])


def test_the_file_has_every_column_of_every_pair(regions: Path, recorded: Path) -> None:
    _plant(recorded, "PEOPLE[WEST]", 4.25, 1.5)
    certificate = certify(read_model(regions), engines=TWINS, recorded=recorded)
    told = json.loads(json.dumps(as_json(certificate)))
    rows = [row for pair in told["pairs"] for row in pair["differences"]]
    assert len(rows) == 3 * len(certificate.question.labels)
    assert {row["column"] for row in rows if row["apart_from"] is not None} == {"People[West]"}
    assert told["certified"] is False
    assert [pair["part_first_in"] for pair in told["pairs"]] == [[], ["People[West]"], ["People[West]"]]


@pytest.mark.parametrize(("planted", "code", "last"), [(False, 0, "certified"), (True, 1, "not certified")])
def test_the_command_says_so_and_exits_so(planted: bool, code: int, last: str, regions: Path, recorded: Path) -> None:
    if planted:
        _plant(recorded, "TOTAL", 4.25, 1.5)
    arguments = ["certify", str(regions), "--engines", "native,numpy", "--recorded", str(recorded)]
    done = cipark(*arguments, standalone_mode=False)
    assert done.return_value == code
    assert done.output.splitlines()[-1] == last
    assert ("native and recorded.csv part first at time 4.25 in total" in done.output) is planted


def test_bad_input_exits_with_2(regions: Path) -> None:
    cipark("certify", regions, "--recorded", "nowhere.csv", code=2)


@pytest.mark.slow
def test_the_park_model_is_certified_by_all_engines(tmp_path: Path) -> None:
    certificate = certify(read_model(bundled() if THOROUGH else exported.coarse(tmp_path, "cipark.mdl")))
    assert [side.name for side in certificate.sides] == ["native", "numpy", "pysd", "pysimlin"]
    assert certificate.certified
    assert list(certificate.rounded) == ["conservation_residual"]


def test_engines_that_lack_features_are_left_out_each_with_its_reason(tmp_path: Path) -> None:
    text = (CORPUS / "allocate_available" / "model.mdl").read_text(encoding="utf-8")
    path = tmp_path / "elastic.mdl"
    path.write_text(text.replace("pp[Claim, ptype] = 1", "pp[Claim, ptype] = 5"), encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"native: (.|\n)*ALLOCATE AVAILABLE(.|\n)*numpy: "):
        certify(read_model(path), engines=("native", "numpy"))


@pytest.mark.parametrize(
    ("equations", "function"),
    [
        ("s = 1.5 - Time ~~| y = INTEGER(s) ~~|", "INTEGER"),
        ("s = 1.5 - Time ~~| y = MODULO(s, 2) ~~|", "MODULO"),
        ("y = PULSE(0.3, 1) ~~|", "PULSE"),
        ("y = PULSE TRAIN(0.3, 0.5, 1.5, 5) ~~|", "PULSE TRAIN"),
    ],
)
def test_pysimlin_still_has_other_rules_and_takes_no_part_then(
    equations: str, function: str, write_mdl: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simlin")
    model = read_model(write_mdl(equations + " read = y + 1 ~~|", final=5, step=1))
    (absent,) = certify(model, engines=["native", "numpy", "pysimlin"]).left_out
    assert (absent.failed, absent.reason) == (False, f"it has another rule than Vensim for {function}")
    monkeypatch.setattr("cipark_sd.verify.sides.SIMLIN_DIFFERS", {})
    certificate = certify(model, engines=["native", "pysimlin"])
    assert not certificate.certified
    assert certificate.pairs[0].first == ("y",)


@pytest.mark.parametrize(
    ("equations", "reason"),
    [
        ("D: A, B ~~| c[D] = 2, 1 ~~| y[D] = VECTOR RANK(c[D], 1) ~~|", "uses VECTOR RANK"),
        ("y = DELAY N(Time, 5, 0, 1e9) ~~|", "an order of 1e+09, which PySD counts down one by one"),
        ("n = 1e9 ~~| y = DELAY N(Time, 5, 0, n) ~~|", "an order of 1e+09, which PySD counts down one by one"),
    ],
)
def test_what_pysd_cannot_read_or_run_is_left_out(equations: str, reason: str, write_mdl: Write) -> None:
    certificate = certify(read_model(write_mdl(equations, final=2, step=1)), engines=["native", "numpy", "pysd"])
    (absent,) = certificate.left_out
    assert absent.name == "pysd"
    assert not absent.failed
    assert reason in absent.reason
    assert certificate.certified


def test_pysd_refuses_what_the_language_refuses(write_mdl: Write) -> None:
    text = ":MACRO: f(x)\nf = x + 1 ~~|\n:END OF MACRO:\ny = f({}) ~~|"
    right, wrong = (
        read_model(write_mdl(text.format(arguments), final=2, step=1, name=f"m{len(arguments)}.mdl"))
        for arguments in ("1", "1, 2, 3")
    )
    assert simulate(right, engine="pysd")["y"].to_numpy().tolist() == [2, 2, 2]
    with pytest.raises(EquationError, match=r"gives the macro 'f' 3 argument\(s\) instead of 1"):
        simulate(wrong, engine="pysd")
    with pytest.raises(EquationError, match="gives the macro"):
        certify(wrong)
