from __future__ import annotations

from jan_ctransformers.counting import Counting

from jan_core.call import Call


def test_a_prompt_counts_once_and_answers_add_up() -> None:
    context = Call("req_x")
    counting = Counting(context)
    for index, cached in enumerate((2, 6)):
        counting.add({"prompt_tokens": 7, "cached_tokens": cached}, index)
        for written in (1, 2, 3):
            counting.add({"text": "a", "completion_tokens": written}, index)
    usage = counting.usage()
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (7, 6, 13)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 2
    assert (context.prompt_tokens, context.completion_tokens) == (7, 6)


def test_several_prompts_add_up() -> None:
    counting = Counting(None)
    for prompt in range(3):
        counting.add({"prompt_tokens": prompt, "cached_tokens": 1}, prompt, prompt)
    assert (counting.usage().prompt_tokens, counting.usage().completion_tokens) == (3, 0)
