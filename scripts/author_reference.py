"""The reference pages for authors of modules and plugins, `docs/reference/`: from signatures and docstrings alone.

`PAGES` is the list of what a stranger may rely on. A name that is not there may change with any release.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from jan_core import errors

Told = tuple[ast.stmt, str]
"""What defines a name, and its docstring."""
TOLD = ("property", "cached_property", "classmethod", "staticmethod", "contextmanager", "asynccontextmanager")
"""Decorators without which one could not tell how a function is called."""
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w[\w, ]*): ((?:.|\n {8})*)", re.MULTILINE)
_TITLES = {"Args": "Arguments"}


@dataclass(frozen=True)
class Part:
    """What a page tells of one file.

    Attributes:
        module: its import name.
        names: which of its public names; empty for all that have a docstring.
        methods: of a class, which of its methods; all public ones, and how it is made, of a class not named here.
        intro: whether to begin with the file's own docstring.
    """

    module: str
    names: Sequence[str] = ()
    methods: dict[str, Sequence[str]] = field(default_factory=dict)
    intro: bool = True


@dataclass(frozen=True)
class Page:
    """A page of the reference.

    Attributes:
        title: its heading.
        about: what stands below that.
        parts: what follows.
    """

    title: str
    about: str
    parts: Sequence[Part]


def _folder(*files: str, **some: Sequence[str]) -> list[Part]:
    whole = [Part(f"jan_core.folder.{one}") for one in files]
    return whole + [Part(f"jan_core.folder.{one}", names) for one, names in some.items()]


PAGES = {
    "hooks": Page(
        "Hooks",
        "A package implements the hooks it needs, as functions with `@hookimpl` in the module its entry point names.",
        [Part("jan_core.hookspecs")],
    ),
    "jan": Page(
        "Jan, the app",
        "What the hooks are given as `jan`: the other endpoints, the backends, the settings that hold for an answer.",
        [
            Part("jan_core.app", ("Jan", "open_jan"), {"Jan": ("__init__", "backend", "served_engines")}),
            Part("jan_core.asgi", ("Routes", "create_app"), {"Routes": ("answering",)}, intro=False),
            Part("jan_core.http", ("send_error",), intro=False),
            Part("jan_core.requests", ("CLIENT_LEFT",), intro=False),
            Part("jan_core.effective", ("Setting", "settings_of", "merged")),
            Part("jan_core.inprocess", ("client",)),
            Part("jan_core.config", ("Config", "load")),
            Part("jan_core.discovery", ("Discovery",), {"Discovery": ("load", "settings")}, intro=False),
            Part("jan_core.refusal"),
        ],
    ),
    "endpoints": Page(
        "Endpoints and operations",
        "What an endpoint's class is made of, and what a wrapper around an operation is given. What each endpoint "
        "promises stands on [its own page](../api/chat.md), that of internal operations with their Python signatures; "
        "its class is in `jan_core.endpoints`, its objects in `jan_core.schemas`, in the file of the endpoint's name.",
        [
            Part("jan_core.endpoint", ("operation", "internal", "Operation", "Endpoint", "Events")),
            Part("jan_core.wrapping", ("Proceed",)),
            Part("jan_core.folding"),
            Part("jan_core.folding_completions"),
            Part("jan_core.schemas.base", ("Described", "Request", "Reply", "NamedEvent", "optional")),
        ],
    ),
    "errors": Page("Errors", "", [Part("jan_core.errors", ("JanError",))]),
    "calls": Page(
        "Calls, ids, pages",
        "What most operations need: who asks, ids for what is made, pages of a listing, a request that is sent twice.",
        [
            Part("jan_core.call"),
            Part("jan_core.ids"),
            Part("jan_core.pages"),
            Part("jan_core.idempotency"),
            Part("jan_core.lines"),
            Part("jan_core.usual_lines"),
            Part("jan_core.validation", ("checked",), intro=False),
        ],
    ),
    "backends": Page(
        "Backends, engines, checks",
        "What several modules share, and what `jan doctor` looks at.",
        [Part("jan_core.backend"), Part("jan_core.check")],
    ),
    "folder": Page(
        "The folder",
        "For modules that keep things in the root: [the format](../data-format.md) is kept by these functions.",
        [
            Part("jan_core.folder"),
            *_folder("names", "layout", "objects", "replace", "locks", "lock_file", "lists", "catalogue", "shelf"),
            *_folder("records", "fields", "keys", "tombstones", "removal", "signature", "faults", "turns", "doctor"),
            *_folder(calls=["DISK"], elements=["scan", "Scanned"], homes=["THREADS", "location_fault"]),
            *_folder(views=["Element", "Holding", "ListView"]),
        ],
    ),
    "kit": Page(
        "The contract kit",
        "What tests of a module are written with, besides [the contracts](../contract/index.md) themselves.",
        [
            Part("jan_core.testing.contract.clauses", ("Contract", "clause")),
            Part(
                "jan_core.testing.contract.case",
                ("Case", "Broken", "same", "holds", "written", "segment", "settled", "check_type"),
            ),
            Part("jan_core.testing.contract.streams", ("StreamCase",)),
            Part("jan_core.testing.contract.hostile"),
            Part("jan_core.testing.wired", ("wired", "one_module")),
            Part("jan_core.testing.scripted", ("Script", "ScriptedCall", "ScriptedChat")),
            Part("jan_core.testing.memory", ("ModelsInMemory", "Names", "names_of")),
            Part("jan_core.testing.memory_assistants"),
            Part("jan_core.testing.memory_threads"),
            Part("jan_core.testing.memory_messages"),
        ],
    ),
}


def pages(folder: Path) -> dict[Path, str]:
    """The pages by path, in a folder."""
    return {folder / "reference" / f"{name}.md": page(one) for name, one in PAGES.items()}


def listed() -> dict[str, set[str]]:
    """Every name that a page tells, by module."""
    return {part.module: set(_chosen(part)) for one in PAGES.values() for part in one.parts}


def page(one: Page) -> str:
    """A page as Markdown.

    Raises:
        LookupError: a part names what is not there, or has no docstring.
    """
    parts = ["<!-- Written by scripts/reference.py; do not edit. -->", f"# {one.title}", one.about]
    if one.title == "Errors":
        parts += [_text(ast.get_docstring(_tree("jan_core.errors")) or ""), _errors()]
    for part in one.parts:
        parts += [f"## `{part.module}`"]
        if part.intro and one.title != "Errors":
            parts.append(_text(ast.get_docstring(_tree(part.module)) or ""))
        for name, node in _chosen(part).items():
            parts += _shown(name, node, part.methods.get(name))
    return "\n\n".join(filter(None, parts)) + "\n"


def _errors() -> str:
    rows = ["| error | status | `type` | `code` | when |", "|---|---|---|---|---|"]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.JanError) and kind is not errors.JanError:
            first, *_ = str(kind.__doc__).split("\n\n")
            when = re.sub(r"^\d+: ", "", " ".join(first.split()))
            code = f"`{kind.code}`" if kind.code else ""
            rows.append(f"| `{name}` | {kind.status} | `{kind.type}` | {code} | {when[:1].upper()}{when[1:]} |")
    return "\n".join(rows)


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no {module}; see PAGES in {Path(__file__).name}")
    return ast.parse(Path(spec.origin).read_text("utf-8"))


def _chosen(part: Part) -> dict[str, Told]:
    """The public names of a file, in its order or in that of the list."""
    found = _documented(_tree(part.module).body)
    if not part.names:
        return found
    missing = [name for name in part.names if name not in found]
    if missing:
        raise LookupError(f"{part.module} has no {missing[0]} with a docstring; see PAGES in {Path(__file__).name}")
    return {name: found[name] for name in part.names}


def _documented(body: Sequence[ast.stmt]) -> dict[str, Told]:
    """The public names with a docstring, or with a text behind their assignment."""
    found: dict[str, Told] = {}
    for node, following in pairwise([*body, ast.Pass()]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name, doc = node.name, ast.get_docstring(node) or ""
        else:
            name, doc = _assigned(node), ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                doc = " ".join(str(following.value.value).split())
        if name and doc and not name.startswith("_"):
            found[name] = node, doc
    return found


def _assigned(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else ""


def _shown(name: str, told: Told, methods: Sequence[str] | None) -> Iterator[str]:
    """A name's heading, signature and docstring; of a class its attributes and methods, too."""
    node, doc = told
    yield f"### {name}"
    if not isinstance(node, ast.ClassDef):
        yield _code(_signature(node) if isinstance(node, FUNCTION) else ast.unparse(node))
        yield _text(doc)
        return
    made = [f"\n    {_signature(one)}" for one in node.body if isinstance(one, FUNCTION) and one.name == "__init__"]
    made = made if methods is None or "__init__" in methods else []
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    yield _code("".join([f"class {name}{bases}{':' if made else ''}", *made]))
    yield _text(doc)
    inner = _documented(node.body)
    if methods is None:
        values = [f"- `{ast.unparse(one)}`: {what}" for one, what in inner.values() if _assigned(one)]
        yield "\n".join(values)
    for one, (method, what) in inner.items():
        if isinstance(method, FUNCTION) and (methods is None or one in methods):
            yield f"#### {name}.{one}"
            yield _code(_signature(method))
            yield _text(what)


def _code(text: str) -> str:
    """A block of code; ast writes every string in single quotes."""
    written = text if '"' in text else text.replace("'", '"')
    return f"```python\n{written}\n```"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A function's first line as one writes it to call it, without `self`."""
    marks = [ast.unparse(one) for one in node.decorator_list]
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    line = f"{word} {node.name}({', '.join(_arguments(node.args))}){returns}"
    return "\n".join([*(f"@{mark}" for mark in marks if mark in TOLD), line])


def _arguments(given: ast.arguments) -> Iterator[str]:
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    for number, (one, default) in enumerate(zip(plain, defaults, strict=True)):
        if number or one.arg not in ("self", "cls"):
            yield _argument(one, default)
        if given.posonlyargs and one is given.posonlyargs[-1]:
            yield "/"
    if given.vararg is not None or given.kwonlyargs:
        yield "*" + (_argument(given.vararg, None) if given.vararg is not None else "")
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(one, default)
    if given.kwarg is not None:
        yield "**" + _argument(given.kwarg, None)


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(one.annotation)}" if one.annotation is not None else ""
    return f"{one.arg}{kind}" + (f" = {ast.unparse(default)}" if default is not None else "")


def _text(doc: str) -> str:
    """A docstring as Markdown: its sections become lists."""

    def section(match: re.Match[str]) -> str:
        title, body = _TITLES.get(match[1], match[1]), match[2]
        entries = _ENTRY.findall(body) if match[1] not in ("Returns", "Yields") else []
        if not entries:
            return f"{title}: {' '.join(body.split())}\n\n"
        lines = [f"- `{name}`: {' '.join(what.split())}" for name, what in entries]
        return f"{title}:\n\n" + "\n".join(lines) + "\n\n"

    return _SECTION.sub(section, doc + "\n").strip()
