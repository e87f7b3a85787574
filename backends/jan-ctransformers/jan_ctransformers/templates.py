"""Chat templates by name, for models whose files hold none: `settings.chat_template` of `model.json` names one."""

from __future__ import annotations

_TURN = "{% for m in messages %}{% if m.role == 'system' %}"
_ANSWER = "{% if add_generation_prompt %}"

TEMPLATES: dict[str, str] = {
    "alpaca": (
        _TURN + "{{ m.content }}\n\n{% elif m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
        "{% else %}### Response:\n{{ m.content }}\n\n{% endif %}{% endfor %}" + _ANSWER + "### Response:\n{% endif %}"
    ),
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        + _ANSWER
        + "<|im_start|>assistant\n{% endif %}"
    ),
    "dolly": (
        _TURN + "{{ m.content }}\n\n{% elif m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n"
        "{% else %}### Response:\n{{ m.content }}\n\n### End\n\n{% endif %}{% endfor %}"
        + _ANSWER
        + "### Response:\n{% endif %}"
    ),
    "llama-2": (
        "{% set ns = namespace(system='') %}" + _TURN + "{% set ns.system = m.content %}"
        "{% elif m.role == 'user' %}{{ bos_token }}[INST] {% if ns.system %}<<SYS>>\n{{ ns.system }}\n<</SYS>>\n\n"
        "{% set ns.system = '' %}{% endif %}{{ m.content }} [/INST]"
        "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
    ),
    "plain": (
        _TURN + "{{ m.content }}\n\n{% elif m.role == 'user' %}User: {{ m.content }}\n"
        "{% else %}Assistant: {{ m.content }}\n{% endif %}{% endfor %}" + _ANSWER + "Assistant:{% endif %}"
    ),
    "starchat": (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        + _ANSWER
        + "<|assistant|>\n{% endif %}"
    ),
    "vicuna": (
        _TURN + "{{ m.content }} {% elif m.role == 'user' %}USER: {{ m.content }} "
        "{% else %}ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}" + _ANSWER + "ASSISTANT:{% endif %}"
    ),
    "zephyr": (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
        + _ANSWER
        + "<|assistant|>\n{% endif %}"
    ),
}
"""Jinja templates by name."""

STOPS: dict[str, list[str]] = {
    "alpaca": ["### Instruction:"],
    "dolly": ["### End", "### Instruction:"],
    "plain": ["\nUser:"],
    "vicuna": ["USER:"],
}
"""Where an answer ends besides the model's own end: what begins the next turn there is plain text."""

OF_TYPE: dict[str, str] = {"dolly-v2": "dolly"}
"""The template of a model type that has just one."""
