"""`jan modules`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from jan_core import versions
from jan_core.cli.new import module
from jan_core.cli.options import ConfigFile, Json, Root, config_from, unread
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from jan_core.discovery import Discovery
    from jan_core.installed import Installed

SILENT = "does not say which versions of jan-core it was built for; its author writes jan-core>=0.1,<1 or the like"
"""What is told of a package without a requirement on jan-core."""

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
app.command("new")(module)


@app.callback(invoke_without_command=True)
def modules(context: typer.Context, root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Show what is installed, chosen, or broken and why; exit status 1 if anything chosen is broken."""
    if context.invoked_subcommand is not None:
        return
    try:
        found = survey(config_from(root, config))
    except Refusal as refusal:  # what is installed can be told all the same
        found = survey(unread(root, config))
        found["problems"].insert(0, refusal.facts())
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    if found["problems"] or any(one["state"] == "broken" for one in found["packages"]):
        raise typer.Exit(1)


def survey(config: Any) -> dict[str, Any]:
    """Every installed package with its state (`chosen`, `installed`, `broken`), and the problems of the choices.

    Chosen packages are imported, each alone, so that one that fails hides no other; nothing else is.
    """
    from jan_core.discovery import Discovery

    discovery = Discovery(config)
    problems: list[dict[str, str]] = []
    wanted: dict[tuple[str, str], str] = {}
    try:
        for names, asked in discovery.choices().values():
            wanted |= {("modules", name): asked for name in names}
    except Refusal as refusal:
        problems.append(refusal.facts())
        for key, value in config.tables.get("endpoints", {}).items():
            names = value.value if isinstance(value.value, list) else [value.value]
            wanted |= {("modules", str(name)): f"{key} = {value.value!r} ({value.origin})" for name in names}
    use = config.get("plugins", "use")
    for name in use.value if use and isinstance(use.value, list) else []:
        wanted["plugins", str(name)] = f"[plugins] use = {use.value!r} ({use.origin})"
    failed: dict[tuple[str, str], dict[str, str]] = {}
    for (group, name), asked in wanted.items():
        try:
            discovery.settings(discovery.load(group, name, asked))
        except Refusal as refusal:
            failed[group, name] = refusal.facts()
    loaded = [one for group, listed in discovery.installed.items() for one in listed if (group, one.name) in wanted]
    loaded += [one for one in discovery.loaded if one.group in ("endpoints", "bundles")]
    beneath = _beneath(discovery, loaded)
    for name, asked in beneath.items():
        try:
            discovery.check_backend(name, asked)
        except Refusal as refusal:
            failed["backends", name] = refusal.facts()
    used = {(one.group, one.name) for one in loaded} | {("backends", name) for name in beneath}
    packages = []
    for group, listed in discovery.installed.items():
        for one in listed:
            key = (group, one.name)
            state = "broken" if key in failed else "chosen" if key in wanted else "installed"
            # Only of what is used: the metadata of the rest are nobody's business.
            asks = key in used and one.entry.dist is not None and not versions.is_kernel(one.distribution)
            packages.append(
                {
                    "kind": group[:-1],
                    "name": one.name,
                    "distribution": one.distribution,
                    "state": state,
                    "asked": wanted.get(key),
                    "built_for": versions.told(one.entry.dist) if asks else None,
                    "warning": SILENT if asks and versions.told(one.entry.dist) is None else None,
                    "problem": failed.pop(key, None) if state == "broken" else None,
                }
            )
    problems += failed.values()  # asked for, but not installed at all
    return {"packages": packages, "problems": problems}


def _beneath(discovery: Discovery, loaded: list[Installed]) -> dict[str, str]:
    """The installed backends that packages stand on, as far as their metadata tell: name to who asks for it."""
    todo, found = list(loaded), dict[str, str]()
    while todo:
        one = todo.pop()
        required = versions.requires(one.entry.dist)
        for backend in discovery.installed["backends"]:
            if backend.name not in found and versions.plain(backend.distribution.split()[0]) in required:
                found[backend.name] = one.name
                todo.append(backend)
    return found


def _print(found: dict[str, Any]) -> None:
    rows = [(one["kind"], one["name"], one["state"], one["distribution"]) for one in found["packages"]]
    header = ("kind", "name", "state", "distribution")
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(4)]
    for row in [header, *rows]:
        print("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    for one in found["packages"]:
        if one["warning"]:
            print(f"\nwarning: {one['distribution']} {one['warning']}")
    problems = [one["problem"] for one in found["packages"] if one["problem"]] + found["problems"]
    for problem in problems:
        print()
        for name, text in problem.items():
            if text:
                print(f"{name + ':':9}{text}")
