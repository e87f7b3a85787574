"""Writes the parts of the documentation that follow from the code, so that they cannot drift from it.

- `docs/api/<endpoint>.md`: a page for each endpoint class that the kernel registers.
- `docs/reference/<page>.md`: the pages for authors of modules and plugins; see `author_reference.py`.
- In any page under `docs/`, what stands between `<!-- generated: … -->` and `<!-- end generated -->`:
  `settings <module>:<model>` is a table of settings.

Usage: `python scripts/reference.py` writes; with `--check` it changes nothing, and exits 1 naming what is out of date.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import author_reference
from pydantic import BaseModel

from jan_core import errors, openapi
from jan_core.endpoint import Endpoint, Operation

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ADDRESS = "http://127.0.0.1:1337"
MODEL = "smollm2-135m-instruct"
REGION = re.compile(r"(<!-- generated: (\w+) ?(\S*) -->\n).*?(<!-- end generated -->)", re.DOTALL)

_HELLO: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 16}
_ONCE: dict[str, Any] = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 16}
BODIES: dict[str, dict[str, Any]] = {
    "assistants.create": {
        "model": MODEL,
        "name": "Math tutor",
        "instructions": "Explain every step.",
        "tools": [{"type": "code_interpreter"}],
        "temperature": 0.2,
    },
    "assistants.update": {"instructions": "Explain every step, briefly.", "metadata": {"subject": "algebra"}},
    "chat.create": _HELLO,
    "chat.create_stream": {**_HELLO, "stream": True, "stream_options": {"include_usage": True}},
    "chat.update": {"metadata": {"topic": "greetings"}},
    "completions.create": _ONCE,
    "completions.create_stream": {**_ONCE, "stream": True, "stream_options": {"include_usage": True}},
    "embeddings.create": {"model": MODEL, "input": ["a cat", "a dog"]},
    "engines.load": {"model": MODEL},
    "engines.unload": {"model": MODEL},
    "messages.create": {"role": "user", "content": "What is 6 times 7?"},
    "messages.update": {"metadata": {"checked": "yes"}},
    "runs.create": {"assistant_id": "jan", "additional_instructions": "Answer in one sentence."},
    "runs.create_stream": {"assistant_id": "jan", "stream": True},
    "runs.create_thread": {
        "assistant_id": "jan",
        "thread": {"messages": [{"role": "user", "content": "What is 6 times 7?"}]},
    },
    "runs.create_thread_stream": {
        "assistant_id": "jan",
        "thread": {"messages": [{"role": "user", "content": "What is 6 times 7?"}]},
        "stream": True,
    },
    "runs.submit_tool_outputs": {"tool_outputs": [{"tool_call_id": "call_123", "output": "42"}]},
    "runs.submit_tool_outputs_stream": {
        "tool_outputs": [{"tool_call_id": "call_123", "output": "42"}],
        "stream": True,
    },
    "runs.update": {"metadata": {"checked": "yes"}},
    "threads.create": {
        "title": "Times tables",
        "messages": [{"role": "user", "content": "What is 6 times 7?"}],
        "metadata": {"subject": "arithmetic"},
    },
    "threads.update": {"title": "The table of seven", "parameters": {"temperature": 0}},
}
"""A body for the example of each operation that takes one; a new operation needs a line here."""
TESTED = frozenset(
    {
        "assistants.create",
        "assistants.list",
        "assistants.retrieve",
        "assistants.update",
        "chat.create",
        "chat.create_stream",
        "completions.create",
        "completions.create_stream",
        "embeddings.create",
        "engines.list",
        "engines.load",
        "engines.unload",
        "models.list",
        "models.retrieve",
        "threads.create",
        "threads.list",
    }
)
"""Operations that the default modules do, and that a test may run as often as it likes."""
PARAMETERS = {
    "model": MODEL,
    "completion_id": "chatcmpl-123",
    "assistant_id": "jan",
    "thread_id": "jan-1700000000-08bq3kd0m5w9xh",
    "message_id": "msg_123",
    "run_id": "run_123",
    "step_id": "step_123",
}
"""Values for the examples' paths."""


def endpoints() -> dict[str, type[Endpoint]]:
    """The endpoint classes of the kernel's own distribution, by name."""
    found = entry_points(group="jan.endpoints")
    return {one.name: one.load() for one in sorted(found) if one.dist is not None and one.dist.name == "jan-core"}


def pages() -> dict[Path, str]:
    """Every file this script writes, with the content it should have."""
    wanted = {DOCS / "api" / f"{name}.md": page(name, kind) for name, kind in endpoints().items()}
    wanted |= author_reference.pages(DOCS)
    for path in sorted(DOCS.rglob("*.md")):
        if path not in wanted and "<!-- generated:" in (text := path.read_text("utf-8")):
            wanted[path] = REGION.sub(_fill, text)
    return wanted


def _fill(match: re.Match[str]) -> str:
    write = {"settings": settings_table}[match[2]]
    return f"{match[1]}\n{write(match[3])}\n\n{match[4]}"


# A page of an endpoint.


def page(name: str, kind: type[Endpoint]) -> str:
    """The reference page of an endpoint class."""
    source = str(kind.__module__).replace(".", "/") + ".py"
    schemas = openapi.document({name: kind})["components"]["schemas"]
    public = [one for one in kind.operations().values() if one.path is not None]
    parts = [
        f"<!-- Written by scripts/reference.py from {source}; do not edit. -->",
        f"# {name}",
        inspect.getdoc(kind) or "",
        "\n".join(["| operation | request |", "|---|---|", *(_row(one) for one in public)]),
        "Every error has the same shape, with all four fields: "
        '`{"error": {"message": …, "type": …, "param": …, "code": …}}`. Besides those named below, any request can '
        "meet the errors of [the server itself](../safety.md#what-is-refused).",
    ]
    for operation in public:
        parts += list(_operation(operation))
    internal = [one for one in kind.operations().values() if one.path is None]
    if internal:
        parts += [
            "## Internal operations",
            "Called by other modules, never over HTTP; they are wrapped like the others.",
        ]
        for operation in internal:
            text, raised = _split(operation.doc)
            signature = inspect.signature(getattr(kind, operation.name))
            parts += [
                f"### {operation.qualified}",
                f"`{operation.name}{_plain(signature)}`" + _optional(operation),
                text,
            ]
            parts += _errors(raised)
    parts += ["## Objects", "In the order of their names. A field without *required* or *always* may be left out."]
    replies = set(_closure(public, ("reply", "item"), schemas))
    for title in [one for one in sorted(schemas, key=str.lower) if one != "Error"]:
        parts += _object(title, schemas[title], reply=title in replies)
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(operation: Operation) -> str:
    streamed = ", with `stream: true`" if operation.stream else ""
    return f"| [{operation.qualified}](#{slug(operation.qualified)}) | `{_route(operation)}`{streamed} |"


def _route(operation: Operation) -> str:
    return f"{operation.method} {re.sub(r':path}', '}', operation.path or '')}"


def _optional(operation: Operation) -> str:
    return " (optional: a module may leave it out, and then answers 400 `not_supported`)" if operation.optional else ""


def _operation(operation: Operation) -> Iterator[str]:
    text, raised = _split(operation.doc)
    types = operation.types()
    yield f"## {operation.qualified}"
    yield f"`{_route(operation)}`{', with `stream: true`' if operation.stream else ''}{_optional(operation)}"
    yield text
    for name in operation.parameters:
        slashes = "; it may contain `/` and `:`" if f"{{{name}:path}}" in str(operation.path) else ""
        yield f"Path: `{name}`, a string{slashes}."
    for label, kind in (("Query", types.query), ("Body", types.body), ("Reply", types.reply), ("Events", types.item)):
        if kind is not None:
            more = ", each as a line `data: …`; then `data: [DONE]`" if label == "Events" else ""
            yield f"{label}: [{kind.__name__}](#{slug(kind.__name__)}){more}."
    yield from _errors(raised)
    yield _example(operation)


def _split(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's text, and what it says under `Raises:`, by class name."""
    text, _, rest = doc.partition("Raises:\n")
    raised = {}
    for names, what in re.findall(r"^ {4}([A-Z][\w, ]*): ((?:.|\n {8})*)", rest, re.MULTILINE):
        for name in names.split(", "):
            raised[name] = " ".join(what.split())
    return text.strip(), raised


def _errors(raised: Mapping[str, str]) -> Iterator[str]:
    if not raised:
        return
    rows = ["| status | `type` | `code` | when |", "|---|---|---|---|"]
    for name, what in raised.items():
        kind = getattr(errors, name)
        code = f"`{kind.code}`" if kind.code else ""
        rows.append(f"| {kind.status} | `{kind.type}` | {code} | {_cell(what[:1].upper() + what[1:])} |")
    yield "\n".join(rows)


def _example(operation: Operation) -> str:
    path = re.sub(r"{(\w+)(?::\w+)?}", lambda found: PARAMETERS[found[1]], str(operation.path))
    flags = "-N " if operation.stream else ""
    method = "" if operation.method in ("GET", "POST") else f"-X {operation.method} "
    lines = f"curl {flags}{method}{ADDRESS}{path}"
    if operation.types().body is not None:
        body = json.dumps(BODIES[operation.qualified], indent=2).replace("'", "'\\''")
        lines += f" -H 'Content-Type: application/json' -d '{body}'"
    return f"```console{' test' if operation.qualified in TESTED else ''}\n{lines}\n```"


def _closure(operations: list[Operation], parts: tuple[str, ...], schemas: Mapping[str, Any]) -> Iterator[str]:
    """The names of the schemas that the given parts of the operations consist of."""
    todo = [getattr(one.types(), part).__name__ for one in operations for part in parts if getattr(one.types(), part)]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            yield name
            todo += re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas[name]))


def _object(title: str, schema: Mapping[str, Any], *, reply: bool) -> Iterator[str]:
    yield f"### {title}"
    yield schema.get("description", "")
    rows = ["| field | type | what |", "|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        sure = name in schema.get("required", ()) or (reply and field.get("default", ...) is not None)
        mark = (", *always*" if reply else ", *required*") if sure and (reply or "default" not in field) else ""
        default = field.get("default")
        if not reply and default is not None:
            mark = f", default `{json.dumps(default)}`"
        rows.append(f"| `{name}` | {kind_of(field)}{mark} | {_cell(field.get('description', ''))} |")
    yield "\n".join(rows)


# Types in words.


def kind_of(schema: Mapping[str, Any]) -> str:
    """A JSON schema as a few words for a table's cell, with links to the objects it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{slug(name)})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(kind_of(one) for one in schema[key]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return "list of " + kind_of(schema.get("items", {})) + _between(schema, "minItems", "maxItems", "elements")
    if kind == "object":
        values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        inner = f" with values {kind_of(values)}" if isinstance(values, dict) and values else ""
        return f"object{inner}" + _between(schema, "minProperties", "maxProperties", "pairs")
    if kind in ("integer", "number"):
        return kind + _between(schema, "minimum", "maximum", "") + _above(schema)
    if kind == "string":
        pattern = f" of the form `{_cell(schema['pattern'])}`" if "pattern" in schema else ""
        return "string" + _between(schema, "minLength", "maxLength", "characters") + pattern
    return {"boolean": "true or false", "null": "null", None: "anything"}[kind]


def _above(schema: Mapping[str, Any]) -> str:
    return f" above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else ""


def _between(schema: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    least, most = schema.get(low), schema.get(high)
    unit = f" {unit}" if unit else ""
    if least is None and most is None:
        return ""
    if most is None:
        return f" from {least}{unit}"
    return f" up to {most}{unit}" if least is None else f" from {least} to {most}{unit}"


def _plain(signature: inspect.Signature) -> str:
    """A signature without the quotes around its annotations."""
    return str(signature).replace("'", "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def slug(title: str) -> str:
    """The anchor of a heading, as the site and code hosts make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


# Regions of other pages.


def settings_table(reference: str) -> str:
    """The settings of one table of `jan.toml`, from its pydantic model."""
    module, _, name = reference.partition(":")
    model: type[BaseModel] = getattr(import_module(module), name)
    rows = ["| setting | type | default | what |", "|---|---|---|---|"]
    for key, field in model.model_json_schema()["properties"].items():
        kinds = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        default = "" if field.get("default") is None else f"`{json.dumps(field['default'])}`"
        kind = " or ".join(map(kind_of, kinds))
        rows.append(f"| `{key}` | {kind} | {default} | {_cell(field['description'])} |")
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` name those that are out of date; returns the exit status."""
    old = {path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in old.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is out of date: run python scripts/reference.py", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
