"""A look at a chat template before the engine runs it.

A template comes with a model, that is from a stranger. The engine renders it while it loads, without a time limit. So
it is rendered first by Jinja's sandbox, on short conversations, in the worker: what reaches for Python's internals or
counts to a billion is refused here; what loops is ended from outside, by the server, after `template_seconds`.
"""

from __future__ import annotations

import json
from typing import Any

_TURNS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "a"}],
    [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ],
]


class HarmfulTemplate(Exception):
    """The template does what no chat template needs; the message says what."""


def check(source: str) -> None:
    """Render a template in the sandbox.

    Mistakes of the template are not this function's business: the engine's own renderer judges those.

    Raises:
        HarmfulTemplate: it reaches for what the sandbox forbids, counts too far, or needs too much memory.
    """
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **_: json.dumps(value)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: "2026-01-01"
    try:
        template = environment.from_string(source)
        for messages in _TURNS:
            _render(template, messages)
    except SecurityError as error:
        raise HarmfulTemplate(f"it reaches for what the sandbox forbids: {error}") from error
    except OverflowError as error:
        raise HarmfulTemplate(f"it counts too far: {error}") from error
    except MemoryError as error:
        raise HarmfulTemplate("it needs too much memory") from error
    except RecursionError as error:
        raise HarmfulTemplate("it calls itself without end") from error
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
        return


def _render(template: Any, messages: list[dict[str, Any]]) -> None:
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError

    try:
        template.render(messages=messages, tools=None, add_generation_prompt=True, bos_token="", eos_token="")
    except SecurityError:
        raise
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
        return


def _raise(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)
