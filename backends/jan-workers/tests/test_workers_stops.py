from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from jan_workers.stops import begun, found

TEXTS = st.text(alphabet="ab€", max_size=12)
STOPS = st.lists(st.text(alphabet="ab€", min_size=1, max_size=4), max_size=3)


def test_the_first_of_several_is_found() -> None:
    assert found("one two three", ["three", "two"]) == 4
    assert found("one two three", ["four"]) is None
    assert found("one", []) is None


def test_the_longest_beginning_counts() -> None:
    assert begun("say END", ["END."]) == 3
    assert begun("say END", ["D", "ND!", "x"]) == 2
    assert begun("say END", ["END"]) == 0  # whole, it is no beginning, and nothing shorter fits
    assert begun("", ["a"]) == begun("a", []) == 0


@given(TEXTS, STOPS, TEXTS)
def test_what_is_not_a_beginning_is_no_part_of_a_stop_string_whatever_follows(
    text: str, stops: list[str], more: str
) -> None:
    if found(text, stops) is None:
        at = found(text + more, stops)
        assert at is None or at >= len(text) - begun(text, stops)
