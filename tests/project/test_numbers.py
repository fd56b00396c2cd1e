"""The numbers of the documents are those of kept results, and these are those of the files and the program as they are.

A page is held against ``docs/results/numbers.toml``: each of its numbers stands in a claim, whose result is kept, or in
a list of other numbers of the section, which says why. ``tools/results.py`` makes results and writes them into pages.
"""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT
from small_study import POLICIES, small_study

sys.path.insert(0, str(ROOT / "tools"))

import results as numbers
from results_commands import RESULTS, run_command

from cipark_sd.data.scenarios import Scenario
from cipark_sd.statements.headline import Headline

PAGES = {page["file"]: page for page in numbers.index()}


def test_every_document_is_held_and_no_other() -> None:
    assert {"README.md", "docs/explanation/why.md", "docs/results/great_stone.md", "models/README.md"} <= set(PAGES)
    assert [file for file in PAGES if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("file", PAGES)
def test_each_number_of_a_page_is_accounted_for(file: str) -> None:
    assert numbers.faults(PAGES[file], numbers.all_kept()) == []


@pytest.mark.parametrize("file", PAGES)
def test_a_number_that_is_given_has_a_reason(file: str) -> None:
    assert all(len(entry["why"]) > 5 for entry in PAGES[file].get("given", []))


def test_a_page_that_a_script_makes_names_its_command() -> None:
    page = {"file": "docs/results/public_files.md", "made": "tools/other.py"}
    (fault,) = numbers.faults(page, {})
    assert "does not name the command that makes it: tools/other.py" in fault


def test_a_section_that_a_script_makes_names_its_command() -> None:
    given = [{"section": "Speed", "why": "measured", "made": "python benchmarks/other.py"}]
    faults = numbers.faults({"file": "docs/results/benchmarks.md", "given": given}, {})
    assert "'Speed' does not name the command that makes it: python benchmarks/other.py" in faults[0]
    assert not any("'Speed': nothing accounts" in fault for fault in faults)


def test_the_counts_of_the_page_of_public_files_are_those_of_its_rows() -> None:
    text = (ROOT / "docs" / "results" / "public_files.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    counts = {(row[0], row[1]): row[2:] for row in rows if len(row) == 8 and row[2].isdigit()}
    with (ROOT / "docs" / "results" / "public_files.csv").open(encoding="utf-8", newline="") as opened:
        named = [(row["suite"], row["outcome"]) for row in csv.DictReader(opened)]
    assert {outcome for _, outcome in named} <= {"refused", "stopped", "differs", "crashed"}
    assert {program for _, program in counts} == {"native", "pysd", "pysimlin"}
    for (suite, program), (files, read, run, *_, differ, _same) in counts.items():
        own = [word for name, word in named if suite in (name, "all")]
        if program == "native":
            assert int(files) - int(read) == own.count("refused"), suite
            assert int(files) - int(run) == len(own) - own.count("differs"), suite
            assert int(differ or 0) == own.count("differs"), suite
        assert int(run) <= int(read) <= int(files)


@pytest.mark.parametrize("name", RESULTS)
def test_a_kept_result_is_that_of_its_files(name: str) -> None:
    problem = numbers.out_of_date(name)
    assert not problem, f"{name}: {problem}; run: python tools/results.py {name}"


@pytest.mark.parametrize("name", [name for name, result in RESULTS.items() if result.cheap])
def test_a_cheap_result_is_that_of_the_program(name: str) -> None:
    """To the digits that are printed: the claims of all pages are the same with the result made again."""
    kept = numbers.all_kept()
    again = {**kept, name: numbers.with_headlines(*numbers.compute(RESULTS[name]))}
    for page in PAGES.values():
        assert [numbers.in_words(c) for c in numbers.claims(page, again)] == [
            numbers.in_words(c) for c in numbers.claims(page, kept)
        ], f"run: python tools/results.py {name}"


def test_few_searches_end_where_the_kept_fit_of_the_park_is(tmp_path: Path, undrawn_figures: None) -> None:
    run_command("cipark calibrate --starts 3 --no-profiles --no-posterior --no-compare-pysd --no-player -o .", tmp_path)
    fit = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    kept = numbers.record_of("park_fit")["numbers"]
    assert fit["model_digest"] == kept["model_digest"]
    assert fit["parameters"] == pytest.approx(kept["estimate"], rel=1e-3), "run: python tools/results.py park_fit"
    # a window that ends with a ceremony is as long as the one before it, and no residual is beyond chance
    assert "Not explained by the model" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_numbers_that_the_pages_spell_out_are_those_of_the_results() -> None:
    """How many constants and structures there are, and which structures predict as well as the best one."""
    fit, structures = numbers.record_of("park_fit")["numbers"], numbers.record_of("park_structures")["numbers"]
    assert sum(fit["count"].values()) == 10
    assert len(fit["alone"]) == 2  # the others lean on priors or on constants that are held
    assert len(structures["structures"]) == 14
    assert (structures["count_with"], structures["count_without"]) == (11, 3)
    place = {row["id"]: row["elpd_behind"] for row in structures["structures"]}
    assert max(place[name] for name in ("M0", "M1", "M3", "M12", "M13")) < structures["furthest"]["with"]["elpd_behind"]
    assert min(place[name] for name in ("M6", "M9", "M10")) == structures["nearest_without"]["elpd_behind"]
    assert structures["converged"]
    # what China Merchants brought rests on two, of which the data say little and nothing
    assert "Capability Exponent" in structures["unseen"]
    assert "Founding Capability" not in structures["unseen"]
    # no structure is far behind; those without reform or summit have the least evidence, two fifths of an even share
    rows = {row["id"]: row for row in structures["structures"]}
    assert all(row["elpd_behind"] < 2 * row["behind_error"] + 1.5 for row in rows.values())
    unreformed = {"M6", "M9", "M10"}
    assert {name for name in rows if rows[name]["probability"] <= 0.4 / 14} == {*unreformed, "M8"}
    # forecasts: the first three have no reform, and no difference is larger than its error
    first = [row["name"] for row in structures["forecasters"]]
    assert set(first[:3]) == unreformed
    scores = {row["name"]: row for row in structures["forecasters"]}
    for curve in ("logistic", "Bass"):
        assert abs(scores["M0"]["mean_log_score"] - scores[curve]["mean_log_score"]) < scores[curve]["log_score_error"]
    able, others = (structures["policy"]["without_china_merchants"][key] for key in ("able_founder", "others"))
    assert f"{able[0]:.0f}" == f"{able[1]:.0f}"
    assert others[0] > able[1]


@pytest.fixture(scope="module")
def records() -> dict[str, Headline]:
    """Every headline record that a claim of some page reads, by its place among the kept results."""
    text = (numbers.KEPT / "numbers.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"(\w+)\[headlines\]\[([^\]]+)\]", text))
    kept = {
        (name, numbers.claimed_as(record)): record
        for name in RESULTS
        for folder in numbers.kept_headlines(name).values()
        for record in folder
    }
    return {f"{name}: {key}": kept[name, key] for name, key in named}


def test_pages_take_a_quantity_that_has_a_headline_record_from_it(records: dict[str, Headline]) -> None:
    assert len(records) >= 15
    index = (numbers.KEPT / "numbers.toml").read_text(encoding="utf-8")
    assert "[estimate][" not in index
    assert "[predictions][" not in index


def test_the_readme_prints_headline_records_and_a_changed_digit_is_seen(tmp_path: Path, monkeypatch) -> None:
    """Each number of its sentence on the end of 2019 is that of a record; any other digit there is a fault."""
    page, results = PAGES["README.md"], numbers.all_kept()
    (claim,) = (text for text in page["claims"] if "[headlines]" in text)
    (parts,) = numbers.claims({"claims": [claim]}, results)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = numbers.pattern(parts, exact=True).search(text)
    assert match is not None
    assert match.re.groups >= 5
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    for group in range(1, match.re.groups + 1):
        digit = str((int(match.group(group)[0]) + 1) % 10)
        planted = text[: match.start(group)] + digit + text[match.start(group) + 1 :]
        (tmp_path / "README.md").write_text(planted, encoding="utf-8")
        assert any("does not say" in fault for fault in numbers.faults(page, results)), planted[match.start() - 9 :][
            :99
        ]


def test_two_records_that_a_claim_cannot_tell_apart_are_refused() -> None:
    record = numbers.kept_headlines("nist_rat42")["."][0]
    results = {"fit": numbers.with_headlines({}, {"a": [record, record], "b": [replace(record, number=0.0)]})}
    claim = f"{{fit[headlines][{numbers.claimed_as(record)}][number]:.1f}}"
    with pytest.raises(ValueError, match="two headlines are 'ML optimum of"):
        list(numbers.claims({"claims": [claim]}, results))
    results["fit"] = numbers.with_headlines({}, {"a": [record], "b": [record]})
    assert list(numbers.claims({"claims": [claim]}, results)) == [[("", f"{record.number:.1f}")]]


def test_records_that_are_kept_name_the_model_that_made_them() -> None:
    kept = [records for name in RESULTS for records in numbers.kept_headlines(name).values()]
    assert len(kept) >= 10
    for record in (record for records in kept for record in records):
        assert record.version
        assert re.fullmatch("[0-9a-f]{64}", record.model_digest)


def test_output_that_is_shown_was_printed() -> None:
    """Blocks after a mark ``<!-- kept: RESULT -->``, pieces of which may be left out, in the order of the output."""
    count = 0
    for file in PAGES:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name, block in re.findall(r"<!-- kept: (\w+) -->\n```\n\$ [^\n]*\n(.*?)```", text, flags=re.DOTALL):
            rest = " ".join(numbers.record_of(name)["numbers"]["printed"].split())
            for piece in block.split("…"):
                _, found, rest = rest.partition(" ".join(piece.split()))
                assert found or not piece.strip(), f"{file}: {name} has not printed {piece}"
            count += 1
    assert count


def test_every_result_stands_in_a_page_and_every_kept_file_is_a_result() -> None:
    index = (numbers.KEPT / "numbers.toml").read_text(encoding="utf-8")
    shown = "".join((ROOT / file).read_text(encoding="utf-8") for file in PAGES)
    made = "".join(page.read_text(encoding="utf-8") for page in numbers.KEPT.glob("*.md"))
    assert {p.stem for p in numbers.KEPT.glob("*.json")} == set(RESULTS)
    missing = [name for name in RESULTS if f"{{{name}[" not in index and f"kept: {name} " not in shown]
    # a page that a tool makes of a result names it
    text = (made + shown).replace("\n", " ")
    assert [name for name in missing if f"from [{name}.json]({name}.json)" not in text] == []


PLANTED = {
    "a number of a claim": ("57 firms", "58 firms"),
    "a new number": ("57 firms", "57 firms and 12 parks"),
    "a number that was given": ("limit of 3", "limit of 4"),
}


@pytest.mark.parametrize("change", PLANTED.values(), ids=PLANTED)
def test_a_changed_number_is_seen(change: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {
        "file": "page.md",
        "claims": ["the model expects {base[firms]:.0f}\nfirms"],
        "given": [{"section": "Head", "why": "a definition", "numbers": "3"}],
    }
    text = "# Head\n\nBy 2019-12-31 (see `f(7)`, S14) the model expects 57 firms, with a limit of 3.\n"
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    results = {"base": {"firms": 56.69}}
    assert numbers.faults(page, results) == []
    (tmp_path / "page.md").write_text(text.replace(*change), encoding="utf-8")
    assert numbers.faults(page, results) != []


def test_a_changed_result_is_seen_and_written_into_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"file": "page.md", "claims": ["expects {base[firms]:.1f} firms ({base[low]:.0f} to 90)"]}
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text("It expects 56.7 firms\n(42 to 90).\n", encoding="utf-8")
    changed = {"base": {"firms": 1234.56, "low": 7}}
    assert any("does not say" in fault for fault in numbers.faults(page, changed))
    numbers.write_page(page, changed)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "It expects 1234.6 firms\n(7 to 90).\n"


def test_pages_that_are_made_whole_are_written_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name for page in PAGES.values() for name in re.findall(r"tools/(\w+)\.py$", page.get("made", ""))}
    assert {maker.__name__ for maker in numbers.PAGE_MAKERS} == made - {"functions_page"}
    monkeypatch.setattr(numbers, "index", list)
    monkeypatch.setattr(numbers, "PAGE_MAKERS", (numbers.claims_page,))
    monkeypatch.setattr(numbers.claims_page, "KEPT", tmp_path)
    monkeypatch.setattr(numbers.claims_page, "kept_numbers", lambda name: numbers.record_of(name)["numbers"])
    numbers.write_documents()
    kept = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert kept == {name: (numbers.KEPT / name).read_text(encoding="utf-8") for name in kept}
    assert "claims.md" in kept


def test_a_changed_input_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    record = numbers.record_of("nist_rat42")
    record["inputs"] = dict.fromkeys(record["inputs"], "0" * 64)
    monkeypatch.setattr(numbers, "record_of", lambda name: record)
    assert "changed since: " in numbers.out_of_date("nist_rat42")


def test_an_edit_keeps_a_result_only_where_no_number_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that is off leaves all bits; with it on, or a policy changed, the result has to be made again."""
    small_study(tmp_path)
    (tmp_path / "policies.toml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.setattr(numbers, "FAR", Scenario())
    model = tmp_path / "leaving.mdl"
    before = model.read_bytes()
    switched = (
        before.decode().replace("* pace ~", "* pace * (1 + switch) ~").replace("size =", "switch = 0 ~ 1 ~ |\nsize =")
    )
    model.write_text(switched, encoding="utf-8")
    found = numbers.same_runs(before, model, [tmp_path])
    assert len(found) == 2, "of the model and of its study"
    model.write_text(switched.replace("switch = 0", "switch = 1e-12"), encoding="utf-8")
    with pytest.raises(SystemExit, match="other numbers than before"):
        numbers.same_runs(before, model, [tmp_path])
    assert len(numbers.same_runs(before, model, [])) == 1, "no result that is kept has the study"
    catalogue, asked = tmp_path / "policies.toml", POLICIES.encode()
    catalogue.write_text(POLICIES + '[[lever]]\nid = "x"\ntitle = "x"\nnames = "pace"\nrange = [0, 2]\nbase = 1\n')
    assert numbers.same_effects(asked, catalogue) == {}
    catalogue.write_text(POLICIES.replace("pace = 0.5", "pace = 0.6"), encoding="utf-8")
    with pytest.raises(SystemExit, match="other effects"):
        numbers.same_effects(asked, catalogue)


def test_names_of_loops_keep_a_result_only_where_no_old_loop_has_another(tmp_path: Path) -> None:
    before = b'[[loop]]\nname = "R1"\nthrough = ["old"]\n'
    loops, model = tmp_path / "m.loops.toml", b"\nold=\n\t1\n"
    loops.write_bytes(b'[[loop]]\nname = "R2"\nthrough = ["old", "new"]\n' + before)
    assert numbers.same_names(before, loops, model) == {}
    with pytest.raises(SystemExit, match="was there before: R2"):
        numbers.same_names(before, loops, model + b"\nnew=\n\t1\n")
    loops.write_bytes(before.replace(b"R1", b"R3"))
    with pytest.raises(SystemExit, match="otherwise than before"):
        numbers.same_names(before, loops, model)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("within 9.6e-16 of 1,234 firms, 56.7 % (RC19, E2b, `x = 3`, 2019, 2019-12-31)", ["9.6e-16", "1,234", "56.7"]),
        ("doi:10.11821/dlxb1, https://a.b/7, [p](q3.md), ISO-8601, at 2019.9, M0 3.14.3", ["2019.9", "3.14.3"]),
        ("1. first\n  12. twelfth, at 1. Then", ["1"]),
        ("```\n5 firms\n```\nten, 75(6)\n<!-- 8 -->", ["75", "6"]),
    ],
)
def test_what_counts_as_a_number(text: str, found: list[str]) -> None:
    assert numbers.numbers(text) == found


def test_new_numbers_go_into_the_row_of_their_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are known by their first text, which may have blanks; a text after it may change."""
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("| Pool Size | old words | 1 |\n| Pool | undecided | 2 |\n", encoding="utf-8")
    rows = [{"name": "Pool", "class": "built in", "n": 20}, {"name": "Pool Size", "class": "new words", "n": 10}]
    claim = {"each": "result[rows]", "text": "| {row[name]} | {row[class]} | {row[n]:d} |"}
    numbers.write_page({"file": "page.md", "claims": [claim]}, {"result": {"rows": rows}})
    assert page.read_text(encoding="utf-8") == "| Pool Size | new words | 10 |\n| Pool | built in | 20 |\n"


def test_a_number_with_an_exponent_is_written_over_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("in 643 columns simlin agrees to 8.4e-15. World3: 1.7e-16\n", encoding="utf-8")
    claim = "in {result[n]} columns simlin agrees to {result[largest]:.1e}"
    numbers.write_page({"file": "page.md", "claims": [claim]}, {"result": {"n": 645, "largest": 9.1e-15}})
    assert page.read_text(encoding="utf-8") == "in 645 columns simlin agrees to 9.1e-15. World3: 1.7e-16\n"
