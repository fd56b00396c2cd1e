"""Knock-outs: distributions before and after the data, three answers, and when one can be given."""

import numpy as np
import pytest
import xarray as xr

from cipark_sd.analysis.experiments.catalogue import read_catalogue
from cipark_sd.analysis.experiments.definition import Catalogue, KnockoutGroup, Knockouts, Uncertainty
from cipark_sd.analysis.experiments.draws import Draws
from cipark_sd.base.errors import CiparkError
from cipark_sd.commands.policy.knockouts import (
    KnockoutsFound,
    evidence_of,
    knockout_table,
    knockouts_sentence,
    percent,
    plot_knockouts,
    range_over,
    verdict,
)
from cipark_sd.language.read.model_file import read_model

GROUP = "without it"
ASKED = Knockouts("firms", 0.1, (KnockoutGroup(GROUP, 2020.0, ("cut",)),))


def runs(changes, policy="cut"):
    """A result with the base at 200 in each draw, and a policy's changes of it by structure."""
    base = np.full((len(changes), len(next(iter(changes.values())))), 200.0)
    values = np.stack([base, base * (1 + np.stack([np.asarray(c) for c in changes.values()]))])[..., None]
    coords = {
        "policy": ["base", policy],
        "policy_title": (("policy",), ["nothing", f"no {policy}"]),
        "rival": list(changes),
        "time": [2020.0],
    }
    return xr.Dataset({"firms": (("policy", "rival", "draw", "time"), values)}, coords=coords)


def spread(fewer, none, more):
    """So many changes of each kind, well inside it."""
    return [-0.5] * fewer + [0.02] * none + [0.3] * more


EVEN = spread(100, 100, 100)
MIRRORED = {
    "informed: more": "informed: fewer",
    "built in: fewer": "built in: more",
    "undecided": "undecided",
}


def test_shares_and_quantiles_are_those_of_the_changes_against_the_base_of_the_same_draw():
    changes = [-0.15, -0.05, 0.0, 0.05, 0.2]
    (row,) = knockout_table(ASKED, runs({"M0": changes})).to_dict("records")
    assert (row["fewer"], row["none"], row["more"]) == pytest.approx((0.2, 0.6, 0.2))
    assert row["median"] == pytest.approx(0.0)
    assert [row["low90"], row["high50"]] == pytest.approx(np.quantile(changes, [0.05, 0.75]).tolist())
    assert (row["title"], row["n"], row["idle"]) == ("no cut", 5, False)


def test_no_column_has_the_name_that_a_file_gives_to_what_its_draws_are():
    assert "draws" not in knockout_table(ASKED, runs({"M0": EVEN}))


@pytest.mark.parametrize(
    ("prior", "posterior", "said"),
    [
        (EVEN, spread(297, 3, 0), "informed: fewer"),
        (EVEN, spread(3, 297, 0), "informed: no effect"),
        (EVEN, spread(0, 3, 297), "informed: more"),
        (spread(300, 0, 0), spread(300, 0, 0), "built in: fewer"),
        (spread(2, 298, 0), spread(3, 297, 0), "built in: no effect"),
        (EVEN, EVEN, "undecided"),
        (EVEN, spread(150, 100, 50), "undecided"),
    ],
)
def test_an_answer_is_informed_built_in_or_not_given(prior, posterior, said):
    frame = knockout_table(ASKED, runs({"M0": prior}), runs({"M0": posterior}))
    assert str(verdict(frame, "cut", GROUP)) == said
    assert knockouts_sentence(KnockoutsFound(frame, ()), ASKED).startswith(
        f"Of 1 mechanisms removed {int(said == 'undecided')} are not decided by the data"
    )


def test_draws_that_are_worth_little_inform_nothing():
    frame = knockout_table(ASKED, runs({"M0": EVEN}), runs({"M0": spread(297, 3, 0)}), {"M0": 4.0})
    assert str(verdict(frame, "cut", GROUP)) == "undecided"


def test_all_structures_have_to_agree_but_those_that_have_nothing_to_take_away():
    prior = {"M0": EVEN, "M1": EVEN, "M2": [0.0] * 300}
    after = {"M0": spread(297, 3, 0), "M1": spread(297, 3, 0), "M2": [0.0] * 300}
    frame = knockout_table(ASKED, runs(prior), runs(after))
    assert str(verdict(frame, "cut", GROUP)) == "informed: fewer"
    assert range_over(frame, "cut", GROUP, "posterior", "median") == pytest.approx((-0.5, -0.5))
    assert [evidence.idle for evidence in evidence_of(frame, "cut", GROUP, "none")] == [False, False, True]
    other = knockout_table(ASKED, runs(prior), runs({**after, "M1": EVEN}))
    assert str(verdict(other, "cut", GROUP)) == "undecided"


@pytest.mark.parametrize("idle", [True, False])
def test_whether_something_is_there_to_take_away_is_asked_before_the_data(idle):
    """The draws after the data are of the other kind, and change nothing in it."""
    nothing, some = [0.0] * 300, spread(297, 3, 0)
    frame = knockout_table(ASKED, runs({"M0": nothing if idle else EVEN}), runs({"M0": some if idle else nothing}))
    assert dict(zip(frame["when"], frame["idle"], strict=True)) == {"prior": idle, "posterior": idle}
    assert [evidence.idle for evidence in evidence_of(frame, "cut", GROUP, "fewer")] == [idle]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("prior", "posterior", "said"),
    [
        ((3800, 180, 20), (60, 20, 3920), "informed: more"),
        # the odds of more are 14 times what they were, and 93% still say fewer
        ((3800, 180, 20), (3720, 20, 260), "built in: fewer"),
        ((3800, 180, 20), (3800, 180, 20), "built in: fewer"),
        # from 5 to 40%, and the rest is no longer what is built in
        ((3800, 0, 200), (2400, 0, 1600), "undecided"),
        # either side of a half: 0.515 (0.4995 to 0.5305) and 0.516
        ((3400, 0, 600), (1940, 0, 2060), "undecided"),
        ((3400, 0, 600), (1936, 0, 2064), "informed: more"),
    ],
)
def test_what_the_data_say_comes_before_what_is_built_in_where_it_is_likelier_than_not(
    prior, posterior, said, mirrored
):
    if mirrored:
        prior, posterior = prior[::-1], posterior[::-1]
        said = MIRRORED[said]
    frame = knockout_table(ASKED, runs({"M0": spread(*prior)}), runs({"M0": spread(*posterior)}))
    assert str(verdict(frame, "cut", GROUP)) == said


def test_an_answer_has_to_be_likelier_than_not_under_every_structure():
    prior, likely = spread(3800, 0, 200), spread(400, 0, 3600)
    for other, said in ((likely, "informed: more"), (spread(2400, 0, 1600), "undecided")):
        frame = knockout_table(ASKED, runs({"M0": prior, "M1": prior}), runs({"M0": likely, "M1": other}))
        assert str(verdict(frame, "cut", GROUP)) == said


def test_a_structure_with_borrowed_draws_has_no_posterior_of_its_own():
    two = {"M0": EVEN, "M1": EVEN}
    frame = knockout_table(ASKED, runs(two), runs(two), {"M0": 300.0})
    assert frame[frame["when"] == "posterior"]["structure"].tolist() == ["M0"]


def test_what_no_data_inform_is_drawn_alike_before_and_after(tmp_path):
    catalogue = Catalogue("", "", (), (), ("", 0), (), (), uncertainties=(Uncertainty("u", "", "Left", 2, 4),))
    few = Draws("M0", {"Gain": np.arange(50.0)}, "prior")
    one, again = (draws.widened(catalogue.uncertainties, 7).values["left"] for draws in (few, few))
    np.testing.assert_array_equal(one, again)
    assert 2 <= one.min() < 2.1
    assert 3.9 < one.max() <= 4
    assert np.corrcoef(one, np.arange(50.0))[0, 1] < 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[knockouts.group]]\ntitle = "g"\nat = 5\npolicies = ["nobody"]', "nobody"),
        ('[[knockouts.group]]\ntitle = "g"\nat = 5\npolicies = ["base"]', "base"),
        ('[[knockouts.group]]\ntitle = "g"\nat = 6\npolicies = ["cut"]', "one of the times"),
        ("near = 0.1", "at least one [[knockouts.group]]"),
        ('near = 2\n[[knockouts.group]]\ntitle = "g"\nat = 5\npolicies = ["cut"]', "a share between 0 and 1"),
    ],
)
def test_a_wrong_table_of_knockouts_is_told(write_mdl, tmp_path, text, told):
    model = read_model(write_mdl("Firms= INTEG(Rate*Firms,1) ~ ~ |\nRate= 0.1 ~ ~ |\n", final=10, step=0.5))
    head = (
        'times = [5]\n[[outcome]]\nid = "firms"\nvariable = "Firms"\n'
        '[[policy]]\nid = "cut"\ntitle = "cut"\nset = { "Rate" = 0 }\n'
    )
    path = tmp_path / "policies.toml"
    path.write_text(f'{head}[knockouts]\noutcome = "firms"\n{text}\n', encoding="utf-8")
    with pytest.raises(CiparkError, match=told.replace("[", r"\[").replace("]", r"\]")):
        read_catalogue(path, model)


def test_percentages_have_a_sign_and_nothing_is_zero():
    assert percent([0.001, -0.999, 0.5]) == "0 to -100 to +50"


def test_the_figure_has_the_numbers_of_the_table():
    frame = knockout_table(ASKED, runs({"M0": EVEN}), runs({"M0": spread(210, 60, 30)}))
    figure = plot_knockouts(frame, "M0", near=0.1, titles=["Without it"], outcome="Firms")
    (axes,) = figure.axes
    assert "70, 20, 10" in [text.get_text() for text in axes.texts]
    dots = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o")
    assert dots == pytest.approx([-0.5, 0.02])
    assert axes.get_xlabel() == "change of firms, % of the base"
