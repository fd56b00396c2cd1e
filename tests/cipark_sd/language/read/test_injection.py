"""No text of a model, nor of a file beside it, is run: hostile files under a tripwire, in a process of their own.

Every place where text can stand in a model is here once with each form of payload spread over the places, and every
third place of a TOML file beside it: all of these with ``CIPARK_THOROUGH=1``, as ``.ci/run`` has it. All forms with all
commands, ten thousand pairs, are ``python tests/injection/tripwire.py result.json --all``.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from places import INJECTION
from thorough import THOROUGH, share

#: Commands that reach further than reading, a plain file at a time; each is tried on some of the places.
FURTHER = (
    "run",
    "show equations",
    "show json",
    "check",
    "convert to xmile",
    "convert to mdl",
    "new-study",
    "show program",
)
#: Names that hold a program and are read as names.
NAMES = (
    *(f"mdl/{place}/call" for place in ("stock", "constant", "range", "element", "lookup", "macro", "argument")),
    *(f"mdl/{place}/single" for place in ("stock", "constant", "lookup")),
    *(f"xmile/{place}/call" for place in ("stock", "constant", "dimension", "element", "table")),
)
#: Dear ones: one place each. A fit by PySD is as dear as all others, and runs what ``run pysd`` does.
DEAR = (
    ("mdl/documentation/triple", "calibrate"),
    ("mdl/constant/single", "sensitivity"),
    *((("xmile/documentation/triple", "calibrate pysd"),) if THOROUGH else ()),
    ("mdl/stock/double", "policy"),
    ("xmile/stock/parenthesis", "sensitivity of the study"),
)


#: Templates of models, and of the data of their variables.
_MODELS = ("mdl", "external", "xmile", "data")


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, INJECTION / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


cases = _module("cases")
CASES = {case.name: case for case in cases.cases()}


def sample() -> list[tuple[str, str]]:
    """Every place with one of its payloads, run by all engines or by PySD beside one, and a further command in turn."""
    by_place: dict[str, list[str]] = {}
    for name in CASES:
        by_place.setdefault(name.rpartition("/")[0], []).append(name)
    chosen: list[tuple[str, str]] = []
    for turn, (place, names) in enumerate(sorted(by_place.items())):
        kind, name = place.partition("/")[0], names[turn % len(names)]
        if kind not in _MODELS and turn % share(3, 1):
            continue
        match kind:
            case kind if kind in _MODELS:
                # PySD is the engine that writes Python
                chosen += [(name, "certify pysd" if turn % 3 else "certify"), (name, FURTHER[turn % len(FURTHER)])]
            case "display" | "scenario":
                chosen.append((name, "run"))
            case "checks":
                chosen.append((name, "check"))
            case "loops":
                chosen.append((name, "loops"))
            case "problem" | "sensitivity":
                chosen.append((name, "sensitivity of the study"))
            case "policies":
                chosen.append((name, "policy"))
    # where PySD's own reader ran what it was given, every form
    ranges = [name for name in CASES if "range/" in name and name.startswith("mdl/") and "unit" not in name]
    chosen += [(name, "show") for name in ranges]
    chosen += [(name, "run pysd") for name in CASES if name.startswith(("mdl/documentation", "data/name"))]
    chosen += [(name, "run") for name in CASES if name.startswith("display/package")]
    chosen += [(name, "certify") for name in NAMES]
    return list(dict.fromkeys([*chosen, *DEAR]))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("injection")
    (folder / "plan.json").write_text(json.dumps(sample()), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(INJECTION / "tripwire.py"), str(folder / "result.json"), str(folder / "plan.json")],
        env={key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def test_the_corpus_has_a_payload_in_every_place_of_every_template() -> None:
    hostile = [
        case for case in CASES.values() if any(cases.BELL in text for n, text in case.files.items() if "bell" not in n)
    ]
    suffixes = {Path(case.model).suffix for case in hostile}
    assert len(hostile) >= 100
    assert suffixes == {".mdl", ".xmile"}
    for kind, template in (("mdl", cases.MDL), ("external", cases.EXTERNAL), ("xmile", cases.XMILE)):
        for place in cases.places(template):
            assert any(name.startswith(f"{kind}/{place}/") for name in CASES), (kind, place)


def test_nothing_that_stands_in_a_file_is_run(result: dict[str, Any]) -> None:
    seen = {pair: finds for part in ("first", "found") for pair, (_, finds, _) in result[part].items() if finds}
    assert seen == {}


def test_plain_files_work_so_that_the_payloads_were_reached(result: dict[str, Any]) -> None:
    outcome = {pair: what for pair, (what, _, _) in result["first"].items()}
    for kind in ("mdl", "external", "xmile"):
        assert outcome[f"{kind}/plain | certify"] == "exit 0"
    for command in ("calibrate", "policy", "sensitivity of the study"):
        assert outcome[f"problem/plain | {command}"] == "exit 0"
    assert outcome["display/plain | run"] == "exit 0"


def test_hostile_names_and_documentation_are_certified_like_any_other(result: dict[str, Any]) -> None:
    # a payload that is refused while it is read never comes to the engine that writes Python
    found = {pair: what for pair, (what, _, _) in result["found"].items() if " | certify" in pair}
    certified = {pair.partition(" | ")[0] for pair, what in found.items() if what == "exit 0"}
    assert sorted(set(NAMES) - certified) == []
    places = {name.rpartition("/")[0] for name in certified}
    for kind in ("mdl", "xmile"):
        assert {f"{kind}/documentation", f"{kind}/unit", f"{kind}/view", f"{kind}/group"} <= places


@pytest.mark.parametrize(
    "plant",
    [
        "eval",
        "exec",
        "compile",
        "import",
        "import of a loud module",
        "import of an unneeded module",
        "os.system",
        "subprocess",
        "write",
        "low-level write",
        "remove",
        "socket",
        "words and look off: mdl/documentation/triple_in_line",
    ],
)
def test_the_tripwire_rings_at_a_planted_violation(result: dict[str, Any], plant: str) -> None:
    assert result["planted"][plant]


def test_the_last_look_stops_words_that_slipped_through(result: dict[str, Any]) -> None:
    # with the words in, the text is looked at and not run; without the look as well, it runs
    stopped = result["planted"]["words off: mdl/documentation/triple_in_line"]
    ran = result["planted"]["words and look off: mdl/documentation/triple_in_line"]
    assert [find for find in stopped if find.startswith(("exec", "import"))] == []
    assert any(find.startswith(("exec", "import")) for find in ran)
