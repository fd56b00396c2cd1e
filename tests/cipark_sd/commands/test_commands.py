"""The command line: what it prints and writes, and one clear message for each mistake."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from approved import approved
from command_line import cipark

from cipark_sd import read_model, simulate
from cipark_sd.data.results import load

Write = Callable[..., Path]

TEACUP = """
********************************************************
\t.Kitchen
********************************************************~
|
Cup = INTEG(-loss, 180) ~ degrees [0,?] ~ What is in the cup |
loss = (Cup - room) / cooling time ~ degrees/Year ~ |
room = 70 ~ degrees [0,100] ~ Where the cup stands |
cooling time = 10 ~ Year ~ |
Region: East, West ~~|
pool[Region] = 1, 2 ~ firm ~ |
warmth((0,0), (100,1)) ~ Dmnl ~ |
"""


@pytest.fixture
def teacup(write_mdl: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_mdl(TEACUP, name="teacup.mdl")
    monkeypatch.chdir(path.parent)
    return path


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_run_prints_stocks_at_about_ten_times(teacup: Path) -> None:
    lines = table(cipark("run", teacup).stdout)
    assert lines[0] == ["Time", "[Year]", "Cup", "[degrees]"]
    assert lines[1] == ["0", "180"]
    assert len(lines) == 12
    approved(cipark("run", teacup).stdout)


def test_python_m_is_the_command_line(teacup: Path) -> None:
    def code(*words: str) -> int:
        return subprocess.run([sys.executable, "-m", "cipark_sd", *words], capture_output=True, check=False).returncode

    assert code("run", "teacup.mdl") == 0
    assert code("run", "nothing.mdl") == 2


def test_a_run_writes_nothing_unless_asked(teacup: Path) -> None:
    before = sorted(teacup.parent.iterdir())
    cipark("run", teacup)
    assert sorted(teacup.parent.iterdir()) == before


def test_set_wins_over_scenario_files_and_later_files_over_earlier_ones(teacup: Path) -> None:
    Path("a.toml").write_text('[set]\nroom = 1\n"cooling time" = 4\ncup = 50\n')
    Path("b.toml").write_text('[set]\n"cooling time" = 5\ncup = 60\n[time]\nto = 3\n')
    options = ("--scenario", "a.toml", "--scenario", "b.toml", "--set", "Cup=40", "--set", "pool[East]=7")
    cipark("run", teacup, *options, "-o", "run.nc", "--variables", "room, cooling time, cup, pool")
    run = load("run.nc").isel(time=0)
    assert {name: run[name].values.tolist() for name in run.data_vars} == {
        "room": 1,
        "cooling_time": 5,
        "cup": 40,
        "pool": [7, 2],
    }
    assert float(load("run.nc")["time"][-1]) == 3


def test_span_step_and_rhythm_can_be_set(teacup: Path) -> None:
    cipark("run", teacup, "--from", "2", "--to", "6", "--step", "0.5", "--save-every", "2", "-o", "run.csv")
    assert pd.read_csv("run.csv")["time"].tolist() == [2, 4, 6]


def test_scenarios_are_laid_over_the_first_run(teacup: Path) -> None:
    Path("warm.toml").write_text("[set]\nroom = 90\n")
    Path("slow.toml").write_text('name = "slow"\n[set]\n"cooling time" = 40\n')
    options = ("--set", "pool[East]=7", "--compare", "warm.toml", "--compare", "slow.toml", "--to", "4")
    done = cipark("run", teacup, *options, "--variables", "Cup, pool", "-o", "r.nc", "--figure", "r.svg")
    head = done.stdout.splitlines()[0]
    assert [name for name in ("Cup, base", "Cup, warm", "Cup, slow", "pool[East], slow") if name in head] == [
        "Cup, base",
        "Cup, warm",
        "Cup, slow",
        "pool[East], slow",
    ]
    runs = load("r.nc")
    assert runs["scenario"].values.tolist() == ["base", "warm", "slow"]
    # what is set for the first run holds in the others too, and each has its own on top
    assert runs["pool"].isel(time=0, region=0).values.tolist() == [7, 7, 7]
    alone = simulate(read_model(teacup), {"room": 90.0, "Pool[East]": 7.0})
    np.testing.assert_array_equal(runs["cup"].sel(scenario="warm"), alone["cup"].sel(time=slice(0, 4)))
    drawn = Path("r.svg").read_text(encoding="utf-8")
    assert "Cup, warm" in drawn
    assert "pool[East], slow" in drawn
    cipark("run", teacup, *options, "--variables", "Cup", "-o", "r.csv")
    assert list(pd.read_csv("r.csv").columns) == ["time", "Cup[base]", "Cup[warm]", "Cup[slow]"]


def test_scenarios_that_cannot_lie_over_each_other_are_told(teacup: Path) -> None:
    Path("a.toml").write_text("[set]\nroom = 90\n")
    Path("b.toml").write_text("[time]\nto = 3\n")
    twice = cipark("run", teacup, "--compare", "a.toml", "--compare", "a.toml", code=2)
    assert (twice.exit_code, twice.stdout) == (2, "")
    assert "each one once" in twice.stderr
    shorter = cipark("run", teacup, "--compare", "b.toml", code=2)
    assert "--to, --step and --save-every hold for all" in shorter.stderr
    cipark("run", teacup, "--compare", "b.toml", "--to", "5")


def test_only_the_times_asked_for_are_printed(teacup: Path) -> None:
    assert [line[0] for line in table(cipark("run", teacup, "--at", "2.5", "--at", "7").stdout)[1:]] == [
        "2.5",
        "7",
    ]


def test_the_default_model_prints_one_time_and_draws_no_figure_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cipark("run", "--at", "2030")
    assert table(done.stdout)[1][0] == "2030"
    assert not Path("cipark-output").exists()
    # what the display file brings of counts is left out, and no mistake of the reader's
    done = cipark("run", "--at", "2030", "--figure", "one.png")
    assert "lie outside the run" in done.stderr
    assert Path("one.png").is_file()


def test_a_figure_is_drawn_beside_data(teacup: Path) -> None:
    Path("seen.csv").write_text("date,cup\n1,170\n2,161\n40,9\n")
    result = cipark("run", teacup, "--data", "seen.csv", "--figure", "cup.svg")
    assert "1 observed values lie outside the run" in result.stderr
    assert "observed" in Path("cup.svg").read_text(encoding="utf-8")


def test_a_display_file_says_what_table_and_figure_show(teacup: Path) -> None:
    Path("seen.csv").write_text("date,degrees,kind\n1,170,fit\n2,161,check\n")
    Path("teacup.display.toml").write_text(
        '[table]\ncolumns = ["loss", "room"]\nevery = 5\n[figure]\nvariables = ["Cup"]\ntitle = "Tea"\n'
        '[observed]\nfile = "seen.csv"\ncolumns = {"Cup" = "degrees"}\nonly = {kind = "fit"}\nlabel = "measured"\n'
    )
    result = cipark("run", teacup, "--figure", "cup.svg")
    lines = table(result.stdout)
    assert lines[0] == ["Time", "[Year]", "loss", "[degrees/Year]", "room", "[degrees]"]
    assert [line[0] for line in lines[1:4]] == ["0", "5", "10"]
    drawn = Path("cup.svg").read_text(encoding="utf-8")
    assert "measured" in drawn
    assert "Tea" in drawn


@pytest.mark.parametrize("line", ["columns = { 1 = 2 }", "columns = { Cup = ['x'] }", "only = { kind = 1 }"])
def test_a_display_file_names_columns_by_texts(teacup: Path, line: str) -> None:
    Path("seen.csv").write_text("date,degrees,kind\n1,170,fit\n")
    Path("teacup.display.toml").write_text(f"[observed]\nfile = 'seen.csv'\n{line}\n")
    result = cipark("run", teacup, code=2)
    assert "teacup.display.toml:3: [observed], " in result.stderr
    assert "expected a text" in result.stderr


@pytest.mark.parametrize("content", [b"nonsense", b"PK\x03\x04" + b"x" * 50])
@pytest.mark.parametrize("engine", ["native", "pysd"])
def test_a_workbook_that_is_none_is_one_sentence_on_each_engine(
    engine: str, content: bytes, write_mdl: Write, tmp_path: Path
) -> None:
    (tmp_path / "x.xlsx").write_bytes(content)
    path = write_mdl("S = INTEG(rate, 1) ~~| rate = GET DIRECT CONSTANTS('x.xlsx', 'a', 'B1') ~~|")
    result = cipark("run", path, "--engine", engine, code=2)
    assert "error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_value_that_is_no_number_is_warned_of(write_mdl: Write) -> None:
    path = write_mdl("D: A, B ~~| k[D] = 1, 3 ~~| odd[D] = 1 / (k[D] - Time) ~~|")
    result = cipark("run", path)
    assert "warning: odd[A] is inf at time 1" in result.stderr


def test_a_run_that_ends_without_numbers_is_a_failure_and_says_since_when(write_mdl: Write) -> None:
    path = write_mdl("x = INTEG(1 / delay, 0) ~~|delay = 1 ~~|y = x ~~|")
    arguments = ["run", str(path), "--at", "10", "--set"]
    fine, result = (cipark(*arguments, f"delay={x}", standalone_mode=False) for x in (1, 0))
    assert (fine.return_value, result.return_value) == (0, 1)
    assert "error: x is inf at time 0.25, and has no number at the end of the run" in result.stderr


def test_the_first_to_break_is_named_though_it_is_not_shown(write_mdl: Write) -> None:
    """At time 0 the ratio breaks, and with it what reads it; the stock follows a step later."""
    path = write_mdl("grows = 2 * ratio ~~| x = INTEG(grows, 0) ~~| ratio = 1 / held ~~| held = 0 ~~|")
    assert "error: ratio is inf at time 0, and has no number at the end" in cipark("run", path, "--at", "10").stderr


@pytest.mark.parametrize("options", [[], ["--save-every", "0.25"], ["--at", "2001.5"]])
def test_the_column_of_times_is_the_model_s_own_time(write_mdl: Write, options: list[str]) -> None:
    path = write_mdl("level = INTEG(1, 0) ~~|\n", final=2004, step=0.25)
    path.write_text(path.read_text().replace("INITIAL TIME = 0", "INITIAL TIME = 2000"))
    head, *rows = table(cipark("run", path, *options).stdout)
    assert head[:2] == ["Time", "[Year]"]
    assert all(2000 <= float(row[0]) <= 2004 for row in rows)


def test_a_year_is_no_end_of_a_run_in_months_from_nothing(write_mdl: Write) -> None:
    path = write_mdl("x = INTEG(1, 0) ~~|")
    result = cipark("run", path, "--to", "2025", code=2)
    assert "counts Year and runs from 0 to 10; 2025.0 is meant so" in result.stderr
    cipark("run", path, "--to", "2025.0", "--at", "2025")
    cipark("run", path, "--to", "90")


def test_xmile_and_vensim_give_the_same_course(teacup: Path) -> None:
    Path("teacup.xmile").write_text(XMILE)
    cipark("run", "teacup.xmile", "-o", "a.csv")
    cipark("run", teacup, "-o", "b.csv")
    ours, theirs = (pd.read_csv(name)[["time", "Cup", "loss"]] for name in ("a.csv", "b.csv"))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


XMILE = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0">
  <header><vendor>test</vendor><product version="1">test</product></header>
  <sim_specs method="Euler" time_units="Year"><start>0</start><stop>10</stop><dt>0.25</dt></sim_specs>
  <model><variables>
    <stock name="Cup"><eqn>180</eqn><outflow>loss</outflow></stock>
    <flow name="loss"><eqn>(Cup - room) / cooling_time</eqn></flow>
    <aux name="room"><eqn>70</eqn></aux>
    <aux name="cooling time"><eqn>10</eqn></aux>
  </variables></model>
</xmile>
"""


def test_show_lists_variables_with_kind_units_value_limits_and_documentation(teacup: Path) -> None:
    approved(cipark("show", teacup).stdout)
    text = cipark("show", teacup, "--search", "cup").stdout.splitlines()
    assert text[0].split() == ["Name", "Kind", "Units", "Value", "Limits", "Documentation"]
    assert text[1].split() == ["Cup", "stock", "degrees", "180", "[0,", "?]", "What", "is", "in", "the", "cup"]
    assert text[2].split() == ["room", "constant", "degrees", "70", "[0,", "100]", "Where", "the", "cup", "stands"]


def test_show_keeps_to_a_kind(teacup: Path) -> None:
    assert [line.split()[0] for line in cipark("show", teacup, "--kind", "lookup").stdout.splitlines()] == [
        "Name",
        "warmth",
        "1",
    ]


def test_what_flows_into_a_stock_or_out_of_it_is_a_flow(write_mdl: Callable[..., Path]) -> None:
    text = """
Pool = INTEG(filling - draining, 1) ~ firm ~ |
Heap = INTEG(filling * 2, 1) ~ firm ~ |
filling = draining ~ firm/Year ~ |
draining = Pool * share ~ firm/Year ~ |
share = 0.1 ~ 1/Year ~ |
twice = filling * 2 ~ firm/Year ~ |
"""
    records = json.loads(cipark("show", write_mdl(text), "--json").stdout)["variables"]
    kinds = {record["name"]: record["kind"] for record in records}
    assert [kinds[name] for name in ("Pool", "filling", "draining", "share", "twice")] == [
        *("stock", "flow", "flow", "constant", "auxiliary")
    ]
    lines = cipark("show", write_mdl(text), "--kind", "flow").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Name", "filling", "draining", "2"]


def test_what_many_variables_lack_is_one_line(write_mdl: Callable[..., Path]) -> None:
    def lines(n: int) -> list[str]:
        file = write_mdl("".join(f"x{i} = 1 ~ Dmnl ~ |\n" for i in range(n)))
        return [line for line in cipark("check", file).stdout.splitlines() if "no documentation" in line]

    assert [line.strip() for line in lines(3)] == [f"x{i} has no documentation" for i in range(3)]
    (line,) = lines(5)
    assert line.strip() == "5 variables have no documentation: x0, x1, x2 and 2 more; -o report.csv has them all"


def test_show_prints_equations(teacup: Path) -> None:
    lines = cipark("show", teacup, "--equations", "--kind", "stock", "--kind", "flow").stdout.splitlines()
    assert lines[:2] == ["Cup = INTEG(-loss, 180)", "loss = (Cup - room) / cooling time"]


def test_show_gives_variables_as_json(teacup: Path) -> None:
    records = json.loads(cipark("show", teacup, "--json").stdout)["variables"]
    pool = next(record for record in records if record["name"] == "pool")
    assert (pool["subscripts"], pool["value"], pool["sector"]) == (["Region"], "1, 2", "Kitchen")
    assert next(record for record in records if record["name"] == "room")["high"] == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "teacp.mdl"], r"does not exist; did you mean 'teacup\.mdl'"),
        (["show", "teacp.mdl"], r"does not exist; did you mean 'teacup\.mdl'"),
        (["run", "notes.txt"], "is neither a Vensim nor an XMILE model"),
        (["run", "."], "is a folder"),
        (["run", "teacup.mdl", "--set", "rom=5"], "has no variable 'rom'; did you mean 'room'"),
        (["run", "teacup.mdl", "--set", "room=warm"], "the value of 'room' is 'warm', expected a finite number"),
        (["run", "teacup.mdl", "--set", "room"], "'room', expected NAME=VALUE"),
        (["run", "teacup.mdl", "--set", "pool[Est]=1"], "no element of Region 'Est'"),
        (["run", "teacup.mdl", "--set", "rom=5", "--set", "pool=1,2,3"], "has 2 problems"),
        (["run", "teacup.mdl", "--scenario", "gone.toml"], "gone.toml does not exist"),
        (["run", "teacup.mdl", "--scenario", "odd.toml"], "has no variable 'rom'; did you mean 'room'"),
        (["run", "teacup.mdl", "--plot", "a.svg"], r"No such option '--plot'\. Did you mean '--figure'\?$"),
        (["show", "teacup.mdl", "--plot", "a.svg"], r"No such option '--plot'\. Did you mean '--diagram'\?$"),
        (["run", "teacup.mdl", "--out", "a.nc"], r"No such option '--out'\. Did you mean '--output'\?$"),
        (["run", "teacup.mdl", "--var", "Cup"], r"No such option '--var'\. Did you mean '--variables'\?$"),
        (["sensitivity", "teacup.mdl", "--plot", "a.svg"], r"No such option '--plot'\.$"),
        (["run", "teacup.mdl", "--figur", "a.svg"], r"'--figur'.*Did you mean.*'--figure'"),
        (["run", "teacup.mdl", "--to", "soon"], "the time is 'soon', expected a number or a date such as"),
        (["run", "teacup.mdl", "--to", "-5"], "the final time is -5.0, expected at least the initial time 0"),
        (["run", "teacup.mdl", "--step", "0"], "the time step is 0.0, expected a positive number"),
        (["run", "teacup.mdl", "--step", "fast"], "'fast' is not a valid float"),
        (["run", "teacup.mdl", "--at", "2026-11-25"], "not on the saved grid .from 0 to 10.*; nearest: 10"),
        (["run", "teacup.mdl", "--at", "0.3"], "time 0.3 is not on the saved grid.*; nearest: 0.25"),
        (["run", "teacup.mdl", "--engine", "psd"], "has no engine 'psd'; did you mean 'pysd'"),
        (["run", "teacup.mdl", "--method", "rk4", "--engine", "pysd"], r'method="rk4".*--engine native'),
        (["run", "teacup.mdl", "--variables", "Cups"], "has no variable 'Cups'; did you mean 'Cup'"),
        (["run", "teacup.mdl", "--variables", "warmth"], "'warmth', expected not a lookup"),
        (["run", "teacup.mdl", "-o", "run.xls"], r"ends in \.nc or \.csv"),
        (["run", "teacup.mdl", "-o", "gone/run.nc"], "gone/run.nc cannot be written, since there is no folder 'gone'"),
        (["run", "teacup.mdl", "-o", "folder.nc"], "a file that can be written"),
        (["run", "teacup.mdl", "--figure", "run.bmp"], r"ends in \.png or \.svg or \.pdf"),
        (["run", "teacup.mdl", "--figure", "a.png", "--data", "gone.csv"], "gone.csv does not exist"),
        (["run", "teacup.mdl", "--data", "gone.csv"], "--data: it is drawn in a figure, and none is asked for"),
        (["run", "teacup.mdl", "--figure", "a.png", "--data", "late.csv"], "some between 0 and 10"),
        (["rn", "teacup.mdl"], "has no command 'rn'; did you mean 'run'"),
        (["show", "teacup.mdl", "--kind", "stok"], "'stok' is not one of"),
        (["diff", "gone.mdl", "lost.mdl"], "has 2 problems: - gone.mdl: does not exist - lost.mdl: does not exist"),
        (["report", "--print", "gone"], "--print: gone has no findings"),
        (["report", "--again", "gone"], "--again: gone has no findings"),
    ],
)
def test_a_mistake_gives_one_message_exit_code_2_and_writes_nothing(
    teacup: Path, arguments: Sequence[str], message: str
) -> None:
    Path("notes.txt").write_text("hello")
    Path("odd.toml").write_text("[set]\nrom = 5\n")
    Path("late.csv").write_text("date,cup\n50,1\n")
    Path("folder.nc").mkdir()
    before = sorted(teacup.parent.iterdir())
    result = cipark(*arguments, code=2)
    assert result.stdout == ""
    assert re.search(message, " ".join(result.stderr.split()))
    assert sorted(teacup.parent.iterdir()) == before


def test_all_mistakes_of_a_model_file_are_reported_at_once(write_mdl: Write) -> None:
    path = write_mdl("a = b + ~~| c = 3 * (2 + 1 ~~| d = 1 ~~|")
    result = cipark("run", path, code=2)
    assert "has 2 problems" in result.stderr
    assert "the equation of 'a'" in result.stderr
    assert "the equation of 'c'" in result.stderr


def test_a_name_without_an_equation_is_reported_with_a_suggestion(write_mdl: Write) -> None:
    result = cipark("run", write_mdl("Births = 1 ~~| People = INTEG(birth, 1) ~~|"), code=2)
    assert "the equation of 'People' has no variable 'birth'; did you mean 'Births'" in result.stderr


def test_the_units_of_a_model_do_not_matter_to_a_run(write_mdl: Write) -> None:
    cipark("run", write_mdl("Stock = INTEG(1, 0) ~ furlongs per $ fortnight ~ |"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to the super-user")
def test_a_folder_without_permission_is_an_error(teacup: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    result = cipark("run", teacup, "-o", "locked/run.nc", code=2)
    assert "a file that can be written" in result.stderr


def run_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cipark_sd.commands.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_process_ends_with_code_2_and_no_traceback(teacup: Path) -> None:
    result = run_process("run", teacup, "--set", "rom=5")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: teacup has no variable 'rom'; did you mean 'room'?\n"


def test_help_loads_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; from cipark_sd.commands.cli import cli; cli.main(['--help'], standalone_mode=False); "
        "heavy = {'pysd', 'numpy', 'pandas', 'xarray', 'matplotlib', 'llvmlite', 'rich'} & sys.modules.keys(); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_loads_none_of_the_heavy_packages() -> None:
    code = "import sys, cipark_sd; sys.exit(len({'pysd', 'numpy', 'pandas', 'xarray'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


def test_public_names_are_there_and_others_are_not() -> None:
    import cipark_sd

    assert all(hasattr(cipark_sd, name) for name in cipark_sd.__all__)
    assert not hasattr(cipark_sd, "simulat")


def test_a_command_that_cannot_be_imported_leaves_the_others_alone(
    teacup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cipark_sd.commands.cli.BUILT_IN", {"show": ("cipark_sd.commands.show", ""), "odd": ("no.where", "")}
    )
    broken = cipark("odd", "--any", "thing", code=2)
    assert "the command 'odd' is not available: no.where cannot be imported: ModuleNotFoundError" in broken.stderr
    cipark("--help")
    cipark("show", teacup)


def test_the_package_offers_its_public_names_and_no_others() -> None:
    code = "import cipark_sd; from cipark_sd import simulate; print(*(n for n in dir(cipark_sd) if n[0] != '_'))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == [
        "CiparkError",
        "Model",
        "Noise",
        "Scenario",
        "Study",
        "Table",
        "TimeSeries",
        "bundled",
        "calibrate",
        "certify",
        "check",
        "convert",
        "diff",
        "ensemble",
        "load",
        "new_study",
        "play",
        "plot_fan",
        "plot_run",
        "policy",
        "read_changes",
        "read_model",
        "read_scenario",
        "read_study",
        "report",
        "save",
        "sensitivity",
        "show",
        "simulate",
        "start",
        "to_table",
    ]


@pytest.mark.parametrize(
    "first", ["import cipark_sd.simulations.simulation", "from cipark_sd import simulate", "import cipark_sd"]
)
def test_simulate_is_the_function_whatever_was_imported_before(first: str) -> None:
    code = f"{first}; import sys; from cipark_sd import simulate; sys.exit(simulate.__name__ != 'simulate')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_run_alone_shows_the_park_beside_the_observed_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = cipark("run")
    lines = result.stdout.splitlines()
    assert "Total Residents [firm]" in lines[0]
    assert [line.split()[0] for line in lines[1:22]] == [str(year) for year in range(2010, 2031)]
    assert (tmp_path / "cipark-output" / "cipark.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["calibrate", "sensitivity", "policy"])
def test_a_misspelt_study_exits_with_2_and_names_the_nearest(name: str) -> None:
    result = cipark(name, "great_ston", code=2)
    assert "did you mean 'great_stone'" in result.output
