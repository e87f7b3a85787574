from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from jan_workers.memory import machine_memory, process_memory

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="control groups and /proc are Linux's")


def test_the_machine_has_some() -> None:
    found = machine_memory()
    assert found is not None
    assert 1 << 26 < found < 1 << 50


def limits(tmp_path: Path, lines: str, **files: str) -> int | None:
    own = tmp_path / "cgroup"
    own.write_text(lines)
    for name, text in files.items():
        path = (
            tmp_path / "groups" / name.replace("__", "/").replace("_max", ".max").replace("_limit", ".limit_in_bytes")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return machine_memory(own, tmp_path / "groups")


@LINUX
def test_control_groups_of_version_2_allow_less_and_the_tightest_around_counts(tmp_path: Path) -> None:
    assert limits(tmp_path, "0::/a/b\n", a__b__memory_max="300000000\n", a__memory_max="200000000\n") == 200_000_000


@LINUX
def test_control_groups_of_version_1_allow_less(tmp_path: Path) -> None:
    lines = "5:cpu:/x\n4:memory:/docker/x\n"
    assert limits(tmp_path, lines, memory__docker__x__memory_limit="100000000") == 100_000_000


@LINUX
def test_in_a_container_the_path_is_one_of_the_hosts_and_the_limit_stands_at_the_top(tmp_path: Path) -> None:
    assert limits(tmp_path, "4:memory:/docker/x\n", memory__memory_limit="70000000") == 70_000_000


@LINUX
@pytest.mark.parametrize("text", ["max\n", "9223372036854771712", "nonsense"])
def test_no_limit_is_the_machines(tmp_path: Path, text: str) -> None:
    everything = machine_memory(tmp_path / "none", tmp_path / "none")
    assert limits(tmp_path, "0::/\n", memory_max=text) == everything


@LINUX
def test_a_process_holds_memory_until_it_has_gone() -> None:
    found = process_memory(os.getpid())
    assert found is not None
    assert found > 5 << 20
    assert process_memory(2**22 + 1) is None
