"""What the page of public files says is refused is refused, in these words, and is counted by them."""

import sys
import tomllib
from pathlib import Path

import pytest

from cipark_sd.base.errors import CiparkError
from cipark_sd.compiler.functions.registry import REFUSED
from cipark_sd.language.read.model_file import read_model

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from public_files import refusals  # noqa: E402

KINDS = tomllib.loads((ROOT / "tools" / "public_refusals.toml").read_text(encoding="utf-8"))["refusal"]
CODE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cipark_sd").rglob("*.py"))


def test_functions_are_refused_and_messages_are_the_program_s() -> None:
    functions = {name for kind in KINDS for name in kind.get("functions", ())}
    assert functions <= REFUSED.keys()
    assert [said for kind in KINDS for said in kind.get("said", ()) if said not in CODE] == []


def test_a_part_and_a_function_are_counted_by_the_message_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.xmile"
    path.write_text(
        '<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0"><sim_specs><start>0</start>'
        '<stop>1</stop><dt>1</dt></sim_specs><model><variables><stock name="s"><eqn>0</eqn><oven/></stock>'
        '<aux name="x"><eqn>LOGNORMAL(1, 2)</eqn></aux></variables></model></xmile>'
    )
    with pytest.raises(CiparkError) as problem:
        read_model(path)
    path.write_text(path.read_text().replace("<oven/>", ""))
    with pytest.raises(CiparkError) as another:
        read_model(path)
    rows = list(refusals([str(problem.value), str(another.value), "nothing"]))
    counts = {row.split(" | ")[0]: row.split(" | ")[1] for row in rows}
    counted = {name: n for name, n in counts.items() if n != "0"}
    (drawn,) = (kind["what"] for kind in KINDS if "lognormal" in kind.get("functions", ()))
    assert counted == {"| Ovens": "1", f"| {drawn}": "1"}
