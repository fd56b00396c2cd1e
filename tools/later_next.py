"""The open decisions of great_stone_later, over the draws that are kept beside it (tools/later_draws.py made them).

python tools/results.py later_next                       the numbers of docs/results/later_years.md
"""

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
from click.testing import CliRunner
from later_draws import DECIDED, KEPT, STUDY

from cipark_sd.commands.cli import cli
from cipark_sd.commands.policy.about import load
from cipark_sd.commands.policy.output import kinds
from cipark_sd.commands.policy.what_next import page_of


def later_next(folder: Path) -> dict[str, Any]:
    """The sentences of the page, and each option's change of the firms at work, with its chances and its class."""
    call = ["policy", "great_stone_later", "--part", "decisions", "--runs", str(KEPT), "--draws", str(STUDY)]
    outcome = CliRunner().invoke(cli, [*call, "-o", str(folder)], catch_exceptions=False)
    if outcome.exit_code:
        raise RuntimeError(outcome.output)
    findings = load(folder, kinds())
    page = page_of(findings)
    assert page is not None, "the study has decisions"
    frame = pd.read_csv(folder / "decisions.csv").set_index(["outcome", "alternative"])
    catalogue = tomllib.loads((STUDY / "policies.toml").read_text(encoding="utf-8"))

    def level(outcome: str) -> list[float]:
        return [float(frame.loc[outcome, "base"][key]) for key in ("level_low", "level", "level_high")]

    rows = []
    for decision in catalogue["decision"]:
        at = {outcome: frame.loc[outcome, decision["id"]] for outcome in ("working", "residents", "money")}
        row = {key: [float(of[end]) for end in ("change_low", "change", "change_high")] for key, of in at.items()}
        facts = {key: float(at["working"][key]) for key in ("better", "worst")}
        kind = "under" if decision.get("under") else "event" if decision.get("event") else "option"
        named = {"title": decision["title"], "note": decision.get("note", "")}
        rows.append(named | {"kind": kind, "class": at["working"]["change_class"]} | row | facts)
    return {
        "title": page.title,
        "lines": [text for _, text in page.lines],
        "measure": " ".join(page.measure),
        "draws": KEPT * len(DECIDED),
        "structures": [rival.title for rival in findings.about.rivals],
        "nothing": {outcome: level(outcome) for outcome in ("working", "residents", "share", "idle", "cover")},
        "rows": rows,
    }
