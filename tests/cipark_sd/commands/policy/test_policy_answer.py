"""The first screen of a policy page: its numbers are those of the findings, and each sentence has its condition."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from approved import approved
from small_study import POLICIES, small_study

from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import BASE, Structure
from cipark_sd.analysis.experiments.effects import Claim, EffectClass, effect_classes
from cipark_sd.commands.policy.about import About, Findings
from cipark_sd.commands.policy.answer import First, _caption, of_effects, rests_on
from cipark_sd.commands.policy.effects import Effects, EffectsPart, effects_table
from cipark_sd.commands.policy.output import parts
from cipark_sd.commands.policy.signs import Signs
from cipark_sd.pages.blocks import FirstScreen
from cipark_sd.pages.output import page_of
from cipark_sd.pages.parts import Pictures
from cipark_sd.statements.claims import Basis, Evidence, Tally

POSTERIOR = Basis("posterior", 100, converged=True)


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> About:
    folder = tmp_path_factory.mktemp("answer")
    model = small_study(folder).model
    (folder / "policies.toml").write_text(POLICIES, encoding="utf-8")
    catalogue = read_catalogue(folder / "policies.toml", model)
    return About(
        catalogue=catalogue,
        rivals=catalogue.rivals,
        bases={catalogue.rivals[0].id: POSTERIOR},
        weights={catalogue.rivals[0].id: float("nan")},
        units={"left": "firm"},
        inputs={},
        quantities={"left": "left"},
        settings={policy.id: "" for policy in catalogue.policies},
        place="",
        model_digest="m",
        study_digest="s",
        seed=1,
        identity="",
    )


def effects(about: About, **medians: tuple[float, float, float]) -> Effects:
    """Median and 90% interval by policy, the same under every structure but for one firm each."""
    rows = [
        {
            "policy": policy,
            "title": about.catalogue.policy_by_id[policy].title,
            "rival": rival.id,
            "outcome": "left",
            "time": 8.0,
            "base": 84.97,
            "median": median - place,
            **dict.fromkeys(("low50", "low90"), low),
            **dict.fromkeys(("high50", "high90"), high),
            "above_zero": 0.5,
            "mcse_median": 0.1,
        }
        for place, rival in enumerate(about.rivals)
        for policy, (median, low, high) in medians.items()
    ]
    return Effects(xr.Dataset(), pd.DataFrame(rows), (), xr.Dataset(), (), ())


def screen_of(findings: Findings, pictures: Pictures = Pictures()) -> FirstScreen:  # noqa: B008  (frozen)
    """The first block of the page."""
    (block,) = page_of(parts(findings)[:1], findings, pictures, "t", "i").sections[0].blocks
    assert isinstance(block, FirstScreen)
    return block


def screen_lines(findings: Findings) -> list[str]:
    """What a reader meets first."""
    return [f"{name}: {text}" for name, text in screen_of(findings).ending("report.html")]


USUAL = {"slow": (-25.04, -32.2, -19.2), "fast": (14.75, 8.2, 25.3), "nothing": (30.0, -1.0, 60.0)}


def test_the_largest_effects_that_the_draws_agree_on_come_first(about: About) -> None:
    findings = Findings(about, {"effects": effects(about, **USUAL)})
    approved(screen_lines(findings))
    # an interval that takes in zero is no effect, however large the median
    open_ = Findings(about, {"effects": effects(about, **(USUAL | {"slow": (-25.0, -32.0, 0.5)}))})
    assert [line.split(":")[0] for line in of_effects(open_.results["effects"], about).open] == ["Twice the pace"]


def test_an_effect_has_its_class_first_and_one_that_the_model_assumes_is_no_headline(about: About) -> None:
    classes = (
        EffectClass("slow", "built in", -20.0, -40.0, -5.0),
        EffectClass("fast", "undecided", 9.0, -2.0, 30.0),
    )
    found = replace(effects(about, **USUAL), classes=(*classes, EffectClass("nothing", "informed", 1.0, -9.0, 9.0)))
    approved(screen_lines(Findings(about, {"effects": found})))
    table = effects_table(found, about, "left")
    assert table.rows == (
        ("nothing", "Nothing", "+30 (-1 to 60)", "informed by the data", "-9 to +9"),
        ("fast", "Twice the pace", "+15 (8 to 25)", "not decided by the data", "-2 to +30"),
        ("slow", "Half the pace", "-25 (-32 to -19)", "assumed by the model", "-40 to -5"),
    )
    headlines = EffectsPart().headlines(Findings(about, {"effects": found}))
    assert {record.title for record in headlines} & {"Half the pace"} == set()
    # the figure has every policy, as the table and the title do, with its class
    (drawing,) = First(()).drawings(Findings(about, {"effects": found}))
    assert (
        set(drawing.parts[0]["policy"]) == {effect.policy for effect in found.classes} == set(drawing.options["kinds"])
    )
    approved(_caption(Findings(about, {"effects": found})))
    # where all that has one sign is assumed, that is the answer
    every = replace(found, classes=tuple(replace(effect, kind="built in") for effect in found.classes))
    approved(screen_lines(Findings(about, {"effects": every})))


def test_an_expectation_that_the_model_assumes_is_not_known(about: About) -> None:
    """Of four, the one of which the data have moved the odds; those that are true anyhow stand under Assumed."""
    expected = about.catalogue.policy_by_id["slow"].expected[0]
    always, moved, open_ = (
        Claim("slow", expected, (Evidence("M0", Tally(before, 300), Tally(after, 300)),))
        for before, after in ((300, 300), (150, 299), (150, 150))
    )
    found = replace(effects(about, **USUAL), claims=(always, always, moved, open_))
    screen = screen_of(Findings(about, {"effects": found}))
    words = "under 'Half the pace', Left at 8 less than the base"
    assert screen.known == f"1 of 4 expectations: {words}."
    assert screen.assumed == "Also 2 of 4 expectations."
    without = screen_of(Findings(about, {"effects": replace(found, claims=(always, open_))}))
    assert without.known == "Nothing of what these policies change."


@pytest.mark.parametrize(
    ("moving", "assumed", "title"),
    [
        ((), 0, "None of 3 policies changes Left at 8"),
        (("fast",), 0, "The data do not tell what any of 3 policies changes"),
        (("fast",), 1, "The data do not tell what any of 3 policies changes"),
    ],
)
def test_a_catalogue_of_which_one_policy_or_none_moves_the_outcome_says_so(
    about: About, moving: tuple[str, ...], assumed: int, title: str
) -> None:
    medians = {name: (14.0, 8.0, 25.0) if name in moving else (0.0, 0.0, 0.0) for name in USUAL}
    classes = tuple(
        EffectClass(name, "built in" if assumed else "undecided", 9.0, 2.0, 30.0) for name in (moving or USUAL)
    )
    summary = of_effects(replace(effects(about, **medians), classes=classes), about)
    assert summary.title == title
    # at the best fit nothing is said of how far effects lie that are none
    alone = replace(about, bases={rival: Basis("optimum", 1) for rival in about.bases})
    open_ = of_effects(effects(alone, **medians), alone).open
    assert bool(open_) == bool(moving)


@pytest.mark.parametrize(("misfit", "kinds"), [("", ["informed", "built in"]), ("a trend", ["undecided", "built in"])])
def test_data_that_the_model_misses_inform_no_effect(about: About, misfit: str, kinds: list[str]) -> None:
    rng = np.random.default_rng(1)
    level, slow, fast = rng.normal(0, [[9.0], [9.0], [9.0]], (3, 400))
    names = [policy.id for policy in about.catalogue.policies]

    def runs(width: float) -> xr.Dataset:
        values = np.stack(
            [level if name == BASE else level + width * (fast if name == "fast" else abs(slow)) for name in names]
        )
        dims = ("policy", "rival", "draw", "time")
        coords = {"policy": names, "rival": [about.first], "time": [8.0]}
        return xr.Dataset({"left": (dims, 100 + values[:, None, :, None])}, coords)

    found = effect_classes(about.catalogue, runs(1.0), runs(0.1), [about.first], misfit)
    assert [
        effect.kind for effect in sorted(found, key=lambda effect: effect.policy) if effect.policy != "nothing"
    ] == kinds
    findings = Findings(replace(about, misfit=misfit), {"effects": effects(about, **USUAL)})
    assert ("intervals are too narrow" in " ".join(screen_of(findings).cautions)) == bool(misfit)


def test_one_run_has_no_interval_and_no_class(about: About) -> None:
    best = replace(about, bases={about.first: Basis("optimum", 1)})
    alone = effects(best, **{name: (median, median, median) for name, (median, _, _) in USUAL.items()})
    said = screen_lines(Findings(best, {"effects": alone}))
    assert "90%" not in " ".join(said)
    approved(said)


def test_what_no_number_tells_apart_is_said_once(about: About) -> None:
    alike = USUAL | {"fast": USUAL["slow"], "nothing": (5.0, 1.0, 9.0)}
    findings = Findings(about, {"effects": effects(about, **alike)})
    first, second = of_effects(findings.results["effects"], about).open
    assert not first.startswith("Twice")
    assert second.startswith(about.catalogue.policies[-1].title)


def test_what_is_no_number_of_things_is_less_and_not_fewer(about: About) -> None:
    money = replace(about, units={"left": "MUSD"})
    approved(screen_of(Findings(money, {"effects": effects(money, **USUAL)})).not_known)


def test_over_structures_the_range_of_medians_stands_beside_the_number(about: About) -> None:
    rivals = (*about.rivals, Structure("other", "another one"))
    several = replace(about, rivals=rivals, bases={rival.id: POSTERIOR for rival in rivals})
    findings = Findings(several, {"effects": effects(several, **USUAL)})
    approved(screen_of(findings).not_known)
    picture = screen_of(findings, Pictures(frozenset({"answer"}))).picture
    assert picture is not None
    approved(picture.caption)


def test_of_priors_no_size_is_said(about: About) -> None:
    unseen = replace(about, bases={about.first: Basis("prior", 64)})
    signs = Signs(xr.Dataset(), (("less",), ("more",), ("no change",)), (), ())
    findings = Findings(unseen, {"signs": signs})
    approved(screen_lines(findings))
    approved(rests_on(unseen))


def test_what_the_data_taught_little_of_is_named(about: About) -> None:
    little = replace(about, untaught=("a", "b", "c", "d", "e"))
    approved(screen_of(Findings(little, {"effects": effects(little, **USUAL)})).assumed)
    approved(rests_on(about))


def test_the_first_screen_is_the_first_block_of_the_page_and_is_left_out_where_nothing_was_found(about: About) -> None:
    findings = Findings(about, {"effects": effects(about, **USUAL)})
    block = screen_of(findings, Pictures(frozenset({"answer"})))
    assert block.subject.endswith(": Left at 8")
    assert block.picture is not None
    assert block.picture.file == "answer.svg"
    assert list(First(()).sections(Findings(about, {}), Pictures())) == []


def test_times_of_a_model_in_calendar_years_are_dates(about: About) -> None:
    dated = replace(about, catalogue=replace(about.catalogue, headline=("left", 2019.9), time_units="Year"))
    frame = effects(about, **USUAL)
    frame.differences["time"] = 2019.9
    assert screen_of(Findings(dated, {"effects": frame})).subject.endswith(": Left on 25 Nov 2019")
    (record, *_) = dated.record("left at 2019.9", 1.0, unit="", kind="mean")
    assert (record.estimand, record.name) == ("left at 2019.9", "left on 2019-11-25")
