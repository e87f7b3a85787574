from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from jan_audit_log.doctor import checks
from jan_audit_log.settings import Settings


def test_settings() -> None:
    assert Settings().file == "logs/audit.jsonl"
    for wrong in ({"file": "jan.toml"}, {"file": ".jsonl/"}, {"required": 1}, {"wait_seconds": 0}, {"more": 1}):
        with pytest.raises(pydantic.ValidationError):
            Settings.model_validate(wrong)


def test_the_import_is_light() -> None:
    code = "import sys, jan_audit_log; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "asyncio", "starlette", "json", "threading"} & set(run.stdout.split())


def test_the_doctor_says_whether_it_can_be_written(tmp_path: Path) -> None:
    (check,) = checks(tmp_path, Settings())
    path = tmp_path / "logs/audit.jsonl"
    assert "will be made" in check.run().why
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_text("")
    assert check.run().ok
    os.link(path, tmp_path / "second")
    verdict = check.run()
    assert (verdict.ok, "one name" in verdict.why) == (False, True)
    assert verdict.remedy.startswith("Move it away: mv ")
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    assert not check.run().ok
