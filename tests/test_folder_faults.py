from __future__ import annotations

import pytest

from jan_core.errors import InvalidRequest, NotFound, Unavailable
from jan_core.folder.faults import answered
from jan_core.folder.locks import Locked
from jan_core.folder.objects import Damaged, Oversized


def test_what_files_raise_becomes_an_answer() -> None:
    with pytest.raises(InvalidRequest) as damaged, answered("It was not read", param="thread_id"):
        raise Damaged("/root/threads/x/thread.json", 7, "the file is empty")
    assert "/root/threads/x/thread.json, line 7: the file is empty" in damaged.value.message
    assert (damaged.value.code, damaged.value.param) == ("damaged_file", "thread_id")
    with pytest.raises(InvalidRequest) as oversized, answered("The run was not changed", param="run_id"):
        raise Oversized(20, 16)
    assert oversized.value.message == "The run was not changed: its file would have 20 bytes, and 16 are the most."
    assert (oversized.value.code, oversized.value.param) == ("object_too_large", "run_id")
    with pytest.raises(Unavailable) as full, answered("It was not stored"):
        raise OSError(28, "No space left on device", "/root/x")
    assert full.value.message == "It was not stored: /root/x: No space left on device."
    with pytest.raises(Unavailable, match="It was not stored: somebody"), answered("It was not stored"):
        raise Locked("somebody writes")


def test_other_errors_pass() -> None:
    for error in (NotFound("there is none"), ValueError("a defect")):
        with pytest.raises(type(error)) as caught, answered("It was not read"):
            raise error
        assert caught.value is error
