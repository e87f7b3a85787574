from __future__ import annotations

import os

import pytest
from jan_code.child import fault
from jan_code.running import CannotSay


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_where_it_failed() -> None:
    with pytest.raises(ValueError) as raised:
        fail()
    here, line = os.path.split(__file__)[0], fail.__code__.co_firstlineno + 1
    assert fault(raised.value, here) == {"file": __file__, "line": line, "error": "ValueError: no"}
    assert fault(raised.value, "/elsewhere")["file"] == ""
    assert "Unspeakable" in fault(Unspeakable(), "/")["error"]


def test_what_the_process_itself_refuses_is_told_as_it_is() -> None:
    assert fault(CannotSay("it gave too much"), "/")["error"] == "it gave too much"


def fail() -> str:
    raise ValueError("no")
