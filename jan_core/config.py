"""`jan.toml` and what overrides it: flag > environment (`JAN__TABLE__KEY`) > file > default.

Every value knows its origin, so that an error names file and line, and `jan config show --origin` can tell.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from pydantic import BaseModel

M = TypeVar("M", bound="BaseModel")

FORMAT = 1
"""The version of the folder's format that this kernel reads and writes (`format = 1` in `jan.toml`)."""

_PREFIX = "JAN__"
_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]?\]")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([\w-]+))\s*(?:\.\s*([\w-]+)\s*)?=""")


@dataclass(frozen=True, slots=True)
class Value:
    """A setting as it was given, and by what: `flag --port`, `environment JAN__…`, `jan.toml, line 3`, `default`.

    `text` is what stood in the environment: there `12345` may be a number, or a password that looks like one.
    """

    value: Any
    origin: str
    text: str | None = None


@dataclass
class Config:
    """What was asked for, unchecked; `table` checks one table against its model.

    Attributes:
        root: the folder the data lives in.
        path: the config file, which need not exist.
        tables: table name to key to value, from file, environment and flags.
    """

    root: Path
    path: Path
    tables: dict[str, dict[str, Value]] = field(default_factory=dict)
    lines: dict[tuple[str, str | None], int] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    def get(self, table: str, key: str) -> Value | None:
        """The value of one key, or None where nothing gives it."""
        return self.tables.get(table, {}).get(key)

    def table(self, name: str, model: type[M]) -> M:
        """Check one table.

        Raises:
            Refusal: an unknown key or a bad value: file and line, what was given, what is allowed.
        """
        from pydantic import ValidationError

        given = self.tables.get(name, {})
        values = {key: value.value for key, value in given.items()}
        try:
            try:
                return model.model_validate(values)
            except ValidationError as error:
                texts = {
                    str(one["loc"][0]): given[str(one["loc"][0])].text
                    for one in error.errors(include_url=False, include_context=False)
                    if one["type"] == "string_type" and len(one["loc"]) == 1
                }
                if not any(texts.values()):
                    raise
                return model.model_validate({**values, **{key: text for key, text in texts.items() if text}})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            key = str(first["loc"][0]) if first["loc"] else ""
            value = given.get(key)
            asked = f"[{name}] {key} = {_shown(value.value)} ({value.origin})" if value else f"[{name}] ({self.path})"
            known = list(model.model_fields)
            if first["type"] == "extra_forbidden":
                cause = f"{name} has no setting {key!r}"
                close = get_close_matches(key, known, 1)
                remedy = f"did you mean {close[0]!r}? " if close else ""
                remedy += f"Settings of {name}: {', '.join(known) or 'none'}."
            else:
                inner = ".".join(str(part) for part in first["loc"][1:])
                cause = f"{first['msg']}{f' (at {inner})' if inner else ''}"
                allowed = model.model_fields[key] if key in known else None
                remedy = f"Give {key} as {_allowed(allowed)}." if allowed else "Add the missing key."
            raise Refusal(asked, cause, remedy) from error

    def where(self, table: str, key: str | None = None) -> str:
        """Where a table or a key stands, for an error message."""
        if key is not None and (value := self.get(table, key)):
            return value.origin
        line = self.lines.get((table, key)) or self.lines.get((table, None))
        return f"{self.path}, line {line}" if line else str(self.path)


def _shown(value: Any) -> str:
    text = _PASSWORD.sub("://…@", repr(value))  # what is told may be copied into a letter for help
    return text if len(text) <= 60 else text[:57] + "…"


def _allowed(info: Any) -> str:
    kind = _kind(info.annotation)
    words = [
        f"{word} {getattr(bound, name)}" for bound in info.metadata for name, word in _BOUNDS if hasattr(bound, name)
    ]
    return " ".join([kind, *words])


def _kind(annotation: Any) -> str:
    """A type in words."""
    inner = [_kind(one) for one in get_args(annotation)]
    if get_origin(annotation) is list:
        return f"a list of {_MANY.get(inner[0], inner[0])}"
    if get_origin(annotation) is dict:
        return f"a table of {_MANY.get(inner[1], inner[1])}"
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(repr, get_args(annotation)))}"
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(one for one in inner if one != "NoneType")
    if hasattr(annotation, "model_fields"):
        return "a table"
    name = getattr(annotation, "__name__", None) or str(annotation)
    return _KINDS.get(name, name)


_PASSWORD = re.compile(r"://[^/@\s'\"]*@")
_MANY = {"a table": "tables", "a string": "texts", "a whole number": "whole numbers", "a number": "numbers"}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a string"}
_BOUNDS = (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below"))


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """`JAN_ROOT`, else `~/jan`."""
    return Path(environ.get("JAN_ROOT") or "~/jan").expanduser()


def load(
    root: Path | None = None,
    path: Path | None = None,
    flags: Mapping[tuple[str, str], Value] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the config.

    Args:
        root: the root folder; default `JAN_ROOT`, else `~/jan`. It need not exist.
        path: the config file; default `JAN_CONFIG`, else `<root>/jan.toml`. A named file must exist.
        flags: values from the command line, by table and key.
        environ: the environment; default the process's.

    Raises:
        Refusal: the file is named but missing, cannot be read, is not TOML, or is of a newer format.
    """
    environ = os.environ if environ is None else environ
    root = (root or default_root(environ)).expanduser().absolute()
    named = path or (Path(environ["JAN_CONFIG"]) if environ.get("JAN_CONFIG") else None)
    if root.exists() and not root.is_dir():
        raise Refusal(f"root folder {root}", "that is a file", "Give a folder: --root …, or JAN_ROOT.")
    config = Config(root, (named or root / "jan.toml").expanduser().absolute(), environ=environ)
    _read_file(config, required=named is not None)
    for name in sorted(environ):
        if name.startswith(_PREFIX):
            _read_variable(config, name, environ[name])
    for (table, key), value in (flags or {}).items():
        config.tables.setdefault(table, {})[key] = value
    return config


def _read_file(config: Config, *, required: bool) -> None:
    try:
        text = config.path.read_text("utf-8-sig")
    except FileNotFoundError:
        if required:
            raise Refusal(f"config file {config.path}", "there is no such file", "Create it with `jan init`.") from None
        return
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"config file {config.path}", f"it cannot be read: {error}", "Mend the file.") from error
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Refusal(f"config file {config.path}", f"it is not TOML: {error}", "Mend that line.") from error
    _find_lines(config, text)
    version = data.pop("format", FORMAT)
    if type(version) is not int or version != FORMAT:
        line = config.lines.get(("", "format"), 1)
        raise Refusal(
            f"format = {_shown(version)} ({config.path}, line {line})",
            f"this version of jan-core reads format {FORMAT}",
            "Install a newer jan-core, or set format = 1 if the folder is of that format.",
        )
    for name, table in data.items():
        line = config.lines.get((name, None)) or config.lines.get(("", name), 1)
        if not isinstance(table, dict):
            raise Refusal(
                f"{name} = {_shown(table)} ({config.path}, line {line})",
                "settings stand in tables; only `format` stands alone",
                f"Put it under its table, such as [server] or [endpoints]: `[server]`, then `{name} = …`.",
            )
        for key, value in table.items():
            at = config.lines.get((name, key), line)
            config.tables.setdefault(name, {})[key] = Value(value, f"{config.path}, line {at}")
        config.tables.setdefault(name, {})


def _find_lines(config: Config, text: str) -> None:
    """Note at which line each table and key stands; tomllib does not tell."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            parts = [part.strip().strip("\"'") for part in header[1].split(".")]
            table = parts[0]
            config.lines.setdefault((table, None), number)
            if len(parts) > 1:
                config.lines.setdefault((table, parts[1]), number)
                table = ""
        elif match := _KEY.match(line):
            key = match[1] or match[2] or match[3]
            if table:
                config.lines.setdefault((table, key), number)
            elif match[4]:
                config.lines.setdefault((key, match[4]), number)
                config.lines.setdefault((key, None), number)
            else:
                config.lines.setdefault(("", key), number)


def _read_variable(config: Config, name: str, text: str) -> None:
    """`JAN__MESSAGES_POSTGRESQL__DSN` is `[messages-postgresql] dsn`; its text is TOML if it parses, else a string."""
    parts = name[len(_PREFIX) :].split("__")
    if len(parts) != 2 or not all(parts):
        raise Refusal(f"environment {name}", "it names no setting", "Write it as JAN__<TABLE>__<KEY>.")
    wanted, key = parts[0].replace("_", "-").lower(), parts[1].lower()
    try:
        value: Any = tomllib.loads(f"v = {text}")["v"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    config.tables.setdefault(wanted, {})[key] = Value(value, f"environment {name}", text)
