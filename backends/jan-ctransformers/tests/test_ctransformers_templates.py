from __future__ import annotations

import pytest
from jan_ctransformers.templates import OF_TYPE, STOPS, TEMPLATES
from jan_workers.template import check, environment, render

TURNS = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "how are you"},
]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_shows_every_message_in_order(name: str) -> None:
    check(TEMPLATES[name])
    shown = render(environment().from_string(TEMPLATES[name]), TURNS, bos_token="<s>", eos_token="</s>")
    places = [shown.index(turn["content"]) for turn in TURNS]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("chatml", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"),
        ("alpaca", "### Instruction:\nhi\n\n### Response:\n"),
        ("llama-2", "<s>[INST] hi [/INST]"),
        ("vicuna", "USER: hi ASSISTANT:"),
        ("zephyr", "<|user|>\nhi</s>\n<|assistant|>\n"),
    ],
)
def test_what_the_best_known_look_like(name: str, shown: str) -> None:
    template = environment().from_string(TEMPLATES[name])
    assert render(template, TURNS[1:2], bos_token="<s>", eos_token="</s>") == shown


def test_names_are_names() -> None:
    assert STOPS.keys() | set(OF_TYPE.values()) <= TEMPLATES.keys()
