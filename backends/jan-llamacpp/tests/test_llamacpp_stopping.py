from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jan_llamacpp.stopping import Stopping

PROMPT = 7


def written(index: int, tokens: list[str], *, chat: bool, reason: str = "length") -> list[dict[str, Any]]:
    """What the engine writes for one answer, with a logprob for each token."""
    found: list[dict[str, Any]] = []
    for number, token in enumerate(tokens, 1):
        says: dict[str, Any] = {"delta": {"content": token}} if chat else {"text": token}
        logprobs = {"content": [{"token": token}]}
        timings = {"cache_n": 2, "prompt_n": PROMPT - 2, "predicted_n": number}
        choice = {"index": index, "finish_reason": None, "logprobs": logprobs, **says}
        found.append({"choices": [choice], "timings": timings})
    end: dict[str, Any] = {"index": index, "finish_reason": reason, **({"delta": {}} if chat else {"text": ""})}
    usage = {"completion_tokens": len(tokens), "prompt_tokens": PROMPT}
    if chat:
        return [*found, {"choices": [end]}, {"choices": [], "usage": usage}]
    return [*found, {"choices": [end], "usage": usage}]


class Told:
    """What a caller is told of the engine's pieces; `left` are the pieces that the engine need not have written."""

    def __init__(self, stopping: Stopping, pieces: Iterable[dict[str, Any]]) -> None:
        self.text: dict[int, str] = {}
        self.tokens: dict[int, list[str]] = {}
        self.reason: dict[int, str] = {}
        self.usage: list[tuple[int, int]] = []
        self.left = list(pieces)
        while self.left and not stopping.over:
            for raw in stopping.take(json.dumps(self.left.pop(0)).encode()):
                self._add(json.loads(raw))

    def _add(self, piece: dict[str, Any]) -> None:
        for choice in piece["choices"]:
            index = choice["index"]
            assert index not in self.reason, "told after its end"
            told = choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
            self.text[index] = self.text.get(index, "") + told
            said = (choice.get("logprobs") or {}).get("content", [])
            self.tokens.setdefault(index, []).extend(one["token"] for one in said)
            if choice["finish_reason"]:
                self.reason[index] = choice["finish_reason"]
        if "usage" in piece:
            self.usage.append((piece["usage"]["prompt_tokens"], piece["usage"]["completion_tokens"]))


def watched(stop: Any, chat: bool, *answers: list[str], reason: str = "length") -> Told:
    stopping = Stopping({"stop": stop, "n": len(answers)}, chat=chat)
    return Told(stopping, [p for i, one in enumerate(answers) for p in written(i, one, chat=chat, reason=reason)])


@pytest.mark.parametrize("chat", [True, False])
def test_the_engine_is_asked_for_counts_and_not_to_stop(chat: bool) -> None:
    request = {"stop": "x", "n": 1}
    Stopping(request, chat=chat)
    assert request == {"n": 1, "timings_per_token": True}


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("reason", ["length", "stop"])
def test_what_is_held_back_at_the_end_is_told(chat: bool, reason: str) -> None:
    told = watched([" b c!", "c d"], chat, ["a", " b", " c"], reason=reason)
    assert (told.text, told.reason, told.usage) == ({0: "a b c"}, {0: reason}, [(PROMPT, 3)])
    assert told.tokens == {0: ["a", " b", " c"]}


@pytest.mark.parametrize("chat", [True, False])
def test_a_stop_string_ends_an_answer_before_it_and_its_tokens_count(chat: bool) -> None:
    told = watched("c d", chat, ["a", " b", " c", " d", " e"])
    assert (told.text, told.reason, told.usage) == ({0: "a b "}, {0: "stop"}, [(PROMPT, 4)])
    assert told.tokens == {0: ["a", " b", " c"]}  # the token of which a part is told is told
    assert len(told.left) == (3 if chat else 2)


@pytest.mark.parametrize("chat", [True, False])
def test_each_of_several_answers_ends_by_itself(chat: bool) -> None:
    first, second = written(0, ["a", "X", "b"], chat=chat), written(1, ["c", "d", "e", "f", "X", "g"], chat=chat)
    mixed = [*first[:2], *second[:2], *first[2:], *second[2:]]
    told = Told(Stopping({"stop": ["X", ""], "n": 2}, chat=chat), mixed)
    assert (told.text, told.reason) == ({0: "a", 1: "cdef"}, {0: "stop", 1: "stop"})
    assert told.usage == [(PROMPT, 2), (PROMPT, 5)]
    assert len(told.left) == (3 if chat else 2)


@pytest.mark.parametrize("chat", [True, False])
def test_the_engine_is_ended_where_only_an_answer_that_was_stopped_goes_on(chat: bool) -> None:
    stopped, whole = written(0, ["a", "X", "b", "b"], chat=chat), written(1, ["c"], chat=chat)
    told = Told(Stopping({"stop": "X", "n": 2}, chat=chat), [*stopped[:2], *whole, *stopped[2:]])
    assert (told.text, told.reason) == ({0: "a", 1: "c"}, {0: "stop", 1: "length"})
    assert told.usage == [(PROMPT, 2), (PROMPT, 1)]
    assert told.left == stopped[2:]


@pytest.mark.parametrize("prompt", ["text", [1, 2], ["a", "b"], [[1], [2, 3]]])
def test_several_prompts_have_several_answers(prompt: Any) -> None:
    stopping = Stopping({"stop": "X", "prompt": prompt, "n": 2}, chat=False)
    answers = 4 if prompt in (["a", "b"], [[1], [2, 3]]) else 2
    for index in range(answers):
        assert not stopping.over
        for piece in written(index, ["a", "X"], chat=False)[:2]:
            list(stopping.take(json.dumps(piece).encode()))
    assert stopping.over


def test_calls_and_thoughts_are_told_at_once_and_after_the_text_before_them() -> None:
    def says(**delta: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "finish_reason": None, "delta": delta}]}

    stopping = Stopping({"stop": "XY"}, chat=True)
    told = [[json.loads(one) for one in stopping.take(json.dumps(piece).encode())] for piece in (
        says(role="assistant", content=None), says(reasoning_content="XY"), says(content="X"),
        says(tool_calls=[{"index": 0}]),
    )]  # fmt: skip
    assert told == [
        [says(role="assistant", content=None)], [says(reasoning_content="XY")], [],
        [says(content="X"), says(tool_calls=[{"index": 0}])],
    ]  # fmt: skip


def test_progress_and_refusals_go_through() -> None:
    stopping = Stopping({"stop": "X"}, chat=False)
    for piece in ({"error": {"message": "no"}}, {"choices": [{"index": 0, "finish_reason": None, "text": ""}]}):
        raw = json.dumps(piece).encode()
        assert list(stopping.take(raw)) == [raw]


@given(
    st.lists(st.text(alphabet="ab ", min_size=1, max_size=3), max_size=10),
    st.lists(st.text(alphabet="ab ", min_size=1, max_size=4), min_size=1, max_size=3),
    st.booleans(),
)
def test_the_text_is_what_comes_before_the_first_stop_string(tokens: list[str], stops: list[str], chat: bool) -> None:
    told = watched(stops, chat, tokens)
    # A string counts once it is whole: of two, the one that ends first.
    whole, count = "", 0
    for token in tokens:
        whole, count = whole + token, count + 1
        if any(stop in whole for stop in stops):
            at = min(whole.find(stop) for stop in stops if stop in whole)
            assert (told.text[0], told.reason, told.usage) == (whole[:at], {0: "stop"}, [(PROMPT, count)])
            assert whole[:at].startswith("".join(told.tokens[0][:-1]))
            return
    assert (told.text.get(0, ""), told.reason, told.usage) == (whole, {0: "length"}, [(PROMPT, count)])
    assert told.tokens.get(0, []) == tokens
