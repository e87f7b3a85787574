from __future__ import annotations

import json
import subprocess
import sys

import pytest

GIVEN = {"memory": 1 << 30, "file": 1 << 20, "processes": 0}
CODE = """\
import json, resource, sys
from jan_code.holding import limit
limit(json.loads(sys.argv[1]), *sys.argv[2:])
kinds = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE")
print(json.dumps([resource.getrlimit(getattr(resource, kind))[1] for kind in kinds]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system holds fewer of them")
def test_a_process_limits_itself_for_good() -> None:
    def held(*more: str, **changed: int) -> list[int]:
        command = [sys.executable, "-c", CODE, json.dumps({**GIVEN, **changed}), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return list(json.loads(done.stdout))

    space, data, *others = held()
    assert (space, others) == (1 << 30, [1 << 20, 0, 256])
    space_then, data_then, *others = held("RLIMIT_DATA")
    assert (space_then == 1 << 30, data_then, others) == (False, 1 << 30, [1 << 20, 0, 256])
    assert data != 1 << 30
