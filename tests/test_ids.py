from __future__ import annotations

import re
import time

from jan_core.ids import new_id, now


def test_an_id_has_its_prefix_and_length_and_does_not_repeat() -> None:
    ids = {new_id("msg_") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("msg_[0-9A-Za-z]{24}", one) for one in ids)
    assert re.fullmatch("chatcmpl-[0-9A-Za-z]{29}", new_id("chatcmpl-", 29))


def test_every_place_takes_every_character() -> None:
    ids = [new_id("", 24) for _ in range(3000)]
    for place in range(24):
        assert len({one[place] for one in ids}) == 62, place


def test_now_is_in_whole_seconds() -> None:
    assert isinstance(now(), int)
    assert abs(now() - time.time()) < 2
