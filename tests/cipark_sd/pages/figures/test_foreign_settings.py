"""Settings of matplotlib that stand in a working folder, which a stranger may have sent, change no figure."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SETTINGS = """
text.usetex: True
text.latex.preamble: \\input{/etc/passwd}
font.size: 30
lines.linewidth: 9
axes.facecolor: red
savefig.facecolor: red
savefig.bbox: tight
svg.fonttype: path
"""
DRAW = """
import sys
import numpy as np
import cipark_sd as cp
from matplotlib.figure import Figure
from cipark_sd.pages.figures.files import save_figure
from cipark_sd.pages.figures.panels import grid, styled

run = cp.simulate("pool.mdl")
save_figure(cp.plot_run(run), f"{sys.argv[1]}-run.svg")
many = cp.ensemble("pool.mdl", {"life": np.linspace(2, 9, 20)})
save_figure(cp.plot_fan(many, "pool"), f"{sys.argv[1]}-fan.png")

@styled
def drawn():
    figure, panels = grid(1, 1, 2.0)
    panels[0, 0].plot([1, 2], [3, 4], label="pool")
    panels[0, 0].set_title("pool")
    return figure

save_figure(drawn(), f"{sys.argv[1]}-styled.pdf")
"""


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for TeX is a script of a shell")
def test_a_file_of_settings_in_the_folder_changes_no_figure_and_starts_no_program(
    tmp_path: Path, write_mdl: Callable[..., Path]
) -> None:
    write_mdl("pool = INTEG(-pool / life, 8) ~~| life = 5 ~~|", name="pool.mdl", final=2)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("latex", "pdflatex", "xelatex", "lualatex", "dvipng", "kpsewhich"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n", encoding="utf-8")
        (programs / name).chmod(0o755)

    def draw(name: str) -> list[bytes]:
        path = os.pathsep.join((str(programs), os.environ["PATH"]))
        call = [sys.executable, "-W", "error", "-c", DRAW, name]
        subprocess.run(call, cwd=tmp_path, env=os.environ | {"PATH": path}, check=True)
        return [(tmp_path / f"{name}-{kind}").read_bytes() for kind in ("run.svg", "fan.png", "styled.pdf")]

    plain = draw("plain")
    (tmp_path / "matplotlibrc").write_text(SETTINGS, encoding="utf-8")
    assert draw("theirs") == plain
    assert not (tmp_path / "started").exists()
