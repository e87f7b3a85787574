"""The source of a module that is begun: what an endpoint's class demands, written as Python."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from jan_core.endpoint import Endpoint, Operation

STARTS = Path(__file__).parents[1] / "templates" / "new-package" / "starts"
"""What a new module begins with, a file for each endpoint that the kernel has; others bring their own."""
BROUGHT = "jan.starts"
"""The entry points of packages with first lines of a module: the package that has them, by the endpoint's name."""
WIDTH = 120
_TITLE = 100


def module_source(endpoint: type[Endpoint], start: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of a module needs to know.

    Args:
        endpoint: the class that is to be implemented.
        start: as from `start_of`.

    Returns:
        `imports`, a block of lines; `base`, the class to derive from; `members`, a block, or else `operations`, each
        with `head`, `doc` and `body`; `built`, what makes the endpoint of `settings` and `jan`, where that is not the
        class itself; `settings_base`, `settings_doc`, `fields`, `settings`, `below`.
    """
    if "base" in start:
        return _built_on(endpoint, start)
    required = [one for one in endpoint.operations().values() if _is_abstract(endpoint, one)]
    wanted = [f"{endpoint.__module__}:{endpoint.__name__}", "jan_core.hookspecs:hookimpl"]
    wanted += ["pydantic:BaseModel", "pydantic:ConfigDict", "typing:TYPE_CHECKING"]
    operations = []
    for one in required:
        body = start.get("operations", {}).get(one.name)
        wanted += _annotated(one)
        if body is None:
            wanted.append("jan_core.errors:NotSupported")
            body = f'raise NotSupported("{one.qualified} is not written yet.")'
        operations.append({"head": _head(one, written=_yields(body)), "doc": _sentence(one.doc), "body": body.strip()})
    wanted += start.get("imports", [])
    return {
        "imports": _header(wanted),
        "base": endpoint.__name__,
        "operations": operations,
        "members": "",
        "built": "",
        "settings_base": "BaseModel",
        "settings_doc": "",
        "needs": [],
        "fields": start.get("fields", []),
        "settings": start.get("settings", []),
        "below": start.get("below", {}).get("module", "").strip(),
        "test_below": start.get("below", {}).get("test", "").strip(),
    }


def _built_on(endpoint: type[Endpoint], start: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs where the module writes another class, on which an installed package builds the rest."""
    wanted = [f"{endpoint.__module__}:{endpoint.__name__}", "jan_core.hookspecs:hookimpl", "pydantic:BaseModel"]
    return {
        "imports": _header([*wanted, "typing:TYPE_CHECKING", *start["imports"]]),
        "base": start["base"],
        "operations": [],
        "members": start["members"].strip(),
        "built": start["built"].strip(),
        "settings_base": start["settings_base"],
        "settings_doc": start["settings_doc"],
        "needs": start["needs"],
        "fields": start.get("fields", []),
        "settings": start.get("settings", []),
        "below": "",
        "test_below": "",
    }


def _header(wanted: Iterable[str]) -> str:
    guarded = "if TYPE_CHECKING:\n    from jan_core.app import Jan"
    return f"from __future__ import annotations\n\n{imports(wanted)}\n\n{guarded}"


def start_of(endpoint: type[Endpoint]) -> Mapping[str, Any]:
    """The first lines of a module of this endpoint; nothing where nobody wrote any.

    A package that does most of such a module brings them, in its `start_<name>.toml`, and declares so in `BROUGHT`.
    Otherwise they stand beside the file that defines the class, under the same name; those of the kernel in `STARTS`.
    """
    for entry in entry_points(group=BROUGHT, name=endpoint.name):
        return tomllib.loads((files(entry.value) / f"start_{endpoint.name}.toml").read_text("utf-8"))
    beside = Path(inspect.getfile(endpoint)).with_name(f"start_{endpoint.name}.toml")
    for path in (beside, STARTS / f"{endpoint.name}.toml"):
        if path.is_file():
            return tomllib.loads(path.read_text("utf-8"))
    return {}


def imports(wanted: Iterable[str], *, indent: int = 0) -> str:
    """Import statements of others' packages, in the order in which ruff puts them.

    Args:
        wanted: `module:name`, or `module` alone.
        indent: spaces that stand before each line.
    """
    sections: dict[int, dict[str, set[str]]] = {}
    for one in wanted:
        module, _, name = one.partition(":")
        top = module.partition(".")[0]
        section = 0 if top in sys.stdlib_module_names else 1
        names = sections.setdefault(section, {}).setdefault(module, set())
        if name:
            names.add(name)
    blocks = []
    for _, found in sorted(sections.items()):
        lines = [f"import {module}" for module, names in sorted(found.items()) if not names]
        lines += [_from(module, names, WIDTH - indent) for module, names in sorted(found.items()) if names]
        blocks.append("\n".join(lines))
    return textwrap.indent("\n\n".join(blocks), " " * indent)


def quoted(text: str) -> str:
    """A text as a string of Python, in one line, cut at a word where it is long."""
    line = shortened(text)
    return repr(line) if '"' in line or "\\" in line else f'"{line}"'


def shortened(text: str, most: int = _TITLE) -> str:
    """A text in one line, cut at a word where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most].rpartition(" ")[0].rstrip(" ,;:") + " …"


def _from(module: str, names: set[str], width: int) -> str:
    ordered = sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name.lower()))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= width:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"


def _is_abstract(endpoint: type[Endpoint], one: Operation) -> bool:
    return getattr(getattr(endpoint, one.name), "__isabstractmethod__", False)


def _yields(body: str) -> bool:
    inside = textwrap.indent(body.strip(), "    ")
    return any(isinstance(node, ast.Yield) for node in ast.walk(ast.parse(f"async def f():\n{inside}")))


def _head(one: Operation, *, written: bool) -> str:
    """The line of a `def`, over several where it is long, as ruff formats it."""
    signature = inspect.signature(getattr(one.endpoint, one.name))
    arguments = _arguments(signature)
    # As a generator where it yields; what only refuses does so at the call.
    begin = f"{'async def' if written or not one.stream else 'def'} {one.name}("
    end = f") -> {_Text(signature.return_annotation)!r}:"
    line = f"{begin}{', '.join(arguments)}{end}"
    if len(line) + 4 <= WIDTH:
        return line
    inner = ", ".join(arguments)
    if len(inner) + 8 <= WIDTH:
        return f"{begin}\n    {inner}\n{end}"
    return f"{begin}\n" + "".join(f"    {argument},\n" for argument in arguments) + end


class _Text:
    """An annotation that is shown as it was written."""

    def __init__(self, annotation: Any) -> None:
        self._text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))

    def __repr__(self) -> str:
        return self._text


def _arguments(signature: inspect.Signature) -> list[str]:
    found: list[str] = []
    kinds = [each.kind for each in signature.parameters.values()]
    for number, each in enumerate(signature.parameters.values()):
        if each.kind is each.KEYWORD_ONLY and each.VAR_POSITIONAL not in kinds and "*" not in found:
            found.append("*")
        # Annotations are texts, which `str` would quote.
        shown = each if each.annotation is each.empty else each.replace(annotation=_Text(each.annotation))
        found.append(str(shown))
        if each.kind is each.POSITIONAL_ONLY and each.POSITIONAL_ONLY not in kinds[number + 1 :]:
            found.append("/")
    return found


def _sentence(doc: str) -> str:
    paragraph = " ".join(doc.partition("\n\n")[0].split())
    return shortened(re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0])


def _annotated(one: Operation) -> Iterable[str]:
    """The imports that an operation's annotations need."""
    function = getattr(one.endpoint, one.name)
    schemas = importlib.import_module(one.endpoint.schemas)
    known = {**function.__globals__, **vars(schemas)}
    for text in function.__annotations__.values():
        for node in ast.walk(ast.parse(str(text), mode="eval")):
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                module = getattr(known[node.id], "__module__", schemas.__name__)
                # A package of schemas gives those of its files; another module's are that one's.
                inside = module == schemas.__name__ or module.startswith(f"{schemas.__name__}.")
                yield f"{schemas.__name__ if inside else _public(module)}:{node.id}"


def _public(module: str) -> str:
    return "collections.abc" if module == "_collections_abc" else module
