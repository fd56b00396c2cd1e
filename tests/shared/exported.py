"""What the tests of the exporters share: small models and ways to run them."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from cipark_sd.base.library import bundled
from cipark_sd.base.naming import canonical, flat_name
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Lookup

#: Share of a column's scale: the exporters may add inflows before outflows, nothing else changes the arithmetic.
ROUNDING = 1e-9

#: Models by what they are about.
MODELS = {
    "subscripted stocks": """
        Origin: SOE, PRIVATE, Big One ~~|
        Start[Origin] = 5, 3, 1 ~ firm [0,?] ~ Firms at the start; judgement |
        Rate[SOE] = 0.1 ~ 1/Year [0,1] ~ Growth |
        Rate[PRIVATE] = 0.3 ~~| Rate[Big One] = 0.2 ~~|
        growth[Origin] = Firms[Origin] * Rate[Origin] * (1 - Total / Limit) ~ firm/Year ~ |
        Limit = 40 ~ firm ~ |
        Half = 0.5 ~ firm/Year ~ |
        closing[Origin] = 0.05 * Firms[Origin] - Half * -0.01 ~ firm/Year ~ |
        Firms[Origin] = INTEG(growth[Origin] - closing[Origin], Start[Origin]) ~ firm ~ Stock by origin |
        Ever[Origin] = INTEG(growth[Origin], 0) ~ firm ~ Second use of a flow |
        Total = SUM(Firms[Origin!]) ~ firm ~ |
        Share[Origin] = ZIDZ(Firms[Origin], Total) ~ Dmnl ~ |
        Largest = VMAX(Firms[Origin!]) ~ firm ~ |
        Private One = Firms[PRIVATE] ~ firm ~ |
    """,
    "exceptions": """
        D: A, B, C ~~| E: x, y ~~| Sub: A, B ~~|
        v[D, E] :EXCEPT: [A, y] = Time + 1 ~ unit ~ Two pieces | v[A, y] = 7 ~~|
        S[D] :EXCEPT: [C] = INTEG(v[D, x] - S[D] * 0.1, 2) ~ unit ~ | S[C] = INTEG(1, 5) ~~|
        part[Sub] = v[Sub, y] * 2 ~ unit ~ |
        number[D] = D * 10 ~ Dmnl ~ |
        total[E] = SUM(v[D!, E] * S[D!]) ~ unit ~ |
    """,
    "lookups": """
        Effect((0,0.5),(1,0.75),(2.5,1.5)) ~ Dmnl ~ Effect of pressure |
        Curve[D]((0,0),(10,1)) ~ Dmnl ~ |
        Curves[D] = Curve[D](Time) ~ Dmnl ~ |
        D: A, B ~~|
        Pressure = Time / 4 ~ Dmnl ~ |
        by name = Effect(Pressure) * 2 + Effect(1 - Pressure) ~ Dmnl ~ |
        in place = WITH LOOKUP(Pressure, ((0,1),(1,2),(2,0))) ~ Dmnl ~ Table of its own |
        inside = 3 * WITH LOOKUP(Pressure * 2, ((0,1),(1,2),(4,0))) ~ Dmnl ~ |
        weight[D] = 1, 2 ~~| each[D] = WITH LOOKUP(Time * weight[D], ((0,1),(9,2))) ~ Dmnl ~ |
    """,
    "memory": """
        x = 3 + STEP(2, 3) ~ unit ~ | T = 2 ~ Year ~ |
        s1 = SMOOTH(x, T) ~ unit ~ | s1i = SMOOTHI(x, T, 1) ~ unit ~ | s3 = SMOOTH3(x, T) ~ unit ~ |
        s3i = SMOOTH3I(x, T, 1) ~ unit ~ | sn = SMOOTH N(x, T, 1, 2) ~ unit ~ |
        d1 = DELAY1(x, T) ~ unit ~ | d1i = DELAY1I(x, T, 1) ~ unit ~ | d3 = DELAY3(x, T) ~ unit ~ |
        dn = DELAY N(x, T, 1, 2) ~ unit ~ | df = DELAY FIXED(x, T, 1) ~ unit ~ |
        tr = TREND(x, T, 0.1) ~ 1/Year ~ | at start = INITIAL(Time + x) ~ unit ~ |
    """,
    "logic and time": """
        a = 2 ~~| b = 3 ~~| "R&D budget" = 1.5 ~ MUSD [?,9] ~ Quotes & signs < > |
        Note rate = 4 ~~| order = 5 ~~| and so on = 6 ~~| x1 = -3 ~~|
        c1 = IF THEN ELSE((a > b :AND: b > 1) :OR: a = 2, a, -b) ~~|
        c2 = 1 + IF THEN ELSE((a > b :OR: Time >= 5) :AND: :NOT: (a <> 2), IF THEN ELSE(a < b, 8, 9), 0) ~~|
        p = -a ^ 2 + (-a) ^ 2 + a ^ b ^ 2 + (a ^ b) ^ 2 + a ^ -b + x1 ^ 2 ~~|
        q = a - (b - "R&D budget") / (a * b) - -b * (a + b) ~~|
        r = Note rate + order * and so on + MODULO(17, 5) + INTEGER(7.9) + QUANTUM(7.9, 2) ~~|
        t = STEP(1, 2) + RAMP(0.5, 1, 4) + PULSE(3, 2) + PULSE TRAIN(1, 0.5, 2, 8) ~~|
        u = MAX(a, MIN(b, Time)) + EXP(-Time) + LN(Time + 1) + SQRT(a) + ABS(x1) + SIN(Time) + LOG(8, 2) ~~|
        w = XIDZ(a, Time, 5) + Time * TIME STEP + INITIAL TIME + FINAL TIME ~~|
        Level = INTEG(-(a - b) * 0.1, a) ~ unit ~ Net flow that is no sum of flows |
        Only = INTEG(-drain, 9) ~ unit ~ | drain = Only / 4 ~ unit/Year ~ |
    """,
}


def coarse(folder: Path, name: str) -> Path:
    """A copy of a bundled model with a step of 1/16 year, which is long for it: PySD takes its time for each."""
    text = bundled(name).read_text(encoding="utf-8")
    coarse, n = re.subn(r"(TIME STEP=\s+)[\d.]+", r"\g<1>0.0625", text)
    assert n == 1
    path = folder / "coarse.mdl"
    path.write_text(coarse, encoding="utf-8")
    return path


def by_numpy(model: Model) -> pd.DataFrame:
    """All variables at all saved times through the NumPy engine, by flat name."""
    from cipark_sd.simulations.simulation import simulate

    names = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
    run = simulate(model, save=names, engine="numpy")
    return pd.DataFrame(
        {
            flat_name(name, elements): run[name].to_numpy().reshape(run.sizes["time"], -1)[:, position]
            for name in names
            for position, elements in enumerate(model.elements(model.by_name[name]))
        },
        index=pd.Index(run["time"].to_numpy(), name="time"),
    )


def by_pysd(path: Path, final_time: float | None = None) -> pd.DataFrame:
    """All variables at all steps through PySD itself, which reads the file without our front end, by flat name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pysd

        load = pysd.read_vensim if path.suffix == ".mdl" else pysd.read_xmile
        loaded = load(str(path))
        table = loaded.run(final_time=final_time)
    table.columns = [_flat(column) for column in table.columns]
    return table.astype(float)


def by_simlin(path: Path) -> pd.DataFrame:
    """All variables at all saved times through pysimlin, by flat name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import simlin

        table = simlin.load(path).run().results
    table.columns = [_flat(column) for column in table.columns]
    return table


def _flat(column: str) -> str:
    name, bracket, elements = column.partition("[")
    return (
        canonical(name)
        + bracket
        + ",".join(canonical(e) for e in elements.rstrip("]").split(","))
        + "]" * bool(bracket)
    )


def differing(table: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """The expected columns that are missing or differ by more than rounding."""
    np.testing.assert_allclose(table.index, expected.index, rtol=1e-12, atol=1e-12)
    wrong = []
    for name in expected:
        b = expected[name].to_numpy()
        finite = np.isfinite(b)
        scale = np.abs(b[finite]).max(initial=0.0) or 1.0
        a = table[name].to_numpy() if name in table else np.full(len(b), np.nan)
        same_specials = name in table and np.array_equal(a[~finite], b[~finite], equal_nan=True)
        if not (same_specials and np.all(np.abs(a[finite] - b[finite]) <= ROUNDING * scale)):
            wrong.append(name)
    return wrong
