from __future__ import annotations

import sys

from jan_core.switching import SECONDS, quick_switching


def test_a_thread_waits_less_while_the_block_runs() -> None:
    before = sys.getswitchinterval()
    with quick_switching():
        assert sys.getswitchinterval() <= SECONDS * 1.01
    assert sys.getswitchinterval() == before


def test_who_has_set_less_keeps_it() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SECONDS / 2)
    try:
        with quick_switching():
            assert sys.getswitchinterval() <= SECONDS * 0.51
    finally:
        sys.setswitchinterval(before)
