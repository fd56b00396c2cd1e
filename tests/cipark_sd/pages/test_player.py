"""The page that plays a model, without a browser: what goes into it, and the parts of its script that node can run."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from approved import approved
from command_line import cipark
from in_node import PARTS, in_node, needs_node
from places import ROOT
from small_study import small_study
from wasm_engine import description_of

from calibration.commands.play.catalogue import contents_of as contents_of_catalogue
from calibration.commands.play.request import Settings
from calibration.commands.play.study import contents_of as contents_of_study
from calibration.study import STUDIES
from cipark_sd.analysis.experiments.definition import Lever
from cipark_sd.base.errors import CiparkError, InvalidValue
from cipark_sd.data.scenarios import Scenario, read_scenario
from cipark_sd.engines.registry import choose
from cipark_sd.engines.wasm.carried import carried
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.model import Model
from cipark_sd.pages.player.diagram import diagram
from cipark_sd.pages.player.of_model import contents_of, lever_of
from cipark_sd.pages.player.page import as_json, digest, render
from cipark_sd.pages.player.shell import SCRIPTS
from cipark_sd.simulations.simulation import simulate

pytestmark = pytest.mark.usefixtures("wasm")

Write = Callable[..., Path]
FISHERY = ROOT / "tests/shared/fishery"
SIR = """
Susceptible = INTEG(-infections, 999) ~ person ~ |
Infectious = INTEG(infections - recovering, 1) ~ person ~ |
infections = Contacts * Susceptible * Infectious / 1000 ~ person/Day ~ |
recovering = Infectious / Duration ~ person/Day ~ |
Contacts = 0.6 ~ 1/Day [0,3] ~ |
Duration = 5 ~ Day ~ |
Unused = 7 ~~|
Nothing = 0 ~~| kept = Infectious * Nothing ~~|
"""
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;"


@pytest.fixture
def sir(write_mdl: Write) -> Model:
    return read_model(write_mdl(SIR, name="sir.mdl"))


# --- what is in a page ----------------------------------------------------------------------------------------------


def test_levers_are_the_constants_that_move_the_curves_in_order_with_the_range_of_the_file(sir: Model) -> None:
    found = contents_of(sir, "sir.mdl")
    assert {lever.title: (lever.low, lever.high) for lever in found.levers} == {
        "Contacts": (0.0, 3.0),
        # with a duration of nothing the curves are no numbers, and nobody gave the range
        "Duration": (0.5, 10.0),
    }
    base = simulate(sir)

    def move(lever: Lever) -> float:
        ends = [simulate(sir, Scenario("", {lever.title: end})) for end in (lever.low, lever.high)]
        scale = {name: max(float(abs(run[name]).max()) for run in (base, *ends, *others)) for name in shown}
        return max(float(abs(run[name] - base[name]).mean()) / scale[name] for run in ends for name in shown)

    shown = ("susceptible", "infectious")
    others = [simulate(sir, Scenario("", {lv.title: end})) for lv in found.levers for end in (lv.low, lv.high)]
    assert move(found.levers[0]) > move(found.levers[1]) > 0
    # a result that stays at nothing is no curve to begin with
    assert [outcome.title for outcome in found.outcomes] == ["Susceptible", "Infectious"]
    asked = contents_of(sir, "sir.mdl", variables=["kept"], levers=["Nothing", "duration"])
    assert [(lever.title, lever.low, lever.high) for lever in asked.levers] == [
        ("Nothing", 0, 1),
        ("Duration", 0.5, 10),
    ]


def test_a_page_begins_with_the_results_of_the_model_at_their_peak(write_mdl: Write) -> None:
    found = contents_of(read_model(write_mdl(SIR + "Beds = 0.1 * Infectious ~ person ~ |\n")), "sir.mdl")
    assert [outcome.title for outcome in found.outcomes] == ["Beds", "Susceptible", "Infectious"]
    beds = simulate(found.model)["beds"]
    assert found.at == float(beds.time[int(beds.to_numpy().argmax())])
    rising = contents_of(read_model(write_mdl("x = INTEG(rate, 0) ~ m ~ |\nrate = 2 ~ m/Day ~ |\n")), "rising.mdl")
    assert rising.at == rising.model.time.final


def test_a_constant_of_nothing_reaches_as_far_as_what_has_its_units(write_mdl: Write) -> None:
    text = SIR.replace("- recovering", "- recovering - treating")
    model = read_model(
        write_mdl(text + "treating = MIN(Doses, Infectious) ~ person/Day ~ |\nDoses = 0 ~ person/Day ~ |\n")
    )
    (doses,) = (lever for lever in contents_of(model, "sir.mdl").levers if lever.title == "Doses")
    run = simulate(model)
    largest = max(float(run[name].max()) for name in ("infections", "recovering"))
    assert (doses.low, doses.high) == (0.0, float(f"{largest:.0e}"))


def test_a_lever_is_a_constant_that_stands_in_the_file(sir: Model) -> None:
    with pytest.raises(InvalidValue, match="the lever is 'recovering', expected a constant"):
        lever_of(sir, "recovering")
    with pytest.raises(CiparkError, match="did you mean 'Contacts'"):
        lever_of(sir, "Contcts")


def test_an_instant_of_the_run_moves_over_the_run(write_mdl: Write) -> None:
    path = write_mdl("Start = 4 ~ Year ~ |\nx = INTEG(STEP(1, Start), 0) ~~|\n")
    path.write_text(path.read_text().replace("INITIAL TIME = 0", "INITIAL TIME = 3"))
    model = read_model(path)
    lever = lever_of(model, "Start")
    assert (lever.low, lever.high) == (3, 10)


@pytest.mark.parametrize(("low", "high", "step"), [(0, 1, 0.005), (2012.8, 2018, 0.05), (0, 1000, 5), (-3, 0.0, 0.02)])
def test_steps_are_round(low: float, high: float, step: float) -> None:
    assert Lever("", ("x",), low, high).step == step


def test_levers_that_change_nothing_that_is_shown_are_an_error_when_there_is_no_other(sir: Model) -> None:
    with pytest.raises(InvalidValue, match=r"the levers is \['Unused'\], expected one at least that changes"):
        as_json(contents_of(sir, "sir.mdl", levers=["Unused"]))


def test_the_digest_is_that_of_the_native_run_and_the_module_gives_it(sir: Model) -> None:
    content = as_json(contents_of(sir, "sir.mdl", scenario=Scenario("s", {"Duration": 4.0})))
    structures = content["structures"]
    assert isinstance(structures, list)
    free = {"contacts", "duration"}
    made = carried(
        sir, Scenario("s", {"Duration": 4.0}), save=["susceptible", "infectious"], free=free, varying=frozenset()
    )
    module = base64.b64decode(str(content["kernel"]))
    assert module == made.module
    assert description_of(module)["model_digest"] == sir.digest
    run = simulate(sir, Scenario("s", {"Duration": 4.0}), save=["susceptible", "infectious"])
    values = np.stack([run[name].to_numpy()[:, None] for name in run.data_vars])
    plain = hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    assert structures[0]["digest"] == digest(values) == plain
    wasm = choose("wasm").run(made.plan, made.plan.settings, np.zeros(1, dtype=np.uint64))
    assert digest(wasm) == plain
    values[0, 3, 0] = np.nextafter(values[0, 3, 0], np.inf)
    assert digest(values) != plain


def test_a_page_has_as_many_times_as_can_be_seen_and_the_last_of_them(write_mdl: Write) -> None:
    model = read_model(write_mdl("x = INTEG(a, 0) ~~|\na = 1 ~~|\n", final=3333.25))
    content = as_json(contents_of(model, "m.mdl"))
    time = description_of(base64.b64decode(str(content["kernel"])))["time"]
    assert isinstance(time, dict)
    assert len(time["instants"]) == 13334
    assert (time["saved"][0], time["saved"][-1]) == (0, 13333)
    assert len(time["saved"]) <= 1001
    run = simulate(model, times=[i / 4 for i in time["saved"]])["x"].to_numpy()
    structures = content["structures"]
    assert isinstance(structures, list)
    assert structures[0]["digest"] == digest(run[None, :, None])


def test_all_kinds_of_nan_have_one_digest() -> None:
    some = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000ABC], dtype=np.uint64).view(np.float64)
    assert digest(some) == digest(np.full(3, np.nan))


def test_a_page_is_one_file_that_runs_nothing_but_its_own_script(sir: Model) -> None:
    page = render(contents_of(sir, "sir.mdl"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    script = re.search(r"<script>(.*?)</script>", page, re.S)
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert policy
    assert script
    assert style
    for kind, text in (("script-src", script[1]), ("style-src", style[1])):
        sha = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{sha}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1]
    assert "unsafe-eval" not in policy[1].replace("wasm-unsafe-eval", "")
    # no address but the name of SVG's vocabulary, and no attribute that loads anything
    assert set(re.findall(r"https?://[^\"'\s]*", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|srcset|xlink:href)=", page)
    assert re.findall(r'href="([^"]*)"', page) == ["#levers", "#about"]
    assert page == render(contents_of(sir, "sir.mdl"))


def test_no_text_of_a_model_or_a_study_is_markup(write_mdl: Write) -> None:
    model = read_model(write_mdl(f'"{HOSTILE}" = 2 ~ {HOSTILE} ~ |\nx = INTEG("{HOSTILE}", 0) ~~|\n'))
    contents = contents_of(model, f"{HOSTILE}.mdl", title=HOSTILE)
    assert contents.levers[0].title == HOSTILE
    page = render(contents)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data
    assert json.loads(data[1])["title"] == HOSTILE
    outside = page.replace(data[1], "")
    assert not set("<>&") & set(data[1])
    assert "onerror=" not in outside
    assert render(contents_of(model, "x", title="%%SCRIPT%%")).count("class Kernel {") == 1


def test_the_script_never_makes_markup_of_a_text() -> None:
    for name in SCRIPTS:
        text = (PARTS / name).read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
            assert way not in text, (name, way)


# --- a study --------------------------------------------------------------------------------------------------------


def test_without_a_fit_a_study_shows_its_priors_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = contents_of_study(Settings(folder=STUDIES / "flu_1978", runs=20))
    structure = found.structures[0]
    assert structure.basis is not None
    assert structure.basis.sentence == "20 draws from the PRIOR: nothing here has seen the data"
    assert found.base == "as assumed"
    assert found.limits[0].startswith("PRIOR: no data have been used")
    assert {lever.title for lever in found.levers} >= {"Beta", "Gamma"}
    assert [outcome.variable for outcome in found.outcomes] == ["Infected"]
    # the counts of the study's table, each at its date
    table = (STUDIES / "flu_1978/data/in_bed.csv").read_text(encoding="utf-8").splitlines()
    counts = [float(line.split(",")[1]) for line in table if line[:1].isdigit()]
    assert [seen.low for seen in found.outcomes[0].observed] == counts
    assert all(lever["fitted"] for lever in as_json(found)["levers"][:2])  # type: ignore[index]
    again = contents_of_study(Settings(folder=STUDIES / "flu_1978", runs=20))
    for name, values in structure.draws.items():
        np.testing.assert_array_equal(values, again.structures[0].draws[name])


def test_the_park_has_the_levers_and_outcomes_of_its_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = contents_of_study(Settings(folder=STUDIES / "great_stone", draws="prior", runs=4))
    about = "Month in which China Merchants takes its share and the lead."
    assert found.levers[0] == Lever(
        "Entry of the operator", ("CMG Entry Date",), 2012.8, 2018, about, id="operator date", base=2015.33
    )
    assert [outcome.title for outcome in found.outcomes][:3] == ["Residents", "Entries, all", "Operating"]
    assert max((seen.time, seen.low, seen.date) for seen in found.outcomes[0].observed) == (2020.0, 60.0, "2019-12-31")
    # approved firms wait for a certificate: the curve is of those that have one, as they are counted
    waiting = {outcome.title: outcome.waiting for outcome in found.outcomes}
    assert waiting["Residents"] is not None
    assert (waiting["Residents"].share, waiting["Operating"]) == ("share released", None)
    assert set(found.structures[0].beside) >= {"share released", "release rate"}
    # numbers are read at the last count, and all rivals are there
    assert (found.at, found.data_end) == (2020.0, 2020.0)
    assert len(found.structures) > 10
    # of the middle draw half wait for a ceremony, and are not reported yet
    assert found.notice.startswith("These priors contradict the data: residents by 2019-12-31: 34 in the model")
    content = as_json(found)
    levers = content["levers"]
    assert isinstance(levers, list)
    assert levers[0]["names"] == ["cmg_entry_date"]
    # the date of the operator is no constant that was fitted
    assert not levers[0]["fitted"]


def test_draws_of_a_file_need_no_numbers_of_the_noise(tmp_path: Path) -> None:
    study = tmp_path / "flu"
    shutil.copytree(STUDIES / "flu_1978", study)
    with (study / "problem.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[prediction]]\nname = "at the end"\nvariable = "Infected"\nat = 1978-02-04\n')
    rows = 1 + 0.1 * np.random.default_rng(1).random((40, 2))
    lines = [f"{1.7 * beta},{0.5 * gamma}" for beta, gamma in rows]
    (tmp_path / "draws.csv").write_text("\n".join(["Beta,Gamma", *lines]), encoding="utf-8")
    found = contents_of_study(Settings(folder=study, draws=str(tmp_path / "draws.csv"), runs=20))
    assert len(found.structures[0].every["beta"]) == 40
    assert as_json(found)["structures"]


def test_priors_that_contradict_the_data_are_warned_of(tmp_path: Path) -> None:
    small_study(tmp_path)
    (tmp_path / "left.csv").write_text("time,left\n1,2000\n2,4000\n3,9000\n", encoding="utf-8")
    found = contents_of_study(Settings(folder=tmp_path, draws="prior", runs=4))
    assert found.notice.startswith("These priors contradict the data: left")


def test_a_model_of_the_package_is_named_as_it_was_and_counts_in_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cipark("play", "core", "-o", "page.html")
    approved(re.sub(r"\d+ kB", "SIZE", done.output))
    found = data_in(Path("page.html").read_text(encoding="utf-8"))
    assert found["target"] == "core"
    assert found["labels"][-1] == "2030-12-31"


def test_policies_alone_are_played_with_their_outcomes_levers_and_structures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FISHERY, tmp_path / "fishery")
    cipark("play", "fishery", "-o", "page.html")
    found = data_in(Path("page.html").read_text(encoding="utf-8"))
    assert [outcome["title"] for outcome in found["outcomes"]] == ["Fish in the sea", "Wealth of the village"]
    assert [lever["title"] for lever in found["levers"]] == ["Closed share", "Subsidy"]
    model = read_model("fishery/fish.mdl")
    # without levers in the file, what its policies set is moved, as far as they set it at least
    text = re.sub(r"\[\[lever\]\].*?(?=\n\[decisions\])", "", Path("fishery/policies.toml").read_text(), flags=re.S)
    Path("fishery/policies.toml").write_text(text, encoding="utf-8")
    levers = contents_of_catalogue(Settings(folder=Path("fishery"))).levers
    assert {lever.title for lever in levers} == {"Closed Share", "Quota"}
    assert all(lever.low <= {"Closed Share": 0.33, "Quota": 80}[lever.title] <= lever.high for lever in levers)
    rivals = contents_of_catalogue(Settings(folder=Path("fishery"))).structures
    assert [rival.title for rival in rivals] == ["Slow growth", "The model as it stands"]
    assert model.digest == found["model_digest"]


# --- why ------------------------------------------------------------------------------------------------------------


def data_in(page: str) -> dict[str, Any]:
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data
    content = json.loads(data[1])
    assert isinstance(content, dict)
    return content


def test_the_second_kernel_has_every_variable_and_the_digest_of_one_native_run_at_the_estimate(sir: Model) -> None:
    scenario = Scenario("s", {"Duration": 4.0})
    content = as_json(contents_of(sir, "sir.mdl", scenario=scenario))
    found = content["trace"]
    assert isinstance(found, dict)
    run = simulate(sir, scenario)
    values = np.stack([run[name].to_numpy()[:, None] for name in run.data_vars])
    assert found["structures"] == [{"set": {}, "digest": digest(values)}]
    by_name = {variable["name"]: variable for variable in found["variables"]}
    assert by_name["infections"]["causes"] == ["contacts", "susceptible", "infectious"]
    assert by_name["infectious"]["causes"] == ["infections", "recovering"]
    assert (by_name["infections"]["kind"], by_name["infectious"]["kind"]) == ("flow", "stock")
    names = list(run.data_vars)
    assert all(names[place] == name for name, v in by_name.items() for place in v["outputs"])


def test_a_diagram_is_that_of_the_file_and_the_same_from_vensim_and_xmile() -> None:
    vensim, xmile = (diagram(read_model(ROOT / "models" / name)) for name in ("core.mdl", "core.xmile"))
    assert vensim["origin"] == xmile["origin"] == "file"
    assert vensim["views"][0]["title"] == "Firms"
    for ours, theirs in zip(vensim["views"], xmile["views"], strict=True):
        shown = [
            {place["name"] for place in view["places"] if place["kind"] == "variable" and not place["shadow"]}
            for view in (ours, theirs)
        ]
        # a lookup and a time are drawn in both; names that only one language shows are none
        assert shown[0] == shown[1]
    (firms,) = (place for place in vensim["views"][0]["places"] if place["name"] == "potential_firms")
    assert (firms["x"], firms["y"]) == (260, 454)
    # a pipe ends with a head at the stock that it enters, and without one at the stock that it leaves
    heads = {
        (tuple(line["points"][0]), tuple(line["points"][-1])): line["head"]
        for line in vensim["views"][0]["lines"]
        if line["kind"] == "pipe"
    }
    assert heads[(410, 454), (560, 454)]
    assert not heads[(410, 454), (260, 454)]


def test_without_a_drawing_stocks_stand_in_rows_with_their_flows_between(sir: Model) -> None:
    found = diagram(sir)
    assert found["origin"] == "rows"
    (view,) = found["views"]
    at = {place["name"]: place["x"] for place in view["places"] if place["kind"] == "valve"}
    stocks = {place["name"]: place["x"] for place in view["places"] if place["name"] in ("susceptible", "infectious")}
    assert stocks["susceptible"] < at["infections"] < stocks["infectious"] < at["recovering"]
    assert sum(place["kind"] == "cloud" for place in view["places"]) == 1
    assert [(line["points"][-1][0], line["head"]) for line in view["lines"] if line["kind"] == "pipe"] == [
        *((at["infections"], False), (stocks["infectious"], True)),
        *((at["recovering"], False), (stocks["infectious"] + 190, True)),
    ]


@needs_node
def test_shares_alone_and_together_make_the_whole_difference() -> None:
    calls = """
    const page = {levers: [{id: "a"}, {id: "b"}, {id: "c"}], structures: [{runs: 4}], outcomes: [{}]};
    const state = {outcome: 0, structure: 0, at: 0}, shownUntil = () => 0;
    const runsOf = (l) => [1, 2, 3, 100].map((k) => k * (1 + (l.a ?? 0)) * (1 + (l.b ?? 0)) + (k === 3 ? 0 : 1));
    const curvesOf = (values) => Float64Array.from(values);
    const {total, bars, rest} = sharesOf({a: 1, b: 0.5});
    console.log(JSON.stringify([total, bars.map(({lever, alone, last}) => [lever.id, alone, last]), rest]))
    """
    # three draws of mean 2; the last run is the estimate and takes no part
    assert in_node(calls, "shares.js") == [4.0, [["a", 2.0, 3.0], ["b", 1.0, 2.0]], 1.0]


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sir.mdl", "-o", "page.txt"], "expected a name that ends in .html or .htm"),
        (["sir.mdl", "--draws", "prior"], "a study, which has draws"),
        (["sir.mdl", "--variables", "Infectous"], "did you mean 'Infectious'"),
        (["flu_1978", "--set", "beta=1"], "a model file: a study has its own values"),
        (["flu_1978", "--draws", "none.nc"], "none.nc does not exist; give a file of draws, or the word prior"),
        (["no_such_study"], "no study 'no_such_study'"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_nothing_is_written(
    arguments: list[str], said: str, sir: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sir.origin is not None
    folder = Path(sir.origin.path).parent
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    done = cipark("play", *arguments, code=2)
    assert said in done.output
    assert sorted(folder.rglob("*")) == before


# --- parts of the script --------------------------------------------------------------------------------------------


@needs_node
def test_the_scripts_digest_is_sha_256() -> None:
    rng = np.random.default_rng(1)
    texts = [rng.bytes(n) for n in (0, 1, 55, 56, 63, 64, 65, 119, 128, 1000)]
    calls = "; ".join(f"out.push(sha256(Uint8Array.from({list(text)})))" for text in texts)
    found = in_node(f"const out = []; {calls}; console.log(JSON.stringify(out))", "digest.js")
    assert found == [hashlib.sha256(text).hexdigest() for text in texts]
    numbers = np.array([1.5, np.nan, -0.0, np.inf])
    assert in_node("console.log(JSON.stringify(digestOf([1.5, NaN, -0, Infinity])))", "digest.js") == digest(numbers)


@needs_node
def test_the_scripts_quantiles_are_numpys_and_leave_out_what_is_no_number() -> None:
    values = np.random.default_rng(2).normal(size=37)
    found = in_node(f"console.log(JSON.stringify(summary([...{values.tolist()}, NaN, Infinity])))", "numbers.js")
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["levels"], np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]), rtol=1e-13)
    assert found["lost"] == 2


@needs_node
def test_numbers_are_written_as_people_do() -> None:
    values = [0, 12345.6, 61.56, 0.15, 0.00012, 9.87, -3.2, 2_500_000, 1e-9]
    told = in_node(f"console.log(JSON.stringify({values}.map(told)))", "numbers.js")
    assert told == ["0", "12,346", "61.6", "0.15", "0.00012", "9.87", "−3.2", "2.5 million", "1.00e−9"]
    assert in_node("console.log(JSON.stringify([change(2), change(-2), change(0)]))", "numbers.js") == ["+2", "−2", "0"]


@needs_node
def test_a_command_and_a_file_of_the_page_hold_any_name(tmp_path: Path) -> None:
    name = 'it\'s "odd" $(touch x) \\ ü'
    page = {
        "target": "my model.mdl",
        "held": {"set": {"held one": 2, "moved": 3}},
        "structures": [{"scenario": {}}],
        "outcomes": [{"variable": "Out", "over": ""}],
        "levers": [{"id": "l", "names": ["moved"], "keys": ["moved"], "set": [name]}],
    }
    calls = (
        f"const page = {{...{json.dumps(page)}, spelling: new Map()}};"
        "const state = {levers: {l: 0.25}, structure: 0, outcome: 0}, drawn = {drawn: 1.5};"
        "const both = [command(state, page, drawn, 4), scenarioFile(state, page, drawn, 'a\\u007fb')];"
        "console.log(JSON.stringify(both))"
    )
    found = in_node(calls, "state.js")
    assert isinstance(found, list)
    import shlex

    assert shlex.split(found[0]) == [
        *("cipark", "run", "my model.mdl", "--set", "held one=2", "--set", "drawn=1.5", "--set", f"{name}=0.25"),
        *("--at", "4", "--variables", "Out"),
    ]
    (tmp_path / "s.toml").write_text(found[1], encoding="utf-8")
    read = read_scenario(tmp_path / "s.toml")
    assert sorted(read.overrides.values()) == [0.25, 1.5, 2.0]  # type: ignore[type-var]


def test_no_name_of_the_script_is_taken_twice() -> None:
    """Its parts are one script, in which a second function of a name takes the place of the first without a word."""
    text = "\n".join((ROOT / "cipark_sd" / "pages" / "player" / name).read_text(encoding="utf-8") for name in SCRIPTS)
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", text, re.MULTILINE)
    assert len(names) > 100
    assert sorted(names) == sorted(set(names))
