"""The field's common suite of test models, written in the other language and read back: the same bits, or a reason.

``CIPARK_TEST_MODELS`` names the suite's folder (SDXorg's test-models); without it nothing here runs.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from cipark_sd.base.errors import CiparkError
from cipark_sd.language.read.model_file import read_model
from cipark_sd.language.write.mdl import write_mdl
from cipark_sd.language.write.xmile import write_xmile
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Lookup
from cipark_sd.simulations.simulation import simulate

SUITE = os.environ.get("CIPARK_TEST_MODELS", "")
pytestmark = pytest.mark.skipif(not SUITE, reason="CIPARK_TEST_MODELS names no folder")

#: What is refused, by the words of the message that say what the other language cannot say.
REFUSED = {
    "tests/delay_pipeline/test_pipeline_delays.mdl": "of which Vensim has other stages",
    "tests/delays/test_delays.mdl": "of which Vensim has other stages",
    "tests/smooth/test_smooth.mdl": "of which Vensim has other stages",
    "tests/subscripted_smooth/test_subscripted_smooth.mdl": "of which Vensim has other stages",
    "tests/vector_order/test_vector_order.mdl": "raw",
    "tests/data_from_other_model/test_data_from_other_model.mdl": "raw",
}
#: Files that take data, as their folder's own text says.
SERIES = {"tests/data_from_other_model/test_data_from_other_model.mdl": "data.tab"}
#: What is written by other operations, and so differs in the last bit of a unit: which operations.
ROUNDED = {
    "tests/subscripted_trig/test_subscripted_trig.mdl": "SINH, COSH and TANH, which XMILE lacks, are exponentials",
}


def _files() -> list[str]:
    folder = Path(SUITE)
    found = (path for path in folder.rglob("*") if path.suffix.lower() in (".mdl", ".xmile", ".stmx")) if SUITE else ()
    return sorted(path.relative_to(folder).as_posix() for path in found)


@pytest.mark.parametrize("file", _files())
@pytest.mark.filterwarnings("ignore:.*is never closed", "ignore:.*under Vensim's name")
def test_a_model_of_the_suite_is_the_same_in_the_other_language(file: str, tmp_path: Path) -> None:
    try:
        series = [(Path(SUITE) / file).with_name(SERIES[file])] if file in SERIES else []
        model = read_model(Path(SUITE) / file, series=series)
        names = [v.name for v in model.variables if not isinstance(v, Lookup) and v.name not in CONTROL]
        before = simulate(model, save=names, engine="numpy")
    except CiparkError as problem:
        pytest.skip(f"does not run: {problem}")
    to_xmile = file.lower().endswith(".mdl")
    path = tmp_path / ("again.xmile" if to_xmile else "again.mdl")
    write = write_xmile if to_xmile else write_mdl
    if file in REFUSED:
        with pytest.raises(CiparkError, match=re.escape(REFUSED[file])):
            write(model, path)
        return
    write(model, path)
    after = simulate(read_model(path), save=names, engine="numpy")
    for name in before.data_vars:
        was, became = before[name].to_numpy(), after[name].to_numpy()
        if file in ROUNDED:
            assert np.allclose(was, became, rtol=1e-15, atol=1e-15, equal_nan=True), name
        else:
            assert np.array_equal(was, became, equal_nan=True), name


def test_every_reason_is_of_a_file() -> None:
    assert {*REFUSED, *ROUNDED} <= set(_files())
