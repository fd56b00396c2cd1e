"""What is said of files as people have them: the vendor's part by its name, the place, and a way on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from stella import stella

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.simulations.simulation import simulate

Write = Callable[..., Path]
ARRAY = '<aux name="v"><dimensions><dim name="R"/></dimensions><eqn>3</eqn></aux>'
DIMENSIONS = '<dimensions><dim name="R"><elem name="a"/><elem name="b"/></dim></dimensions>'


@pytest.mark.parametrize(
    ("equations", "said"),
    [
        (
            "a = 1 ~~|\nout = DELAYP(a, 3 : pipe) ~~|",
            r"model.mdl:3: the equation of 'pipe' is asked of DELAYP, which is not supported here; write the delay as",
        ),
        (
            "m = GET VDF CONSTANTS(Constant Data File, 'm', 1) ~~|",
            r"model.mdl:2:1: .* file, variable and a time",
        ),
        (
            "m := GET VDF DATA('a.vdf', 'm', 0, 1) ~~|",
            r"model.mdl:2: 'm' uses GET VDF DATA, .* GET DIRECT",
        ),
        (
            "R: GET XLS SUBSCRIPT('?t', 'S', 'A2', 'A4', '') ~~|",
            r"model.mdl:2:1: .* behind the tag '\?t', .* file's name",
        ),
        (
            "R: GET XLS SUBSCRIPT('no.xlsx', 'S', 'A2', 'A4', '') ~~|",
            r"takes its elements from 'no.xlsx', tab 'S', cells A2",
        ),
        (
            "in = 1 ~~|\nout = DELAYP(in, 3 : pipe) ~~|",
            r"is asked of DELAYP, which is not supported here; write the delay",
        ),
        (
            "x := GET DIRECT DATA('d.csv', ',', 'A', 'B2') ~~|",
            r"'d.csv', tab ',', from 'B2' .* with ',' between the columns",
        ),
        ("x := GET DIRECT DATA('no.csv', ',', 'A', 'B2') ~~|", r"reads 'no.csv', which is not there; put it there"),
        (
            "R: a, b ~~|\nq[R] = 3 ~~|\np[R] = 1, 2 ~~|\nx[R] = ALLOCATE BY PRIORITY(q[R], p[R], 2, 0, 4) ~~|",
            r"ALLOCATE BY PRIORITY of width 0, which is not supported here; give it a small width",
        ),
    ],
)
def test_a_vensim_file(write_mdl: Write, tmp_path: Path, equations: str, said: str) -> None:
    (tmp_path / "d.csv").write_text("time;x\n0;1\n1;2\n", encoding="utf-8")
    with pytest.raises(CiparkError, match=said) as caught:
        simulate(read_model(write_mdl(equations)))
    assert not any(words in str(caught.value) for words in ("Sheet name", "Hardcoded", "Constant Data File"))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (f'{ARRAY}<aux name="w"><eqn>MAX(v, 7)</eqn></aux>', "take SUM, MEAN, MIN or MAX of the array alone"),
        (f"""{ARRAY}<aux name="w"><eqn>v' + 1</eqn></aux>""", "write its subscripts in the other order: ' is not read"),
        (
            '<stock name="C"><eqn>1,2,3,4</eqn><outflow>o</outflow><conveyor><len>4</len></conveyor></stock>'
            '<flow name="o"><eqn></eqn></flow>',
            "a conveyor that begins with a list",
        ),
    ],
)
def test_a_stella_file(tmp_path: Path, variables: str, said: str) -> None:
    with pytest.raises(CiparkError, match=said):
        simulate(read_model(stella(tmp_path / "a.stmx", variables, before=DIMENSIONS)))


def test_a_name_may_end_with_a_backslash(write_mdl: Write) -> None:
    run = simulate(read_model(write_mdl('"\\\\" = 4 ~~|\nx = "\\\\" + 3 ~~|\n"say \\"y\\"" = 1 ~~|\n')))
    assert run["x"].values[0] == 7
