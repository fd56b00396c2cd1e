"""Decisions against closed forms: a stock that decays, whose every change is known exactly."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cipark_sd.analysis.experiments.alternatives import (
    Compared,
    alternatives_table,
    change_class,
    hangs_on,
    measurements,
)
from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Decision, Decisions, Outcome, Structure
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.analysis.experiments.extended import acted, alternatives, extended, paid
from cipark_sd.analysis.experiments.run import run_policies
from cipark_sd.analysis.experiments.settings import Setup
from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model

pytestmark = pytest.mark.usefixtures("wasm")

STEP, DATE = 0.125, 4.0
#: Euler's method makes each step of the decay the same factor.
KEEP = 1 - 0.1 * STEP

MODEL = """{UTF-8}
Level= INTEG (-Rate*Level, 100) ~ unit ~ A stock that decays |
Two: one, another ~ ~ |
Rate= 0.1 ~ 1/Year ~ Share that leaves |
Gain[Two]= 1, 1 ~ 1 ~ Of each |
Sum of Gains= SUM(Gain[Two!]) ~ 1 ~ Of both |
INITIAL TIME= 0 ~ Year ~ |
FINAL TIME= 16 ~ Year ~ |
TIME STEP= 0.125 ~ Year ~ |
SAVEPER= 0.125 ~ Year ~ |
"""
HEAD = """
times = [4, 8, 16]
[[outcome]]
id = "level"
variable = "Level"
[decisions]
date = 4
at = 16
"""


def written(tmp_path, text, head=HEAD):
    (tmp_path / "drain.mdl").write_text(MODEL)
    (tmp_path / "policies.toml").write_text(head + text)
    base = read_model(tmp_path / "drain.mdl")
    return base, read_catalogue(tmp_path / "policies.toml", base)


def run(tmp_path, text, draws=None, engine="native", head=HEAD, method="euler"):
    base, catalogue = written(tmp_path, text, head)
    base = replace(base, time=replace(base.time, method=method))
    decisions = catalogue.decisions
    watched = [*(acted(d, place) for d in decisions.alternatives for place in range(len(d.rules)))]
    watched += [paid(decision) for decision in decisions.alternatives if decision.priced]
    outcomes = [*catalogue.outcomes, *(Outcome(name, name, name) for name in watched)]
    values = {"Rate": [0.1]} | (draws or {})
    return run_policies(
        Setup(extended(base, catalogue), engine=engine), alternatives(decisions), (Structure("m", ""),),
        {"m": Draws("m", values, "ranges")}, outcomes, (4, 8, 16),
    ).isel(rival=0)  # fmt: skip


def levels(runs, policy, name="level"):
    return runs[name].sel(policy=policy).isel(draw=0).to_numpy()


STOP = '[[decision]]\nid = "stop"\ntitle = "Stop"\nset = { Rate = 0 }\n'


def test_a_dated_decision_changes_what_the_closed_form_says(tmp_path):
    runs = run(tmp_path, STOP)
    assert np.allclose(levels(runs, "base"), 100 * KEEP ** np.array([32, 64, 128]), rtol=1e-12)
    assert np.allclose(levels(runs, "stop"), 100 * KEEP ** np.array([32, 32, 32]), rtol=1e-12)
    assert levels(runs, "stop", "decision stop acted 1").tolist() == [0, 4, 12]


def test_a_rule_acts_from_the_step_after_its_condition_is_first_true(tmp_path):
    text = '[[decision]]\nid = "rule"\ntitle = "Rule"\nwhen = "Level < 40"\nset = { Rate = 0 }\n'
    runs = run(tmp_path, text)
    below = next(n for n in range(200) if 100 * KEEP**n < 40)
    assert levels(runs, "rule")[2] == pytest.approx(100 * KEEP ** (below + 1), rel=1e-12)
    assert levels(runs, "rule", "decision rule acted 1")[2] == 16 - (below + 1) * STEP


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_rule_stays_in_force_when_its_condition_ends(tmp_path, method):
    text = '[[decision]]\nid = "grow"\ntitle = "Grow"\nwhen = "Level < 60"\nset = { Rate = -0.1 }\n'
    runs = run(tmp_path, text, method=method)
    assert levels(runs, "grow")[2] > 60
    assert levels(runs, "grow")[2] > levels(runs, "grow")[1]


def test_nothing_differs_before_the_date_although_the_condition_is_true(tmp_path):
    text = '[[decision]]\nid = "rule"\ntitle = "Rule"\nwhen = "Level < 99"\nset = { Rate = 0 }\n'
    runs = run(tmp_path, text)
    assert levels(runs, "rule")[0] == levels(runs, "base")[0]
    assert levels(runs, "rule")[2] == pytest.approx(100 * KEEP**33, rel=1e-12)


def test_a_decision_after_an_event_is_compared_with_the_event_alone(tmp_path):
    leak = '[[decision]]\nid = "leak"\ntitle = "Leak"\nset = { Rate = 0.2 }\nevent = true\n'
    runs = run(tmp_path, leak + STOP + 'under = "leak"\ndate = 8\n')
    fast = 1 - 0.2 * STEP
    assert levels(runs, "leak")[2] == pytest.approx(100 * KEEP**32 * fast**96, rel=1e-12)
    assert levels(runs, "stop")[2] == pytest.approx(100 * KEEP**32 * fast**32, rel=1e-12)
    event, after = Decision("leak", "Leak", (), event=True), Decision("stop", "Stop", (), under="leak")
    decisions = Decisions(4.0, "level", 16.0, 0.05, (event, after))
    assert not decisions.options
    of = Compared.of(runs.expand_dims("rival").assign_coords(rival=["m"], weight=("rival", [np.nan])), LEVEL, decisions)
    assert of.change("stop")[0, 0] == pytest.approx(levels(runs, "stop")[2] - levels(runs, "leak")[2], rel=1e-12)


PRICE = '[[uncertainty]]\nid = "price"\nname = "Price"\nrange = [1, 3]\nunits = "EUR/Year"\n'


def test_a_budget_ends_what_it_pays_for(tmp_path):
    text = PRICE + STOP + 'spend = "Price"\nbudget = 8\n'
    runs = run(tmp_path, text, {"Price": [2.0]})
    assert levels(runs, "stop", "decision stop acted 1")[2] == 4
    assert levels(runs, "stop", "decision stop paid")[2] == 8
    assert levels(runs, "stop")[2] == pytest.approx(100 * KEEP ** (128 - 32), rel=1e-12)
    # nothing is paid where nothing is done
    assert levels(runs, "base", "decision stop paid").tolist() == [0, 0, 0]


@pytest.mark.parametrize(("budget", "acts"), [(1.9, False), (2, True)])
def test_what_costs_more_than_the_budget_once_is_never_begun(tmp_path, budget, acts):
    runs = run(tmp_path, PRICE + STOP + f'cost = "Price"\nbudget = {budget}\n', {"Price": [2.0]})
    assert levels(runs, "stop", "decision stop acted 1")[2] == (12 if acts else 0)
    assert levels(runs, "stop", "decision stop paid")[2] == (2 if acts else 0)
    assert (levels(runs, "stop")[2] == levels(runs, "base")[2]) is not acts


def test_the_budget_of_all_binds_each_that_has_none_of_its_own(tmp_path):
    head = HEAD.replace("at = 16", "at = 16\nbudget = 8")
    runs = run(tmp_path, PRICE + STOP + 'spend = "Price"\n', {"Price": [2.0]}, head=head)
    assert levels(runs, "stop", "decision stop paid")[2] == 8


def test_a_setting_is_an_equation_of_drawn_numbers(tmp_path):
    step = '[[uncertainty]]\nid = "step"\nname = "Step"\nrange = [0, 1]\nunits = "1"\n'
    text = step + STOP.replace("Rate = 0", 'Rate = "Rate * (1 + Step)"')
    runs = run(tmp_path, text, {"Rate": [0.1, 0.05], "Step": [0.5, 1.0]})
    expected = [100 * (1 - r * STEP) ** 32 * (1 - r * (1 + s) * STEP) ** 96 for r, s in ((0.1, 0.5), (0.05, 1.0))]
    assert np.allclose(runs["level"].sel(policy="stop").isel(time=2), expected, rtol=1e-12)


def test_the_later_rule_of_two_wins(tmp_path):
    text = STOP + "[[decision.rule]]\ndate = 8\nset = { Rate = 0.2 }\n"
    runs = run(tmp_path, text)
    assert levels(runs, "stop")[2] == pytest.approx(100 * KEEP**32 * (1 - 0.2 * STEP) ** 64, rel=1e-12)


def test_one_element_of_an_array_is_a_lever(tmp_path):
    head = HEAD.replace("[decisions]", '[[outcome]]\nid = "gains"\nvariable = "Sum of Gains"\n[decisions]')
    runs = run(tmp_path, STOP.replace("Rate = 0", '"Gain[another]" = 5'), head=head)
    assert levels(runs, "stop", "gains").tolist() == [6, 6, 6]
    assert levels(runs, "base", "gains").tolist() == [2, 2, 2]


def test_an_outcome_is_an_equation_that_adds_up_from_the_date_on(tmp_path):
    outcome = '[[outcome]]\nid = "sold"\nequation = "Price * Level"\nunits = "EUR"\ntotal = true\n'
    runs = run(tmp_path, PRICE + STOP, {"Price": [2.0]}, head=HEAD.replace("[decisions]", outcome + "[decisions]"))
    # the sum of a geometric series, by steps of Euler's method
    expected = 2 * STEP * 100 * KEEP**32 * (1 - KEEP**32) / (1 - KEEP)
    assert levels(runs, "base", "sold")[1] == pytest.approx(expected, rel=1e-12)
    assert levels(runs, "stop", "sold")[1] == pytest.approx(2 * 4 * 100 * KEEP**32, rel=1e-12)


EVERYTHING = PRICE + STOP + 'spend = "Price"\nbudget = 8\n' + (
    '[[decision]]\nid = "rule"\ntitle = "Rule"\nwhen = "Level < 40 :AND: SUM(Gain[Two!]) > 1"\nset = { Rate = 0.01 }\n'
)  # fmt: skip


def test_engines_agree_bit_for_bit(tmp_path):
    draws = {"Rate": [0.1, 0.05, 0.13], "Price": [2.0, 1.3, 2.9]}
    native, numpy_, wasm = (run(tmp_path, EVERYTHING, draws, engine) for engine in ("native", "numpy", "wasm"))
    for name in native.data_vars:
        assert np.array_equal(native[name], numpy_[name]), name
        assert np.array_equal(native[name], wasm[name]), name


def test_doing_nothing_has_the_bits_of_the_model_without_decisions(tmp_path):
    draws = {"Rate": [0.1, 0.05, 0.13], "Price": [2.0, 1.3, 2.9]}
    extended_runs = run(tmp_path, EVERYTHING, draws)
    base, catalogue = written(tmp_path, EVERYTHING)
    plain = run_policies(
        Setup(base), alternatives(catalogue.decisions)[:1], (Structure("m", ""),),
        {"m": Draws("m", {"Rate": draws["Rate"]}, "ranges")}, catalogue.outcomes, (4, 8, 16),
    )  # fmt: skip
    assert np.array_equal(plain["level"].isel(rival=0, policy=0), extended_runs["level"].sel(policy="base"))


def test_kept_runs_of_other_decisions_are_told_apart(tmp_path):
    base, catalogue = written(tmp_path, STOP)
    _, another = written(tmp_path, STOP.replace("Rate = 0", "Rate = 0.05"))
    assert len({base.digest, extended(base, catalogue).digest, extended(base, another).digest}) == 3
    assert extended(base, read_without_decisions(tmp_path, base)) is base


def read_without_decisions(tmp_path, base):
    (tmp_path / "policies.toml").write_text('times = [16]\n[[outcome]]\nid = "level"\nvariable = "Level"\n')
    return read_catalogue(tmp_path / "policies.toml", base)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "[[decision]]"),
        (STOP.replace("Rate = 0", "Rat = 0"), "Rate"),
        (STOP.replace("Rate = 0", "Level = 0"), "a constant"),
        (STOP.replace("Rate = 0", 'Rate = "2 * Rte"'), "Rate"),
        (STOP.replace("Rate = 0", 'Rate = "Gain[Two]"'), "SUM(name[range!])"),
        (STOP.replace("Rate = 0", 'Rate = "Rate@3"'), "another time"),
        (STOP.replace("Rate = 0", "Rate = [1, 2]"), "an array takes one of its elements"),
        (STOP + 'when = "Level <"', "ends too early"),
        (STOP + 'when = "__import__(1)"', "no function"),
        (STOP + "cost = 3", "a range"),
        (STOP + 'cost = "Level"', "paid once"),
        (STOP + "budget = 3", "a cost or spend"),
        (STOP + "date = 99", "a time of the run"),
        (STOP + STOP, "each id once"),
        (STOP.replace('"stop"', '"base"'), "doing nothing"),
        (STOP.replace('"stop"', '"a[b]"'), "letters"),
        (STOP + "cots = 3", "cots"),
        (STOP + 'under = "stop"', "under"),
        (STOP + 'under = "storm"', "storm"),
        (STOP.replace("set = { Rate = 0 }", ""), "a table of constants"),
    ],
)
def test_a_fault_is_reported_with_its_place(tmp_path, text, message):
    with pytest.raises(CiparkError) as caught:
        written(tmp_path, text)
    assert message in str(caught.value)
    assert "policies.toml" in str(caught.value)


def runs_of(base, stop, structures=("m",), weights=None):
    """A result as :func:`run_policies` gives it: ``(n_structures, n_draws)`` of doing nothing and of one decision."""
    values = np.stack([np.atleast_2d(base), np.atleast_2d(stop)])[..., None]
    coords = {"policy": ["base", "stop"], "rival": list(structures), "time": [16.0]}
    weight = np.full(len(structures), np.nan) if weights is None else np.array(weights)
    return xr.Dataset(
        {"level": (("policy", "rival", "draw", "time"), values)}, coords=coords | {"weight": ("rival", weight)}
    )


DECISIONS = Decisions(4.0, "level", 16.0, 0.05, (Decision("stop", "Stop", ()),))
LEVEL = Outcome("level", "Level", "Level")


def compared(base, stop, outcome=LEVEL, **options):
    return Compared.of(runs_of(base, stop, **options), outcome, DECISIONS)


NOTHING = pd.DataFrame()


def table(base, stop, prior=None, effective=None, without_data=NOTHING, **options):
    runs = runs_of(base, stop, **options)
    before = None if prior is None else runs_of(*prior, **options)
    effective = {"m": np.inf, "n": np.inf} if effective is None else effective
    frame = alternatives_table(runs, before, [LEVEL], DECISIONS, effective=effective, without_data=without_data)
    return frame.set_index("alternative")


def test_the_chance_is_the_share_of_draws_that_improve_by_the_margin():
    base = np.full(100, 100.0)
    stop = base + np.arange(100) * 0.1  # more than 5 in draws 51 to 99
    row = table(base, stop).loc["stop"]
    assert row["better"] == pytest.approx(0.49)
    assert row["worse"] == 0
    assert row["change"] == pytest.approx(np.median(stop - base))
    less = compared(base, 200 - stop, Outcome("level", "", "Level", better="less"))
    assert less.share("stop", less.better("stop")) == pytest.approx(0.49)


def test_the_margin_is_of_the_level_of_that_draw_also_below_zero():
    of = compared([100.0, 1000.0, -10.0, -10.0, 0.0], [110.0, 1010.0, -9.0, -9.9, 0.0])
    assert of.better("stop").tolist() == [[True, False, True, False, False]]


def test_the_worst_structure_is_named_and_weights_count():
    base = np.full((2, 10), 100.0)
    stop = np.array([np.full(10, 120.0), [120.0] * 3 + [100.0] * 7])
    row = table(base, stop, structures=("m", "n")).loc["stop"]
    assert (row["worst"], row["worst_structure"], row["better"]) == (pytest.approx(0.3), "n", pytest.approx(0.65))
    weighted = table(base, stop, structures=("m", "n"), weights=[0.9, 0.1]).loc["stop"]
    assert weighted["better"] == pytest.approx(0.9 * 1 + 0.1 * 0.3)


def test_a_run_that_failed_counts_for_nothing():
    row = table([100.0, 100.0, np.nan], [120.0, 100.0, 120.0]).loc["stop"]
    assert (row["better"], row["n"]) == (0.5, 2)


RNG = np.random.default_rng(4)
WIDE, NARROW = RNG.normal(0, 10, 400), RNG.normal(0, 2, 400)


@pytest.mark.parametrize(
    ("change", "prior", "number", "kind"),
    [
        (NARROW, WIDE, WIDE, "informed"),
        (WIDE, WIDE[::-1], NARROW, "not decided"),
        (np.abs(WIDE), WIDE, NARROW, "informed"),
        (np.abs(WIDE), np.abs(WIDE), NARROW, "assumed"),
        (-np.abs(WIDE), -np.abs(WIDE), NARROW, "assumed"),
        # a sign is one however small the change: a share of something lies below one
        (np.abs(WIDE) / 1000, np.abs(WIDE) / 1000, NARROW, "assumed"),
        # however narrow, and where most draws change nothing
        (np.abs(NARROW), np.abs(WIDE), NARROW[::-1], "assumed"),
        (np.maximum(NARROW, 0), np.maximum(WIDE, 0), NARROW[::-1], "assumed"),
        # most of its variance is that of a number without data, here 0.8 and 0.2
        (NARROW, WIDE, NARROW + 0.5 * NARROW.std() * WIDE / WIDE.std(), "assumed"),
        (NARROW, WIDE, NARROW + 2 * NARROW.std() * WIDE / WIDE.std(), "informed"),
    ],
)
def test_the_class_of_a_change(change, prior, number, kind):
    base = np.full(400, 100.0)
    numbers = pd.DataFrame({"number": number})
    row = table(base, base + change, prior=(base, base + prior), without_data=numbers).loc["stop"]
    assert row["change_class"] == kind


def test_a_change_of_a_level_that_is_assumed_is_assumed():
    base, numbers = 100 + WIDE, pd.DataFrame({"number": WIDE})
    row = table(base, base + NARROW, prior=(base, base + WIDE), without_data=numbers).loc["stop"]
    assert row["change_class"] == "assumed"


def test_without_data_nothing_is_informed():
    base = np.full(400, 100.0)
    frame = table(base, base + WIDE)
    assert frame.loc["stop", "change_class"] == "not decided"
    assert frame.loc["base", "level_class"] == "assumed"


def test_a_structure_that_was_not_fitted_informs_no_sign():
    base = np.full((1, 400), 100.0)
    after, before = (compared(base, base + change) for change in (np.abs(WIDE) * 3, WIDE * 3))
    assert change_class(after, before, "stop", {"m": np.inf}, NOTHING) == "informed"
    assert change_class(after, compared(base, base + WIDE), "stop", {}, NOTHING) == "not decided"


def test_what_a_change_hangs_on_has_its_rank_correlation():
    x, noise = RNG.uniform(size=400), RNG.uniform(size=400)
    inputs = pd.DataFrame({"x": x, "noise": noise})
    of = hangs_on(compared(np.zeros(400), -np.exp(5 * x)), inputs)
    assert of.to_dict("records") == [{"alternative": "stop", "input": "x", "correlation": pytest.approx(-1)}]
    assert hangs_on(compared(np.ones(400), np.ones(400)), inputs).empty


def test_what_it_is_worth_to_know_a_number():
    # better where x is above a half: without knowing it a choice is a coin, and with it three of four are right, since
    # doing nothing is right as often as a coin
    x, noise = RNG.uniform(size=3000), RNG.uniform(size=3000)
    of = measurements(
        compared(np.full(3000, 100.0), np.where(x > 0.5, 120.0, 100.0)),
        pd.DataFrame({"noise": noise, "x": x}),
        ["stop"],
        np.random.default_rng(1),
    )
    first, second = of.to_dict("records")
    assert (first["input"], first["low"], first["high"]) == ("x", 0.0, 1.0)
    assert first["value"] == pytest.approx(0.25, abs=0.03)
    assert second["value"] < 3 * second["error"] + 0.01
