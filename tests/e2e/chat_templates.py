"""Chat templates that the real model does not have, for `settings.chat_template` of a `model.json`."""

from __future__ import annotations

_START = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
_TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
_SHOWN = "{% if tools %}<|im_start|>system\nTools:\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"

SAME_TOOLS = (
    _SHOWN
    + 'Call: <tool_call>\n{"name": "…", "arguments": {…}}\n</tool_call><|im_end|>\n{% endif %}'
    + "{% for m in messages %}{% if m.role == 'assistant' and m.tool_calls %}<|im_start|>assistant\n{{ m.content }}"
    + "{% for call in m.tool_calls %}<tool_call>\n"
    + '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    + "{% endfor %}<|im_end|>\n{% elif m.role == 'tool' %}<|im_start|>user\n<tool_response>{{ m.content }}"
    + "</tool_response><|im_end|>\n{% else %}"
    + _TURN
    + "{% endif %}{% endfor %}"
    + _START
)
"""Shows tools, and has calls written as they are written where a template knows none."""

OTHER_TOOLS = SAME_TOOLS.replace("tool_call>", "invoke>")
"""Shows tools, and has calls written in a way that only the engine knows."""

_EXAMPLE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\nEasy.\n</think>\n\n{}<|im_end|>\n"
_EXAMPLES = "".join(_EXAMPLE.format(asked, said) for asked, said in [("1 + 1", "Two."), ("2 + 2", "Four.")] * 2)

OPENED_THOUGHTS = (
    _EXAMPLES
    + "{% for m in messages %}"
    + _TURN
    + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""Every answer begins with thoughts; with examples, so that a small model ends them."""

CHOSEN_THOUGHTS = (
    _EXAMPLES
    + "{% for m in messages %}"
    + "{% if m.reasoning_content %}<|im_start|>assistant\n<think>\n{{ m.reasoning_content }}\n</think>\n\n"
    + "{{ m.content }}<|im_end|>\n{% else %}"
    + _TURN
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""The model thinks where it likes to, unless `enable_thinking` is false."""
