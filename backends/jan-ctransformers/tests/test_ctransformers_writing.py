from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jan_ctransformers.writing import Writing


@given(st.text(), st.lists(st.text(min_size=1, max_size=4), max_size=3), st.lists(st.integers(1, 5), max_size=30))
def test_however_the_bytes_are_cut_the_text_is_the_same(said: str, stops: list[str], cuts: list[int]) -> None:
    data = said.encode("utf-8", "surrogatepass") if said.isascii() else said.encode("utf-8", "replace")
    whole = data.decode("utf-8", "replace")
    writing, shown, at = Writing(stops), "", 0
    for length in [*cuts, len(data)]:
        if at < len(data) and not writing.stopped:
            shown += writing.add(data[at : at + length])
            at += length
    shown += writing.rest()
    places = [whole.find(stop) for stop in stops if stop in whole]
    assert writing.stopped == bool(places)
    assert not places or len(shown) <= max(places)
    assert whole.startswith(shown)
    assert places or shown == whole
    assert not any(stop in shown for stop in stops)


def test_half_a_character_at_the_end_is_left_out() -> None:
    writing = Writing([])
    assert writing.add("né".encode()[:2]) == "n"
    assert writing.rest() == ""


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert Writing([]).add(b"a\xffb") == "a�b"


@pytest.mark.parametrize("stops", [[], ["x"], ["€uro"]])
def test_text_comes_as_soon_as_it_can(stops: list[str]) -> None:
    writing = Writing(stops)
    assert [writing.add(bytes([byte])) for byte in "a€b".encode()] == (
        ["a", "", "", "€", "b"] if stops != ["€uro"] else ["a", "", "", "", "€b"]
    )
