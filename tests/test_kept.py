"""Parts that are kept come back bit for bit, and only where they belong."""

from pathlib import Path

import numpy as np
import pytest

from calibration.kept import KEPT, Kept, digest_of

ARRAYS = {"theta": np.array([0.1, np.nan, -np.inf, 5e-324]), "count": np.array(7), "message": np.array("ended: <1>")}


def test_a_part_comes_back_bit_for_bit(tmp_path: Path) -> None:
    Kept(tmp_path, "a").save("search 1", ARRAYS)
    found = Kept(tmp_path, "a").load("search 1")
    assert found is not None
    assert {key: (value.dtype, value.tobytes()) for key, value in found.items()} == {
        key: (value.dtype, value.tobytes()) for key, value in ARRAYS.items()
    }


def test_a_part_is_not_found_under_another_digest_or_name(tmp_path: Path) -> None:
    Kept(tmp_path, "a").save("profile x/y", ARRAYS)
    assert Kept(tmp_path, "b").load("profile x/y") is None
    assert Kept(tmp_path, "a").load("profile x_y") is None


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "a")
    kept.save("part", ARRAYS)
    path = kept.path("part")
    assert path is not None
    path.write_bytes(path.read_bytes()[:50])
    assert kept.load("part") is None


def test_nothing_is_kept_without_a_folder() -> None:
    kept = Kept(None, "a")
    kept.save("part", ARRAYS)
    assert kept.load("part") is None


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="bad cannot be kept"):
        Kept(tmp_path, "a").save("part", {"bad": object()})
    assert not (tmp_path / KEPT).exists()


def test_the_digest_tells_kinds_apart() -> None:
    assert len({digest_of("1"), digest_of(1), digest_of(1, ""), digest_of(1.5)}) == 4
