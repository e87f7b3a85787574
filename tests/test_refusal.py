from __future__ import annotations

from jan_core.refusal import Refusal


def test_a_refusal_tells_its_four_facts() -> None:
    refusal = Refusal('chat = "x" (jan.toml, line 3)', "no such", "pip install x", answers="jan-x 1, entry point x")
    assert refusal.facts() == {
        "asked": 'chat = "x" (jan.toml, line 3)',
        "answers": "jan-x 1, entry point x",
        "cause": "no such",
        "remedy": "pip install x",
    }
    assert str(refusal).splitlines() == [
        'asked:   chat = "x" (jan.toml, line 3)',
        "answers: jan-x 1, entry point x",
        "cause:   no such",
        "remedy:  pip install x",
    ]


def test_where_nothing_answers_the_line_is_left_out() -> None:
    assert str(Refusal("a", "b", "c")).splitlines() == ["asked:   a", "cause:   b", "remedy:  c"]
