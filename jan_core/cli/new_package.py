"""What is begun by `jan … new`: checks the name, asks the endpoints what they demand, writes, and says what is next."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jan_core.cli.new_repository import About, check, missing, said_by_git, write
from jan_core.cli.new_source import WIDTH, imports, module_source, quoted, start_of
from jan_core.refusal import Refusal
from jan_core.testing.contracts import GROUP

if TYPE_CHECKING:
    from jan_core.discovery import Discovery
    from jan_core.endpoint import Endpoint

LONGEST, SHORTER = 40, 16
"""Letters of a name, and of an endpoint's."""
JANS_OWN = {"jan", "root", "config", "discovery", "endpoints", "core"}
TAKEN = {"Any", "Case", "Contract", "Endpoint", "Field", "Jan", "Kept", "Literal", "Mapping", "Page", "Path", "Reply"}
TAKEN |= {"Request", "Wrapper"}
"""Names that the source of an endpoint has for something else."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MESSAGE: dict[str, Any] = {"role": "user", "content": "Good morning"}
_CHAT: dict[str, Any] = {"model": "scripted", "messages": [_MESSAGE]}
_THREAD: tuple[str, str, dict[str, Any]] = ("POST", "/threads", {})
_SAID = ("POST", "/threads/{0}/messages", _MESSAGE)
_ASSISTANT = ("POST", "/assistants", {"model": "scripted"})
REQUESTS: dict[str, list[tuple[str, str, dict[str, Any] | None]]] = {
    "chat.create": [("POST", "/chat/completions", _CHAT)],
    "chat.create_stream": [("POST", "/chat/completions", {**_CHAT, "stream": True})],
    "completions.create": [("POST", "/completions", {"model": "scripted", "prompt": "Good"})],
    "completions.create_stream": [("POST", "/completions", {"model": "scripted", "prompt": "Good", "stream": True})],
    "embeddings.create": [("POST", "/embeddings", {"model": "scripted", "input": "Good"})],
    "models.list": [("GET", "/models", None)],
    "models.retrieve": [("GET", "/models/scripted", None)],
    "models.locate": [("POST", "/chat/completions", _CHAT)],
    "assistants.create": [_ASSISTANT],
    "assistants.list": [("GET", "/assistants", None)],
    "assistants.retrieve": [_ASSISTANT, ("GET", "/assistants/{0}", None)],
    "assistants.update": [_ASSISTANT, ("POST", "/assistants/{0}", {"name": "Zoe"})],
    "assistants.delete": [_ASSISTANT, ("DELETE", "/assistants/{0}", None)],
    "threads.create": [_THREAD],
    "threads.list": [("GET", "/threads", None)],
    "threads.retrieve": [_THREAD, ("GET", "/threads/{0}", None)],
    "threads.update": [_THREAD, ("POST", "/threads/{0}", {"metadata": {"a": "b"}})],
    "threads.delete": [_THREAD, ("DELETE", "/threads/{0}", None)],
    "threads.check": [_THREAD, _SAID],
    "messages.create": [_THREAD, _SAID],
    "messages.list": [_THREAD, ("GET", "/threads/{0}/messages", None)],
    "messages.retrieve": [_THREAD, _SAID, ("GET", "/threads/{0}/messages/{1}", None)],
    "messages.update": [_THREAD, _SAID, ("POST", "/threads/{0}/messages/{1}", {"metadata": {"a": "b"}})],
    "messages.delete": [_THREAD, _SAID, ("DELETE", "/threads/{0}/messages/{1}", None)],
    "messages.start": [("POST", "/threads", {"messages": [_MESSAGE]})],
}
"""Operations that a new plugin can be for, and requests that call them; `{0}` is the id in the first reply."""


def said(
    asked: str, name: str, folder: Path | None, description: str | None, author: str | None, email: str | None
) -> About:
    """What a person said, with git's answers where nothing was said."""
    return About(
        asked,
        (folder or Path(name)).absolute(),
        (description or "").rstrip(". "),
        said_by_git("user.name") if author is None else author,
        said_by_git("user.email") if email is None else email,
    )


def begin_module(about: About, name: str) -> None:
    """Write a module's repository.

    Args:
        about: where, and what is said of it.
        name: `<endpoint>-<how>`.

    Raises:
        Refusal: no endpoint has that name, or as `check`.
    """
    discovery = _discovery()
    endpoint = _endpoint_of(about, name, discovery)
    about = _checked(
        about, name, "modules", discovery, f"The {endpoint.name} endpoint of Jan on {name.split('-', 1)[1]}"
    )
    contract = _contract(endpoint)
    source = module_source(endpoint, start_of(endpoint))
    answers: dict[str, Any] = {
        **_named(name, "module"),
        **source,
        "endpoint": endpoint.name,
        "endpoint_class": endpoint.__name__,
        "needs": sorted({*_beside(endpoint, discovery), *source["needs"], "pydantic>=2.12"}),
        "missing": {},
        "contract": contract.partition(":")[2],
    }
    if re.search(rf"\b{answers['class_name']}\b", answers["imports"]):  # threads-query, of which there is a schema
        answers["class_name"] += "Module"
    lacks: dict[int, str] = {}
    if contract:
        answers["contract_imports"] = imports(["jan_core.app:Jan", contract])
        print(f"Running the contract of {endpoint.name} on its first lines …", flush=True)
        lacks = missing(about, answers, {"jan.modules": {name: answers["package"]}})
        answers["missing"] = {number: quoted(title) for number, title in lacks.items()}
    write(about, answers)
    if contract:
        from jan_core.discovery import import_name

        every = len(import_name(contract).clauses())
        print(f"{every - len(lacks)} of its {every} clauses hold; tests/test_contract.py names those that do not yet.")
    else:
        print(f"No contract of {endpoint.name} is installed: its test shows only that it is served.")
    _next(about)


def begin_plugin(about: About, name: str, wraps: str) -> None:
    """Write a plugin's repository.

    Args:
        about: where, and what is said of it.
        name: its name.
        wraps: an operation of `REQUESTS`, or `*`.

    Raises:
        Refusal: no such operation, or as `check`.
    """
    discovery = _discovery()
    about = _checked(
        about,
        name,
        "plugins",
        discovery,
        f"A plugin of Jan that logs what is slow of {'every operation' if wraps == '*' else wraps}",
    )
    if wraps != "*" and wraps not in REQUESTS:
        close = get_close_matches(wraps, REQUESTS, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        remedy = f"{hint}Take --wraps '*', and narrow it by hand; or one of: {', '.join(REQUESTS)}."
        raise Refusal(f"{about.asked} --wraps {wraps}", "there is no first test for that operation", remedy)
    endpoint, _, operation = ("", "", "") if wraps == "*" else wraps.partition(".")
    wrapped = "chat.create" if wraps == "*" else wraps
    write(
        about,
        {
            **_named(name, "plugin"),
            "needs": ["pydantic>=2.12"],
            "endpoint": endpoint,
            "operation": operation,
            "wrapped": wrapped,
            "requests": [_shown(one) for one in REQUESTS[wrapped]],
        },
    )
    _next(about)


def begin_endpoint(about: About, name: str) -> None:
    """Write an endpoint's repository.

    Args:
        about: where, and what is said of it.
        name: letters and digits.

    Raises:
        Refusal: the name cannot be one or is taken, or as `check`.
    """
    from jan_core.app import Jan

    discovery = _discovery()
    if "-" in name:
        remedy = "Name it by a plural in one word, such as notes; `jan modules new` begins an implementation."
        raise Refusal(about.asked, f"{name!r} is no endpoint's name: a module's has a hyphen", remedy)
    about = _checked(about, name, "endpoints", discovery, f"The endpoint {name} of Jan", SHORTER)
    one = name[:-3] + "y" if name.endswith("ies") else name[:-1] if re.fullmatch(r".+[^s]s", name) else f"{name}item"
    if hasattr(Jan, name) or name in JANS_OWN or keyword.iskeyword(name) or {name.title(), one.title()} & TAKEN:
        raise Refusal(about.asked, f"{name!r} stands for something else already, in Jan or in Python", "Take another.")
    named = _named(name, "endpoint")
    schemas = [f"{named['package']}.schemas:{one.title()}{what}" for what in ("", "Deleted", "Page", "Request")]
    answers = {
        "needs": ["pydantic>=2.12"],
        "one": one,
        "one_class": one.title(),
        "letter": name[0].upper(),
        "schema_imports": imports(schemas),
        "schema_imports_inside": imports(schemas, indent=4),
    }
    write(about, {**named, **answers})
    _next(about)


def _discovery() -> Discovery:
    """What is installed, whatever any config says."""
    from jan_core.config import Config
    from jan_core.discovery import Discovery

    return Discovery(Config(Path(), Path("jan.toml")))


def _endpoint_of(about: About, name: str, discovery: Discovery) -> type[Endpoint]:
    known = discovery.endpoints
    bare = name.lower().removeprefix("jan-")
    first, _, how = bare.partition("-")
    if name == bare and first in known and how:
        return known[first]
    close = [first] if first in known else get_close_matches(first, known, 1)
    hint = f"did you mean {close[0]}-{how or '<how>'}? " if close else ""
    remedy = f"{hint}Endpoints: {', '.join(known)}. `jan endpoints new` begins one of your own."
    raise Refusal(about.asked, f"a module is named <endpoint>-<how>, and {name!r} is not", remedy)


def _checked(about: About, name: str, group: str, discovery: Discovery, description: str, most: int = LONGEST) -> About:
    from jan_core.app import TABLES

    if not _NAME.fullmatch(name) or len(name) > most:
        remedy = f"Take small letters, digits and single hyphens, a letter first, {most} characters at most."
        raise Refusal(about.asked, f"{name!r} can name no package", remedy)
    if group == "plugins" and name in TABLES:
        raise Refusal(about.asked, f"[{name}] of jan.toml is Jan's own table", "Take another name.")
    taken = [one for one in discovery.installed[group] if one.name == name]
    if taken:
        remedy = "Take another name: of two packages of one name Jan takes neither."
        raise Refusal(about.asked, f"{name!r} is installed already", remedy, answers=taken[0].answers)
    made = About(about.asked, about.folder, about.description or description, about.author, about.email)
    check(made)
    return made


def _beside(endpoint: type[Endpoint], discovery: Discovery) -> set[str]:
    """The distribution that brings the endpoint, where that is not the kernel."""
    found = {one.distribution.split()[0] for one in discovery.installed["endpoints"] if one.name == endpoint.name}
    return found - {"jan-core"}


def _contract(endpoint: type[Endpoint]) -> str:
    """The contract of an endpoint, `module:Class`; empty where none is installed."""
    return next((one.value for one in entry_points(group=GROUP, name=endpoint.name)), "")


def _named(name: str, kind: str) -> Mapping[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "distribution": f"jan-{name}",
        "package": f"jan_{name.replace('-', '_')}",
        "class_name": name.title().replace("-", ""),
    }


def _shown(request: tuple[str, str, Any]) -> str:
    """A request as Python, over several lines where it is long, as ruff formats it."""
    method, path, body = request
    parts = [f'"{method}"', f'"{path}"', json.dumps(body).replace("true", "True").replace("null", "None")]
    line = f"({', '.join(parts)})"
    return line if len(line) + 5 <= WIDTH else "(\n" + "".join(f"        {part},\n" for part in parts) + "    )"


def _next(about: About) -> None:
    written = sum(path.is_file() for path in about.folder.rglob("*"))
    shown = about.folder.name if about.folder.parent == Path.cwd() else str(about.folder)
    print(f"{written} files in {shown}. Next, in an environment of Python 3.11 or newer:")
    print(f'\n    cd {shown}\n    pip install -e ".[dev]"\n    pytest')
