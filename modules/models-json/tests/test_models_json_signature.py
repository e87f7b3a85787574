from __future__ import annotations

import os
import time
from pathlib import Path

from jan_models_json.signature import COARSE_TICK, TICK, is_settled, signature


def test_what_changes_shows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    found = [signature(str(path))]
    os.utime(path, ns=(5, 5))
    found.append(signature(str(path)))
    path.write_bytes(b"22")
    found.append(signature(str(path)))
    other = tmp_path / "b"
    other.write_bytes(b"22")
    os.replace(other, path)
    found.append(signature(str(path)))
    path.unlink()
    found.append(signature(str(path)))
    assert len(set(found)) == 5
    assert found[-1] is None
    assert signature("a\x00b") is None


def test_a_fresh_file_is_not_settled_and_an_old_one_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    now = time.time_ns()
    assert not is_settled(signature(str(path)), now)
    assert is_settled(signature(str(path)), now + 2 * COARSE_TICK)
    assert is_settled(None, now)


def test_whole_seconds_wait_longer() -> None:
    second = 1_700_000_000_000_000_000
    fine, coarse = (second + 5, 1, 1, second + 5), (second, 1, 1, second)
    assert not is_settled(fine, second + TICK)
    assert is_settled(fine, second + TICK + 10)
    assert not is_settled(coarse, second + COARSE_TICK)
    assert is_settled(coarse, second + COARSE_TICK + 1)
    assert is_settled(coarse, second - COARSE_TICK - 1)  # the clock of another machine, hours ahead
