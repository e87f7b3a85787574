from __future__ import annotations

import sys

import pytest
from jan_code import limits
from jan_code.settings import CodeSettings

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of processes is Linux's")


def test_a_limit_of_processes_counts_from_now_where_the_system_counts_from_nought() -> None:
    settings = CodeSettings(processes=5)
    assert limits.of(settings, walls=True)["processes"] == 5
    assert limits.of(settings, walls=False)["processes"] > 5
    assert limits.own_threads() > 0


def test_sizes_are_in_bytes() -> None:
    found = limits.of(CodeSettings(memory_mib=64, output_bytes=2048), walls=True)
    assert (found["memory"], found["output"]) == (64 << 20, 2048)
