from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jan_chat_llamacpp.thoughts import ThoughtReader

CASES = [
    ("<think>\nhm hm\n</think>\n\n5", False, ("hm hm", "5")),
    ("\n<think>hm</think>5", False, ("hm", "5")),
    ("<think>\n\n</think>\n\n5", False, ("", "5")),
    ("5 <think>", False, ("", "5 <think>")),
    ("\n 5", False, ("", "\n 5")),
    ("<thin", False, ("", "<thin")),
    ("", False, ("", "")),
    ("hm\n</think>\n5", True, ("hm", "5")),
    ("<think>\nhm\n</think>\n5", True, ("hm", "5")),
    ("hm, <b>so</b> 2 < 3\n</think>5</think>", True, ("hm, <b>so</b> 2 < 3", "5</think>")),
    ("hm </thi", True, ("hm </thi", "")),
    (" \n", True, ("", "")),
    ("<th", True, ("<th", "")),
]


@pytest.mark.parametrize(("text", "opened", "expected"), CASES)
@given(data=st.data())
def test_thoughts_and_answer_however_they_are_cut(
    text: str, opened: bool, expected: tuple[str, str], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    reader = ThoughtReader(opened)
    found = [reader.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found.append(reader.end())
    assert ("".join(one[0] for one in found), "".join(one[1] for one in found)) == expected


def test_nothing_is_held_back_without_need() -> None:
    reader = ThoughtReader(opened=False)
    assert reader.feed("<think>\nhm") == ("hm", "")
    assert not reader.answering
    assert reader.feed(" so <") == (" so", "")
    assert reader.feed("b> </think>") == (" <b>", "")
    assert reader.feed("\n\n5") == ("", "5")
    assert reader.answering
    assert reader.feed(" <think>") == ("", " <think>")
