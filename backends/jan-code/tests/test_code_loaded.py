from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jan_code.loaded import LONGEST, RunFailed, broken_code, check_ended
from jan_code.source import find

from jan_core.folder.layout import Layout


def test_a_run_that_ended_well() -> None:
    check_ended({"number": 3, "output": ""}, 3)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            {"number": 3, "error": "ValueError: no", "file": "/a/index.py", "line": 5},
            "ValueError: no (/a/index.py, line 5).",
        ),
        ({"number": 3, "error": "it gave too much", "file": "", "line": 0}, "run failed: it gave too much."),
        ({"number": 4, "output": ""}, "run failed: None."),
        ({"number": 3, "output": None}, "run failed: None."),
        ({"number": 3, "error": "half \ud800"}, "run failed: half ?."),
    ],
)
def test_one_that_did_not(answer: dict[str, Any], why: str) -> None:
    with pytest.raises(RunFailed) as error:
        check_ended(answer, 3)
    assert error.value.message.startswith("The assistant's own run failed: ")
    assert error.value.message.endswith(why)


def test_a_long_error_is_cut() -> None:
    with pytest.raises(RunFailed) as error:
        check_ended({"error": "x" * 10_000}, 3)
    assert len(error.value.message) < LONGEST + 100


def test_code_that_cannot_be_loaded(tmp_path: Path) -> None:
    index = tmp_path / "assistants" / "a" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text("")
    source = find(Layout(tmp_path), "a")
    assert source is not None
    told = broken_code(source, {"file": "/a/src/b.py", "line": 3, "error": "NameError: x"}).message
    assert told == "The code of the assistant cannot be used: /a/src/b.py:3: NameError: x."
    assert "`jan assistants install a`" in broken_code(source, {"error": "ModuleNotFoundError: y"}).message
    assert str(index) in broken_code(source, "nonsense").message
