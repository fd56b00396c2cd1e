"""Parts of the page's script, run by node."""

import json
import shutil
import subprocess

import pytest
from places import ROOT

PARTS = ROOT / "cipark_sd/pages/player"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def in_node(calls: str, *parts: str) -> object:
    """What node prints as JSON after the parts of the page's script."""
    text = "\n".join((PARTS / part).read_text(encoding="utf-8") for part in parts)
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-"], input=f"{text}\n{calls}", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
