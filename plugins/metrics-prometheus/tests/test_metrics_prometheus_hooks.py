from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from jan_metrics_prometheus.settings import Settings

from jan_core.refusal import Refusal
from jan_core.testing.wired import wired

from .conftest import PLUGIN


def test_settings() -> None:
    assert Settings().path == "/metrics"
    for wrong in ({"path": "metrics"}, {"path": "/a{b}"}, {"path": "/"}, {"models": 0}, {"process": 1}, {"more": 1}):
        with pytest.raises(pydantic.ValidationError):
            Settings.model_validate(wrong)


def test_a_bad_setting_is_told_with_where_and_what(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text('[metrics-prometheus]\npaht = "/m"\n')
    with pytest.raises(Refusal) as caught:
        wired(tmp_path, plugins=PLUGIN)
    assert "line 2" in caught.value.asked
    assert "did you mean 'path'" in caught.value.remedy


def test_the_import_is_light() -> None:
    code = "import sys, jan_metrics_prometheus; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "prometheus_client", "asyncio", "starlette", "json"} & set(run.stdout.split())


def test_a_command_does_not_load_the_client_library(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from jan_core.testing.wired import wired; "
        f"wired(pathlib.Path({str(tmp_path)!r}), plugins={PLUGIN!r}); print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "jan_metrics_prometheus.measured" in run.stdout.split()
    assert "prometheus_client" not in run.stdout.split()
