"""What a function of `index.py` is to a model: a tool with a JSON schema, made of its type hints.

The same hints say how the arguments of a call, which are JSON, become those of the function. Standard library only.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
"""Types that JSON has itself."""
LISTS = (list, typing.get_origin(Sequence[int]))
DEEPEST = 16
"""How deep types may lie in one another."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Return|Yields|Raises|Examples?|Notes?|Attributes):\s*")
_ARGUMENT = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


class NotATool(Exception):
    """A function that cannot be a tool; says why."""


class BadArgument(Exception):
    """Arguments of a call that do not fit the function; says which and why, for the model to read."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """A function as a tool.

    Attributes:
        function: the function.
        hints: the types of its arguments, by name.
        described: `name`, `description` and `parameters`, as a tool of a chat request has them.
    """

    function: Callable[..., Any]
    hints: dict[str, Any]
    described: dict[str, Any]

    def arguments(self, text: str) -> dict[str, Any]:
        """What the function is called with, out of what the model wrote.

        Raises:
            BadArgument: it is no JSON object, or does not fit.
        """
        try:
            given = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise BadArgument(f"the arguments are no JSON: {error}") from None
        if not isinstance(given, dict):
            raise BadArgument("the arguments are no JSON object")
        return _fields("the arguments", given, self.hints, set(self.described["parameters"]["required"]))


def tools_of(module: types.ModuleType) -> tuple[dict[str, Tool], list[str]]:
    """The tools among the functions of a module.

    Returns:
        They by name, and a sentence for each public function that cannot be one.
    """
    found, told = {}, []
    for name, function in list(vars(module).items()):
        if name.startswith("_") or not inspect.isfunction(function) or function.__module__ != module.__name__:
            continue
        if _is_run(name, function):
            continue
        try:
            found[name] = tool_of(name, function)
        except NotATool as error:
            told.append(f"line {function.__code__.co_firstlineno}: {name} is not offered as a tool: {error}.")
    return found, told


def run_of(module: types.ModuleType) -> Callable[..., Any] | None:
    """The module's own `run`, with a first argument `context`; None where it has none.

    Raises:
        TypeError: it is no `async def`.
    """
    function = vars(module).get("run")
    if not inspect.isfunction(function) or function.__module__ != module.__name__ or not _is_run("run", function):
        return None
    if not (inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)):
        raise TypeError(f"run(context) in line {function.__code__.co_firstlineno} must be an `async def`")
    return function


def _is_run(name: str, function: Any) -> bool:
    return name == "run" and list(inspect.signature(function).parameters)[:1] == ["context"]


def tool_of(name: str, function: Callable[..., Any]) -> Tool:
    """A function as a tool.

    Raises:
        NotATool: it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise NotATool("its name is not made of the letters A to Z, digits and '_', 64 at most")
    if not (function.__doc__ or "").strip():
        raise NotATool("it has no docstring, which tells the model what it does")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise NotATool(f"its type hints cannot be read: {type(error).__name__}: {error}") from None
    description, texts = read_docstring(function.__doc__ or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise NotATool(f"it takes {parameter}, and a model gives arguments by name, each with a type hint")
        if parameter.name not in hints:
            raise NotATool(f"its argument {parameter.name} has no type hint")
        schema = schema_of(hints[parameter.name], parameter.name)
        if parameter.name in texts:
            schema = {**schema, "description": texts[parameter.name]}
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif isinstance(parameter.default, str | int | float | bool):
            schema = {**schema, "default": parameter.default}
        properties[parameter.name] = schema
    hints = {one: hints[one] for one in properties}
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(function, hints, {"name": name, "description": description, "parameters": parameters})


def read_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, up to its first section, and of each argument, in its section `Args:`."""
    lines = inspect.cleandoc(docstring).splitlines()
    texts: dict[str, str] = {}
    head: list[str] = []
    section, name, indent = "", "", 0
    for line in lines:
        begun = _SECTION.fullmatch(line)
        if begun:
            section, name = begun[1], ""
        elif not section:
            head.append(line)
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            depth = len(line) - len(line.lstrip())
            one = _ARGUMENT.fullmatch(line.strip())
            if one and (not name or depth <= indent):
                name, indent = one[1], depth
                texts[name] = one[2]
            elif name:
                texts[name] = f"{texts[name]} {line.strip()}".strip()
    return "\n".join(head).strip(), texts


def schema_of(hint: Any, place: str, depth: int = 0) -> dict[str, Any]:
    """The JSON schema of a type.

    Raises:
        NotATool: JSON has nothing like it; the message names `place`.
    """
    if depth > DEEPEST:
        raise NotATool(f"the type of {place} lies too deep, or holds itself")
    if hint is Any:
        return {}
    if hint is None:
        hint = type(None)
    if isinstance(hint, type) and hint in PLAIN:
        return {"type": PLAIN[hint]}
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        texts = [one for one in args[1:] if isinstance(one, str)]
        return {**schema_of(args[0], place, depth + 1), **({"description": texts[0]} if texts else {})}
    if origin is typing.Literal:
        return _choice(list(args), place)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of(one, place, depth + 1) for one in args]}
    if hint is list or origin in LISTS:
        return {"type": "array", "items": schema_of(args[0], place, depth + 1) if args else {}}
    if hint is dict or origin is dict:
        if args and args[0] is not str:
            raise NotATool(f"{place} is a dict whose keys are no str")
        return {"type": "object", "additionalProperties": schema_of(args[1], place, depth + 1) if args else True}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choice([one.value for one in hint], place)
    found = fields_of(hint)
    if found is None:
        raise NotATool(f"{place} is of the type {getattr(hint, '__name__', hint)}, which JSON does not have")
    fields, required = found
    return {
        "type": "object",
        "properties": {name: schema_of(one, f"{place}.{name}", depth + 1) for name, one in fields.items()},
        "required": [name for name in fields if name in required],
        "additionalProperties": False,
    }


def _choice(values: list[Any], place: str) -> dict[str, Any]:
    if not values or not all(isinstance(one, str | int | float | bool | None) for one in values):
        raise NotATool(f"{place} may be values that JSON does not have")
    kinds = {PLAIN[type(one)] for one in values if type(one) in PLAIN}
    return {"type": kinds.pop(), "enum": values} if len(kinds) == 1 else {"enum": values}


def fields_of(hint: Any) -> tuple[dict[str, Any], set[str]] | None:
    """The fields of a dataclass or a TypedDict, and which are required; None where it is neither."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = [one for one in dataclasses.fields(hint) if one.init]
        missing = dataclasses.MISSING
        required = {one.name for one in fields if one.default is missing and one.default_factory is missing}
        return {one.name: hints[one.name] for one in fields}, required
    if typing.is_typeddict(hint):
        # Where annotations are texts, the class itself does not know which of its keys may be left out.
        hints = typing.get_type_hints(hint, include_extras=True)
        told = {name: typing.get_origin(one) for name, one in hints.items()}
        required = {name for name in hints if name in hint.__required_keys__ and told[name] is not typing.NotRequired}
        required |= {name for name in hints if told[name] is typing.Required}
        bare = (typing.Required, typing.NotRequired)
        return {name: typing.get_args(one)[0] if told[name] in bare else one for name, one in hints.items()}, required
    return None


def value_of(hint: Any, given: Any, place: str) -> Any:
    """A value of JSON as the type that a function wants.

    Raises:
        BadArgument: it does not fit.
    """
    if hint is None:
        hint = type(None)
    if hint is Any:
        return given
    if isinstance(hint, type) and hint in PLAIN:
        if hint is float and type(given) is int:
            return float(given)
        if type(given) is not hint:
            raise BadArgument(f"{place} is {_shown(given)}, and must be of the type {PLAIN[hint]}")
        return given
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return value_of(args[0], given, place)
    if origin is typing.Literal:
        for one in args:
            if type(one) is type(given) and one == given:
                return one
        raise BadArgument(f"{place} is {_shown(given)}, and must be one of {_shown(list(args))}")
    if origin in (typing.Union, types.UnionType):
        for one in args:
            try:
                return value_of(one, given, place)
            except BadArgument:
                continue
        raise BadArgument(f"{place} is {_shown(given)}, which is none of the types that it may have")
    if hint is list or origin in LISTS:
        if not isinstance(given, list):
            raise BadArgument(f"{place} is {_shown(given)}, and must be an array")
        return [value_of(args[0], one, f"{place}[{at}]") for at, one in enumerate(given)] if args else given
    if not isinstance(given, dict) and not (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        raise BadArgument(f"{place} is {_shown(given)}, and must be an object")
    if hint is dict or origin is dict:
        return {key: value_of(args[1], one, f"{place}.{key}") for key, one in given.items()} if args else given
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        for member in hint:
            if type(member.value) is type(given) and member.value == given:
                return member
        raise BadArgument(f"{place} is {_shown(given)}, and must be one of {_shown([one.value for one in hint])}")
    fields, required = fields_of(hint) or ({}, set())
    values = _fields(place, given, fields, required)
    return values if typing.is_typeddict(hint) else hint(**values)


def _fields(place: str, given: dict[str, Any], hints: dict[str, Any], required: set[str]) -> dict[str, Any]:
    if unknown := [name for name in given if name not in hints]:
        raise BadArgument(f"{place} must not have {_shown(unknown[0])}; allowed are {', '.join(hints) or 'none'}")
    if missing := [name for name in hints if name in required and name not in given]:
        raise BadArgument(f"{place} must have {', '.join(missing)}")
    return {name: value_of(hints[name], one, name) for name, one in given.items()}


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else text[:100] + "…"
