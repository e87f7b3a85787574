"""Chat templates in a sandbox.

A template comes with a model, that is from a stranger. It is only ever rendered in a worker, by Jinja's sandbox: what
reaches for Python's internals or counts to a billion is refused here; what loops is ended from outside, by the server.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_TURNS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "a"}],
    [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ],
]
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"x": "y"}}}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "description": "g",
            "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        },
    }
]
_CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "", "reasoning_content": "b", "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "c", "name": "f", "content": "d"},
]
_RENDERED = [(turns, tools) for turns in [*_TURNS, _CALLED] for tools in (None, _TOOLS)]


class HarmfulTemplate(Exception):
    """The template does what no chat template needs; the message says what."""


class TemplateFailed(Exception):
    """The template cannot render these messages; the message says why."""


def environment() -> ImmutableSandboxedEnvironment:
    """A sandbox with what chat templates expect: `raise_exception`, `strftime_now`, `tojson`, `break`, `continue`."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    found = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    found.filters["tojson"] = lambda value, indent=None, **_: json.dumps(value, ensure_ascii=False, indent=indent)
    found.globals["raise_exception"] = _raise
    found.globals["strftime_now"] = lambda form: time.strftime(str(form)[:100])
    return found


def mistake(source: str) -> str | None:
    """What is wrong with how a template is written, and in which line; None where it can be read."""
    from jinja2 import TemplateError, TemplateSyntaxError

    try:
        environment().from_string(source)
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    except (TemplateError, RecursionError) as error:
        return str(error) or type(error).__name__
    return None


def render(template: Any, messages: list[dict[str, Any]], **more: Any) -> str:
    """Render messages with a template of `environment()`, up to where the model's answer begins.

    Args:
        template: what `environment().from_string` made.
        messages: role and content each.
        more: what else the template may use, such as `bos_token`.

    Raises:
        TemplateFailed: it refuses these messages, is wrong, or does what the sandbox forbids.
    """
    from jinja2 import TemplateError

    try:
        return str(template.render(messages=messages, add_generation_prompt=True, **more))
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise TemplateFailed((str(error).strip() or type(error).__name__).splitlines()[-1][:300]) from error


def check(source: str) -> None:
    """Render a template on short conversations, without and with tools.

    Mistakes of the template are not this function's business: whoever renders it with real messages judges those.

    Raises:
        HarmfulTemplate: it reaches for what the sandbox forbids, counts too far, or needs too much memory.
    """
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError

    try:
        template = environment().from_string(source)
        for messages, tools in _RENDERED:
            _try(template, messages, tools)
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


def _try(template: Any, messages: list[dict[str, Any]], tools: Any) -> None:
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError

    try:
        template.render(messages=messages, tools=tools, add_generation_prompt=True, bos_token="", eos_token="")
    except SecurityError:
        raise
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError):
        return


def _raise(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)
