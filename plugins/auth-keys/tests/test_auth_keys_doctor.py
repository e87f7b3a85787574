from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jan_core.check import Verdict
from jan_core.testing.wired import wired

MakeKey = Callable[..., str]


def verdicts(path: Path) -> dict[str, Verdict]:
    """What each check says, under the last word of its name."""
    jan = wired(path.parent, plugins={"auth-keys": "jan_auth_keys"})
    found = {check.name.split()[-1]: check.run() for check in jan.checks() if check.name.startswith("auth-keys: ")}
    assert list(found) == ["valid", "understood", "only"]
    return found


def test_all_is_well(path: Path, make_key: MakeKey) -> None:
    make_key("a", "chat", "auth-keys:read", "*:read")
    make_key("b")
    make_key("gone", seconds=-1)
    found = verdicts(path)
    assert all(one.ok for one in found.values())
    assert found["valid"].why == "2 keys are valid. Expired: gone."


def test_there_is_no_key(path: Path, make_key: MakeKey) -> None:
    found = verdicts(path)
    assert [one.ok for one in found.values()] == [False, True, True]
    assert found["valid"].remedy == "jan keys add NAME"
    make_key("gone", seconds=-1)
    assert "holds no key that is valid. Expired: gone." in verdicts(path)["valid"].why


def test_what_is_not_understood_is_named(path: Path, make_key: MakeKey) -> None:
    make_key("a", "chat", "thraeds:read")
    path.write_text(path.read_text() + "[keys.b]\nexpire = 1\n")
    path.chmod(0o600)
    found = verdicts(path)
    assert [one.ok for one in found.values()] == [True, False, True]
    assert "'b' counts for nothing" in found["understood"].why
    assert "'a' may use 'thraeds', which is not served here" in found["understood"].why
    path.write_text("[keys")
    assert [one.ok for one in verdicts(path).values()][:2] == [False, False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_a_file_that_others_may_open(path: Path, make_key: MakeKey) -> None:
    make_key()
    path.chmod(0o640)
    found = verdicts(path)["only"]
    assert (found.ok, found.remedy) == (False, f"chmod 600 {path}")
    assert "may read" in found.why
