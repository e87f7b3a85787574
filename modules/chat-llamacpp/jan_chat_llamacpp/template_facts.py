"""What a chat template can do, told by its text; it is rendered in the worker only.

A wrong guess costs quality, never form: what an answer must look like is enforced by a grammar in every case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

THOUGHT = ("<think>", "</think>")
"""What thoughts stand between, in the templates that mark them so."""

_TOOLS = re.compile(r"\btools\b")
_SAME = re.compile(r"<tool_call>.*\barguments\b", re.DOTALL)
_OTHER = re.compile(r"<function=|<arg_key>|<parameter")
_LONGEST = 1 << 20


@dataclass(frozen=True)
class TemplateFacts:
    """What a template can do."""

    tools: Literal["none", "same", "other"]
    """Whether it shows tools to the model and takes calls and results; and whether calls have the form of `call_text`,
    or another one, which the engine knows."""
    thoughts: Literal["none", "may", "must"]
    """Whether an answer begins with thoughts: never, as the model likes, or always, being opened in the prompt."""
    can_stop_thinking: bool
    """It takes `enable_thinking`."""
    effort: bool
    """It takes `reasoning_effort`."""


def template_facts(location: ModelLocation) -> TemplateFacts:
    """What a model's template can do; `settings.chat_template` of its `model.json` goes before its own."""
    text = location.settings.get("chat_template") or location.metadata.get("chat_template")
    return _facts(text[:_LONGEST] if isinstance(text, str) else "")


@lru_cache(maxsize=16)
def _facts(text: str) -> TemplateFacts:
    thoughts: Literal["none", "may", "must"] = "none"
    if THOUGHT[1] in text:
        end = text[text.rfind("add_generation_prompt") :] if "add_generation_prompt" in text else ""
        thoughts = "must" if end.rfind(THOUGHT[0]) > end.rfind(THOUGHT[1]) else "may"
    elif text.rfind(THOUGHT[0]) > text.rfind("add_generation_prompt") >= 0:
        thoughts = "must"
    tools: Literal["none", "same", "other"] = "none"
    if _TOOLS.search(text):
        tools = "same" if _SAME.search(text) and not _OTHER.search(text) else "other"
    return TemplateFacts(
        tools=tools,
        thoughts=thoughts,
        can_stop_thinking="enable_thinking" in text,
        effort="reasoning_effort" in text,
    )
