"""Pages: what a command found, as data and as one HTML file."""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import cipark
from matplotlib.figure import Figure
from page_text import without_links

from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.inputs import JSON_LIMIT
from cipark_sd.base.records import to_plain
from cipark_sd.pages import page as pages_page
from cipark_sd.pages.blocks import FirstScreen, Folded, Listing, Page, Paragraph, Picture, Section, Table
from cipark_sd.pages.figures.files import describe, save_figure
from cipark_sd.pages.page import FORMAT, read_page, render, write_page
from cipark_sd.pages.player.shell import page_with
from cipark_sd.statements.claims import Basis
from cipark_sd.statements.headline import Bounds, Headline, cells

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000000000500015a2d"
    "b4040000000049454e44ae426082"
)
PAGE = Page(
    "Rabbits & foxes",
    "Model foxes (abc), seed 1.",
    (
        Section("Who eats <whom>", (Paragraph("Foxes."), Paragraph("Not enough data.", warning=True))),
        Section("Numbers", (Table(("name", "n"), (("rabbits", "3.5"), ("foxes", "-1 to 2"))), Listing(("one", "two")))),
        Section("Course", (Picture("course.png", "Over time."),)),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "course.png").write_bytes(PIXEL)
    write_page(PAGE, tmp_path)
    return tmp_path


def test_a_page_that_was_written_reads_back_as_it_was(folder: Path) -> None:
    assert read_page(folder) == PAGE


def test_the_document_needs_no_other_file_and_no_network(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in text
    assert "http:" not in text
    assert "https:" not in text
    assert "course.png" not in text


def test_words_of_a_page_are_text_and_never_markup(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Who eats &lt;whom&gt;" in text
    assert "<whom>" not in text


def test_each_section_can_be_reached_from_the_top(folder: Path) -> None:
    text = render([(PAGE, folder), (PAGE, folder)])
    for anchor in ("s1-1", "s1-3", "s2-1", "s2-3"):
        assert f'href="#{anchor}"' in text
        assert f'id="{anchor}"' in text


def test_intervals_are_set_as_numbers_and_names_as_words(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert '<th scope="row" class="text">rabbits</th><td>3.5</td>' in text
    assert "<td>-1 to 2</td>" in text


def test_pages_of_several_folders_become_one(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "all.html"
    cipark("report", folder, folder, "-o", target)
    text = target.read_text(encoding="utf-8")
    assert text.count("<h1>Rabbits &amp; foxes</h1>") == 2
    assert "<title>Rabbits &amp; foxes; Rabbits &amp; foxes</title>" in text


def test_all_folders_without_a_page_are_named_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    target = tmp_path / "all.html"
    result = cipark("report", tmp_path / "a", tmp_path / "b", "-o", target, code=2)
    assert str(tmp_path / "a") in result.output
    assert str(tmp_path / "b") in result.output
    assert not target.exists()


def test_a_page_of_another_make_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"title": "x"}', encoding="utf-8")
    with pytest.raises(InvalidValue, match="that this version wrote"):
        read_page(tmp_path)


def test_a_page_holds_no_more_of_its_folder_than_is_read_of_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Picture("course.png", "Over time.")
    monkeypatch.setattr(pages_page, "MODEL_LIMIT", 3 * len(PIXEL))
    for times in (3, 4):
        page = replace(PAGE, sections=(Section("Course", (course,) * times),))
        if times == 3:
            assert render([(page, folder)]).count("data:image") == times
            continue
        with pytest.raises(InvalidValue, match="at most"):
            render([(page, folder)])


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda table: table["rows"][0].pop(), "one cell for each of"),
        (lambda table: table.update(estimands=["a"] * 9), "has 9 names for . rows"),
    ],
)
def test_a_table_whose_rows_do_not_fit_its_head_is_refused(
    damage: Callable[[dict[str, Any]], None], fault: str, folder: Path
) -> None:
    content = json.loads((folder / "report.json").read_text())
    (table,) = [block for block in content["sections"][1]["blocks"] if block["kind"] == "table"]
    damage(table)
    (folder / "report.json").write_text(json.dumps(content))
    with pytest.raises(InvalidValue, match=fault):
        read_page(folder)


def test_a_page_of_an_earlier_version_is_refused_in_a_sentence(folder: Path) -> None:
    write_page(replace(PAGE, headlines=(FIT,)), folder)
    data = folder / "report.json"
    content = json.loads(data.read_text(encoding="utf-8"))
    assert content["format"] == FORMAT == "cipark_sd page 4"
    # earlier versions wrote none, and called otherwise what a record is conditional on
    del content["format"]
    for record in content["headlines"]:
        record["given"] = record.pop("conditional_on")
    data.write_text(json.dumps(content), encoding="utf-8")
    result = cipark("report", folder, "-o", folder / "all.html", code=2)
    assert "page that this version wrote (another version wrote it); run the command again" in " ".join(
        result.output.split()
    )
    assert not (folder / "all.html").exists()


def test_a_missing_picture_leaves_the_earlier_page_as_it_was(folder: Path) -> None:
    before = (folder / "report.html").read_bytes()
    (folder / "course.png").unlink()
    with pytest.raises(UnusableInput, match=r"'course\.png' of the page cannot be shown: No such file"):
        write_page(PAGE, folder)
    assert (folder / "report.html").read_bytes() == before


def test_no_number_of_a_page_has_an_exponent_that_people_would_write_out(tmp_path: Path) -> None:
    table = Table(("a",), (("1.2e+03",),), "2e+04")
    blocks = (Paragraph("from 1.1e+03 to 2e-05"), Listing(("3e+05",)), table)
    text = render([(Page("t", "", (Section("s", blocks),)), tmp_path)])
    for written in ("from 1100 to 0.00002", "300000", ">1200<", "20000"):
        assert written in text
    assert not re.search(r">[^<]*\de[+-]\d", text.split("</style>")[1])


SCREEN = FirstScreen("A park", "Firms <came>.", "60 firms.", "Why.", "All dates.", "One model.")


def test_a_first_screen_has_its_finding_lines_and_limits_in_order_and_the_rest_is_folded(tmp_path: Path) -> None:
    screen = replace(SCREEN, cautions=("Stopped early.",), warnings=("At a bound.",))
    sections = (Section("In short", (screen,)), Section("Data", (Paragraph("row by row"),)))
    text = render([(Page("t", "Model m.", sections), tmp_path)])
    (title,) = re.findall("<h1[^>]*>(.*?)</h1>", text)
    assert title == "Firms &lt;came&gt;."
    parts = (
        "A park",
        "Firms &lt;",
        "Stopped early.",
        "60 firms.",
        "Why.",
        "All dates.",
        "One model.",
        "At a bound.",
    )
    places = [text.index(part) for part in (*parts, '<details class="part">', "row by row", "Model m.")]
    assert places == sorted(places)
    assert "At a bound." in re.findall("<details>(.*?)</details>", text)[0]


@pytest.mark.parametrize(
    ("low", "high", "standing", "word"),
    [
        (3.0, 5.0, "known", "Informed by the data"),
        (1.0, 7.0, "narrowed", "Informed by the data"),
        (0.0, 9.0, "not narrowed", "Not decided by the data"),
    ],
)
def test_a_number_of_a_first_screen_is_drawn_with_its_class(
    tmp_path: Path, low: float, high: float, standing: str, word: str
) -> None:
    record = replace(
        FIT, number=4.0, interval=Bounds(low, high, 0.9, "central draws"), prior=Bounds(0.0, 10.0, 0.9, "x")
    )
    assert record.standing == standing
    text = render([(Page("t", "", (Section("s", (replace(SCREEN, numbers=(record,)),)),)), tmp_path)])
    (drawn,) = re.findall("<section data-estimand=.*?</section>", text)
    assert word in drawn
    assert record.brief in drawn.replace("\u00a0", " ")
    bars = [(float(a), float(b)) for a, b in re.findall(r'<line x1="([\d.]+)" y1="\d+" x2="([\d.]+)"', drawn)][:2]
    first, second = (b - a for a, b in bars)
    assert first / second == pytest.approx((high - low) / 10, abs=0.01)


def test_numbers_of_figures_are_in_their_alternative_texts(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([2010, 2011, 2012], [1.0, 9.0, 4.0], label="rabbits")
    axes.plot([2010, 2011], [1.0, 2.0], label="_nobody")
    axes.set_ylabel("head <count>")
    save_figure(figure, tmp_path / "a.svg")
    text = render([(Page("t", "", (Section("s", (Picture("a.svg", "All rabbits."),)),)), tmp_path)])
    assert (
        'alt="All rabbits. head &lt;count&gt;: rabbits from 1 to 4, most 9 at 2011 (2010 to 2012)." '
        'src="data:image/svg+xml;base64,' in text
    )


def test_named_rows_of_a_figure_are_told_from_the_top(tmp_path: Path) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.barh([0, 1], [0.25, 0.5])
    axes.set_yticks([0, 1], ["Foxes", "Grass"])
    axes.set_xlabel("share")
    assert describe(figure) == "Grass 0.5; Foxes 0.25."
    axes.invert_yaxis()
    assert describe(figure) == "Foxes 0.25; Grass 0.5."


def test_clouds_and_histograms_are_told_by_where_nine_tenths_of_them_are() -> None:
    figure = Figure()
    scatter, outline, profile = figure.subplots(3)
    across = np.arange(101.0)
    scatter.plot(across[::-1], -across[::-1], ".")
    scatter.lines[0].set_linestyle("None")
    scatter.set_label("a (across) and b (up)")
    outline.stairs([0, 1, 8, 1, 0], [0, 1, 2, 3, 4, 5], label="posterior")
    profile.plot([1, 2, 3, 4], [2.0, 0.0, 1.0, 2.0])
    profile.axhline(1.9)
    profile.set_ylabel("fall")
    assert describe(figure) == (
        "a (across) and b (up): 101 points, nine tenths in across 5 to 95 and up -95 to -5, rank correlation -1.00. "
        "Posterior 2.5 in the middle, nine tenths from 1.5 to 3.5. fall: fall from 2 to 2, least 0 at 2 (1 to 4)."
    )


# --- headline numbers of several folders ------------------------------------------------------------------------------

FIT = Headline(
    estimand="Rabbits at 9",
    number=120.0,
    unit="rabbit",
    kind="MAP optimum",
    interval=Bounds(90.0, None, 0.95, "profile likelihood"),
    conditional_on=("Foxes = 3",),
    basis=None,
    command="cipark calibrate",
    model_digest="m",
    study_digest="s",
    seed=1,
    version="1",
    title="rabbits in the end",
)
PRIOR = replace(FIT, number=80.0, kind="median", conditional_on=(), basis=Basis("prior", 64),
                command="cipark sensitivity", study_digest="", interval=None)  # fmt: skip


def combined_of(tmp_path: Path, *records: Headline) -> tuple[str, str]:
    """Output and text of the combined report of folders with a record each."""
    folders = []
    for number, record in enumerate(records):
        folder = tmp_path / f"out-{number}"
        folder.mkdir()
        write_page(replace(PAGE, sections=(), headlines=(record,)), folder)
        folders.append(str(folder))
    result = cipark("report", *folders, "-o", tmp_path / "all.html", catch_exceptions=False)
    return result.output, html.unescape(without_links((tmp_path / "all.html").read_text(encoding="utf-8")))


def test_a_page_prints_its_headline_numbers_first_and_keeps_them(tmp_path: Path) -> None:
    page = replace(PAGE, sections=PAGE.sections[:1], headlines=(FIT,))
    write_page(page, tmp_path)
    assert read_page(tmp_path) == page
    text = html.unescape(without_links((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert text.index("Headline numbers") < text.index("Who eats")
    for cell in cells(FIT):
        assert cell in text


def headline_numbers(folder: Path, *records: Headline) -> list[str]:
    """What stands between the first heading and the next, a line for each table, caption and fold."""
    write_page(replace(PAGE, headlines=records), folder)
    text = html.unescape(without_links((folder / "report.html").read_text(encoding="utf-8")))
    part = text[text.index('<h2 id="s1-1">') : text.index('<h2 id="s1-2">')]
    return re.findall(r"<summary>(.*?)</summary>|<caption><span>(.*?)</span>|<th scope=\"row\"[^>]*>(.*?)</th>", part)


def test_parameters_stand_apart_from_what_the_model_says_of_the_world(folder: Path) -> None:
    rate = replace(FIT, estimand="parameter rate", title="", conditional_on=("a = 1",))
    later = replace(FIT, estimand="Rabbits at 10", title="")
    shared = "All of these: MAP optimum; given Foxes = 3; cipark calibrate, seed 1"
    found = headline_numbers(folder, rate, FIT, later)
    assert found == [
        ("", shared, ""), ("", "", FIT.name), ("", "", "Rabbits at 10"), ("1 parameter", "", ""),
        ("", "", "parameter rate"),
    ]  # fmt: skip
    # alone they are not folded away, and beyond eight the rest is
    ten = [replace(rate, estimand=f"parameter r{number}") for number in range(10)]
    found = headline_numbers(folder, *ten)
    assert [words for words, _, _ in found if words] == ["2 more"]
    assert [name for *_, name in found if name] == [f"parameter r{number}" for number in range(10)]
    # what is given stands once above all that it is given for
    numbered = [
        replace(FIT, estimand=f"Rabbits at {n}", title="", conditional_on=(f"a = {n // 10}",)) for n in range(20)
    ]
    captions = [caption for _, caption, _ in headline_numbers(folder, *numbered) if caption]
    assert [caption.split("; ")[1] for caption in captions] == ["given a = 0", "given a = 0", "given a = 1"]
    assert [words for words, _, _ in headline_numbers(folder, FIT, *ten) if words] == ["10 parameters"]


def test_columns_have_room_by_their_longest_cell(tmp_path: Path) -> None:
    table = Table(("n", "a", "b", "c"), (("x", "word", "w" * 16, "w " * 31), ("y", "w", "w", "w")))
    text = render([(Page("t", "", (Section("s", (table,)),)), tmp_path)])
    for cell in ('<td class="text">word<', f'<td class="text some">{"w" * 16}<', '<td class="text long">w w '):
        assert cell in text, cell


@pytest.mark.parametrize(("columns", "smaller"), [(10, False), (11, True)])
def test_a_table_of_many_columns_is_printed_smaller(tmp_path: Path, columns: int, smaller: bool) -> None:
    table = Table(("a",) * columns, (("1",) * columns,))
    text = render([(Page("t", "", (Section("s", (table,)),)), tmp_path)])
    assert ('<table class="many">' in text) == smaller
    assert "table.many { font-size: 6.5pt; }" in text[text.index("@media print") :]


def test_words_are_explained_in_captions_heads_and_cells_but_not_in_names(tmp_path: Path) -> None:
    table = Table(("number", "total index"), (("noise", "nb1"), ("x", "0.2 to open")), "What the optimum says.")
    text = render([(Page("t", "", (Section("s", (table,)),)), tmp_path)])
    linked = re.findall(r'<a class="word" href="#(.*?)">(.*?)</a>', text)
    assert linked == [
        ("word-optimum", "optimum"), ("word-total-index", "total index"), ("word-nb1", "nb1"), ("word-open", "open"),
    ]  # fmt: skip


def test_two_numbers_of_one_quantity_are_named_with_what_differs(tmp_path: Path) -> None:
    said, text = combined_of(tmp_path, FIT, PRIOR)
    sentence = (
        "Rabbits at 9 has several numbers: 120 rabbits in out-0 (MAP optimum; given Foxes = 3); 80 rabbits in out-1 "
        "(prior median; prior, 64 draws, no data seen). They differ in the study (data, priors or scenario), the kind "
        "of estimate, the draws and what the number is conditional on."
    )
    assert sentence in text
    assert f"warning: {sentence}" in said
    assert (
        text.index(sentence)
        < text.index("<span>from out-0")
        < text.index("<span>from out-1")
        < text.index("<h1>Rabbits & foxes</h1>")
    )


def test_mixed_draws_models_and_data_are_warned_of(tmp_path: Path) -> None:
    drawn = replace(FIT, kind="median", basis=Basis("posterior", 400, converged=True))
    other = replace(PRIOR, estimand="Foxes at 9", model_digest="n")
    said, text = combined_of(tmp_path, drawn, other)
    for words in (
        "different models: m in out-0; n in out-1",
        "posterior draws in out-0; draws from the priors in out-1",
    ):
        assert words in text
        assert words in said
    # of no quantity there are two numbers to compare
    assert "several folders have" not in text


def test_one_value_everywhere_is_said_to_be_one_after_the_tables_and_of_which_quantities(tmp_path: Path) -> None:
    said, text = combined_of(tmp_path, FIT, replace(FIT, command="cipark policy"))
    assert "warning" not in said
    line = "1 quantity that several folders have has one number each: Rabbits at 9."
    assert text.index("<span>from out-1") < text.index(line) < text.index("<h1>Rabbits & foxes</h1>")


def test_the_title_of_several_pages_is_the_finding_of_the_first_and_what_differs_is_a_caution(tmp_path: Path) -> None:
    folders = []
    for number, value in enumerate((120.0, 80.0)):
        screen = replace(SCREEN, title=f"The finding of {number}")
        section = Section("In short", (screen,))
        (tmp_path / f"out-{number}").mkdir()
        write_page(
            replace(PAGE, sections=(section,), headlines=(replace(FIT, number=value),)), tmp_path / f"out-{number}"
        )
        folders.append(str(tmp_path / f"out-{number}"))
    cipark("report", *folders, "-o", tmp_path / "all.html", catch_exceptions=False)
    text = html.unescape(without_links((tmp_path / "all.html").read_text(encoding="utf-8")))
    assert re.search("<h1[^>]*>(.*?)</h1>", text)[1] == "The finding of 0"  # type: ignore[index]
    assert "1 quantity has several numbers in these folders." in text


def test_findings_are_asked_for_where_there_are_none(folder: Path, tmp_path: Path) -> None:
    result = cipark("report", "--again", folder, "-o", tmp_path / "all.html", code=2)
    assert "has no findings of a command in it" in result.output
    assert not (tmp_path / "all.html").exists()


def test_the_first_screen_comes_first_and_all_else_after_it(folder: Path) -> None:
    picture = Picture("course.png", "Rabbits over time.", "Rabbits fall from 9 to 3.5 in 2019.")
    screen = replace(SCREEN, title="Rabbits: 3.5", known="3.5, between 1 and 9 (95%).", picture=picture)
    last = Section("In short", (screen, Paragraph("Do not use it.", warning=True)))
    page = replace(PAGE, sections=(*PAGE.sections, last))
    text = render([(page, folder)])
    order = [text.index(mark) for mark in ("Rabbits: 3.5</h1>", "between 1 and 9", "Do not use it.", "Who eats")]
    assert order == sorted(order)
    assert 'alt="Rabbits fall from 9 to 3.5 in 2019."' in text
    assert "In short" not in text
    write_page(page, folder)
    assert read_page(folder) == page


def test_a_page_has_landmarks_heads_that_repeat_and_names_for_what_scrolls(folder: Path) -> None:
    text = render([(PAGE, folder)])
    assert text.count("<main ") == 1
    assert '<nav aria-label="Contents">' in text
    assert '<thead><tr><th scope="col" class="text">name</th><th scope="col">n</th></tr></thead>' in text
    assert 'role="region" tabindex="0" aria-label="Table 1.1"' in text
    assert "thead { display: table-header-group; }" in text


def test_statistics_are_folded_and_open_in_print(folder: Path) -> None:
    folded = Folded("For statisticians", (Paragraph("R-hat 1.002."), Picture("course.png", "Traces.")))
    page = replace(PAGE, sections=(Section("Draws", (folded,)),))
    text = render([(page, folder)])
    assert "<details><summary>For statisticians</summary>" in text
    assert "details::details-content { content-visibility: visible" in text
    write_page(page, folder)
    assert read_page(folder) == page


def test_words_are_linked_once_a_section_and_explained_at_the_end(folder: Path) -> None:
    words = (Paragraph("The prior and the priors; a prioress."), Listing(("Posterior draws.", "Priors again <b>.")))
    page = replace(PAGE, sections=(Section("One", words), Section("Two", (Paragraph("The prior."),))))
    text = render([(page, folder)])
    assert text.count('href="#word-prior"') == 2
    assert '<dt id="word-prior">prior</dt><dd>what was thought likely before' in text
    assert '<dt id="word-regret">' not in text
    assert "prioress" in text
    assert "Priors again &lt;b&gt;." in text
    assert 'id="words"' not in render([(replace(PAGE, sections=(Section("One", (Paragraph("Foxes."),)),)), folder)])


SECRET = "what nobody was to see"
LINK, PIPE = "it is a link", "it is not a regular file"
#: What a picture of a sent folder is called or is, and what is said of it.
ELSEWHERE = {
    "a path that leads up": ("../secret.txt", "it does not lie in the folder"),
    "a path of its own": ("/etc/hostname", "it does not lie in the folder"),
    "a path by way of a folder": ("inner/../../secret.txt", "it does not lie in the folder"),
    "a NUL": ("a\0.svg", "it does not lie in the folder"),
    "a link": ("link.svg", LINK),
    "a file in a folder that is a link": ("linked/secret.txt", LINK),
    "a pipe": ("pipe.svg", PIPE),
    "a folder": ("inner", "it is a folder"),
}


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A folder that somebody else has made, beside a file that is not theirs to read."""
    folder = tmp_path / "sent"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text(SECRET)
    (folder / "link.svg").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.svg")
    return folder


@pytest.mark.parametrize("kind", ["picture", "player"])
@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_page_shows_files_of_its_own_folder_alone(case: str, kind: str, sent: Path, tmp_path: Path) -> None:
    name, message = ELSEWHERE[case]
    answer = replace(SCREEN, player=name) if kind == "player" else replace(SCREEN, picture=Picture(name, "c"))
    page = to_plain(replace(PAGE, sections=(Section("In short", (answer,)),))) | {"format": FORMAT, "version": "1"}
    (sent / "report.json").write_text(json.dumps(page))
    done = cipark("report", sent, "-o", tmp_path / "all.html", code=2)
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "all.html").exists()


@pytest.mark.parametrize("name", ["report.json", "findings-calibrate.zip", "findings-policy.zip",
                                  "findings-sensitivity.zip"])  # fmt: skip
@pytest.mark.parametrize("what", ["link.svg", "pipe.svg"])
def test_links_and_pipes_in_a_folder_are_not_read(name: str, what: str, sent: Path, tmp_path: Path) -> None:
    (sent / what).rename(sent / name)
    again = [] if name == "report.json" else ["--again"]
    done = cipark("report", *again, sent, "-o", tmp_path / "all.html", code=2)
    assert (LINK if what == "link.svg" else PIPE) in " ".join(done.output.split())


def test_a_page_that_would_fill_the_memory_is_not_parsed(sent: Path, tmp_path: Path) -> None:
    (sent / "report.json").write_bytes(b"[" + b"[]," * (JSON_LIMIT // 3) + b"[]]")
    done = cipark("report", sent, "-o", tmp_path / "all.html", code=2)
    assert "(it has 8 MiB, and at most 8 MiB are read); run the command again" in " ".join(done.output.split())


def test_a_player_with_another_script_stays_outside_of_the_page(sent: Path) -> None:
    page = replace(PAGE, sections=(Section("In short", (replace(SCREEN, player="player.html"),)),))
    own = page_with('{"title": "a < b & c"}')
    (sent / "player.html").write_text(own, encoding="utf-8")
    text = render([(page, sent)])
    assert text.count("<iframe") == 1
    for other in (
        own.replace("</script>\n</body>", "; top.document.title = 'x'</script>\n</body>"),
        own.replace('"title"', '"title</script><script>top.document.title = 1</script>"'),
        own[: len(own) // 2],
        "<script>top.document.title = 'x'</script>",
        "",
    ):
        assert other != own
        (sent / "player.html").write_text(other, encoding="utf-8")
        text = render([(page, sent)])
        assert "<iframe" not in text
        assert "top.document.title" not in text
        assert "player.html was not written by this version" in text


def test_a_report_runs_nothing_but_the_script_of_a_player(folder: Path) -> None:
    """The policy names what the page holds: its style, and of a player the script."""

    def allowed(text: str) -> str:
        # the first is the page's, and a player has its own
        policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
        assert policy is not None
        assert policy.end() < text.index("<style>")
        return html.unescape(policy[1])

    def named(pattern: str, text: str) -> set[str]:
        digests = (hashlib.sha256(part.encode()).digest() for part in re.findall(pattern, text, re.DOTALL))
        return {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}

    text = render([(PAGE, folder)])
    directives = dict(part.strip().split(" ", 1) for part in allowed(text).split(";"))
    assert directives["default-src"] == "'none'"
    assert "script-src" not in directives
    assert set(directives["style-src"].split()) == named("<style>(.*?)</style>", text)
    own = page_with("{}")
    (folder / "player.html").write_text(own, encoding="utf-8")
    page = replace(PAGE, sections=(Section("In short", (replace(SCREEN, player="player.html"),)),))
    directives = dict(part.strip().split(" ", 1) for part in allowed(render([(page, folder)])).split(";"))
    assert set(directives["script-src"].split()) == named("<script>(.*?)</script>", own) | {"'wasm-unsafe-eval'"}
    assert named("<style>(.*?)</style>", own) < set(directives["style-src"].split())
