from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.template_facts import TemplateFacts, template_facts

from jan_core.schemas.models import ModelLocation

BASE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
SHOWN = "{% if tools %}{{ tools | tojson }}<tool_call>{'name': …, 'arguments': …}</tool_call>{% endif %}"
START = "{% if add_generation_prompt %}assistant: {% endif %}"
OPENED = "{% if add_generation_prompt %}assistant: <think>\n{% endif %}"
NO_THOUGHTS = "{% if enable_thinking is false %}<think>\n\n</think>{% endif %}"
EMPTY = "{% if add_generation_prompt %}assistant: " + NO_THOUGHTS + "{% endif %}"
KEPT = "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"


def facts(metadata: Any = None, settings: Any = None) -> TemplateFacts:
    given = {"metadata": {"chat_template": metadata}, "settings": {"chat_template": settings}}
    return template_facts(ModelLocation(id="m", path="/m.gguf", size=1, revision="1", **given))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE + START, TemplateFacts("none", "none", False, False)),
        (SHOWN + BASE + START, TemplateFacts("same", "none", False, False)),
        ("{{ tools | tojson }}" + BASE + START, TemplateFacts("other", "none", False, False)),
        (SHOWN + "<function=x>" + BASE + START, TemplateFacts("other", "none", False, False)),
        (BASE + "my_tools", TemplateFacts("none", "none", False, False)),
        (BASE + KEPT + START, TemplateFacts("none", "may", False, False)),
        (BASE + KEPT + OPENED, TemplateFacts("none", "must", False, False)),
        (BASE + OPENED, TemplateFacts("none", "must", False, False)),
        (BASE + EMPTY, TemplateFacts("none", "may", True, False)),
        (BASE + "{{ reasoning_effort }}" + START, TemplateFacts("none", "none", False, True)),
        ("", TemplateFacts("none", "none", False, False)),
        (None, TemplateFacts("none", "none", False, False)),
        (5, TemplateFacts("none", "none", False, False)),
    ],
)
def test_what_a_template_can_do(text: Any, expected: TemplateFacts) -> None:
    assert facts(metadata=text) == expected


def test_the_template_of_model_json_goes_first() -> None:
    assert facts(metadata=BASE, settings=SHOWN).tools == "same"
