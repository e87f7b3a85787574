"""`jan doctor`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.check import Check, Verdict, wrong
from jan_core.cli.options import ConfigFile, Json, Root, config_from, same_root, unread
from jan_core.cli.plain import plain
from jan_core.errors import JanError
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from jan_core.config import Config

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

_ENOUGH_BYTES = 1 << 30


@app.command()
def doctor(
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; it asks before each thing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --repair: do not ask.")] = False,
) -> None:
    """Check the installation and the root, and say how to mend them; exit status 1 if something is wrong."""
    outcomes = _outcomes(root, config)
    if repair:
        mended = [_mend(verdict, yes) for _, verdict in outcomes]
        if any(mended):
            outcomes = _outcomes(root, config)
    if as_json:
        print(json.dumps([_shown(name, one) for name, one in outcomes], indent=2))
    else:
        _print(outcomes)
    if not all(one.ok for _, one in outcomes):
        raise typer.Exit(1)


def _outcomes(root: Path | None, config: Path | None) -> list[tuple[str, Verdict]]:
    """What each check found; a command that mends something goes to the root that was looked at."""
    home = unread(root, config).root
    outcomes = []
    for check in checks(root, config):
        one = outcome(check)
        if one.remedy.startswith("jan ") and not one.remedy.endswith(".") and "--root" not in one.remedy:
            one = replace(one, remedy=same_root(one.remedy, home))
        outcomes.append((check.name, one))
    return outcomes


def _shown(name: str, one: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "ok": one.ok, "why": one.why, "remedy": one.remedy}
    if one.found:
        told["found"] = list(one.found)
    if one.warnings:
        told["warnings"] = list(one.warnings)
    return {**told, "repairs": [repair.question for repair in one.repairs]} if one.repairs else told


def _print(outcomes: list[tuple[str, Verdict]]) -> None:
    width = max(len(name) for name, _ in outcomes)
    for name, one in outcomes:
        print(f"{'ok   ' if one.ok else 'WRONG'}  {name:<{width}}  {plain(one.why)}")
        for warning in one.warnings:
            print(f"       {'':<{width}}  warning: {plain(warning)}")
        if not one.ok and one.remedy:
            print(f"       {'':<{width}}  mend: {plain(one.remedy)}")
        if one.repairs:
            count = f"{len(one.repairs)} of these" if len(one.repairs) > 1 else "this"
            print(f"       {'':<{width}}  jan doctor --repair mends {count}, and asks first")


def _mend(verdict: Verdict, yes: bool) -> bool:
    """Offer the repairs of a verdict; True where one was tried. What fails is told, and the others follow."""
    tried = False
    for one in verdict.repairs:
        question = plain(one.question)
        if not yes and not sys.stdin.isatty():
            print(f"not asked: {question} (--yes answers)", file=sys.stderr)
            continue
        if not yes and not typer.confirm(question, err=True):
            continue
        tried = True
        try:
            print(plain(one.do()), file=sys.stderr)
        except (JanError, Refusal, OSError) as error:
            why = error.message if isinstance(error, JanError) else str(error)
            print(f"jan: not mended: {plain(why)}", file=sys.stderr)
    return tried


def outcome(check: Check) -> Verdict:
    """Run one check; what it raises is its failure."""
    try:
        return check.run()
    except Refusal as refusal:
        return Verdict(False, f"{refusal.asked}: {refusal.cause}", refusal.remedy)
    except Exception as error:  # a check may fail in any way; the others still run
        return Verdict(False, f"the check itself failed: {type(error).__name__}: {error}", "Report this to its author.")


def checks(root: Path | None, config: Path | None) -> list[Check]:
    """The kernel's checks, then those that the chosen packages bring, if the app can be built."""
    found = [Check("python", _python)]
    try:
        asked = config_from(root, config)
    except Refusal as refusal:
        return [*found, Check("config file", _raising(refusal))]
    found += [
        Check("root folder", lambda: _root(asked)),
        Check("config file", lambda: _config(asked)),
        Check("packages", lambda: _packages(asked)),
    ]
    if not outcome(found[-1]).ok:
        return found  # the app cannot be built, and for the same reason
    from jan_core.app import Jan

    try:
        jan = Jan(asked)
    except Refusal as refusal:
        return [*found, Check("app", _raising(refusal))]
    found += [Check("address", lambda: _address(jan)), Check("app", lambda: _app(jan))]
    if jan.aliases.targets and "models" in jan.endpoints:
        found.append(Check("aliases", lambda: _aliases(asked)))
    if "threads" in jan.endpoints and asked.root.is_dir():
        found.append(Check("deletions", lambda: _deletions(asked)))
    try:
        return [*found, *jan.checks()]
    except Refusal as refusal:
        return [*found, Check("packages' checks", _raising(refusal))]


def _raising(refusal: Refusal) -> Any:
    def run() -> Verdict:
        raise refusal

    return run


def _python() -> Verdict:
    return Verdict(True, f"Python {'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}")


def _root(config: Config) -> Verdict:
    if not config.root.exists():
        return Verdict(False, f"{config.root} does not exist", f"jan init --root {config.root}")
    if not os.access(config.root, os.W_OK):
        return Verdict(False, f"{config.root} cannot be written to", f"chmod u+w {config.root}")
    free = shutil.disk_usage(config.root).free
    if free < _ENOUGH_BYTES:
        return Verdict(False, f"only {free >> 20} MiB are free on the disk of {config.root}", "Make room on that disk.")
    return Verdict(True, f"{config.root}, {free >> 30} GiB free")


def _config(config: Config) -> Verdict:
    if not config.path.exists():
        return Verdict(True, f"{config.path} does not exist: everything has its default")
    return Verdict(True, str(config.path))


def _packages(config: Config) -> Verdict:
    from jan_core.cli.modules import survey

    found = survey(config)
    broken = [one["problem"] for one in found["packages"] if one["problem"]] + found["problems"]
    if broken:
        first = broken[0]
        return Verdict(False, f"{first['asked']}: {first['cause']}", first["remedy"])
    chosen = [one["name"] for one in found["packages"] if one["state"] == "chosen"]
    if not chosen:
        return Verdict(False, "no module is chosen", "pip install jan, or name modules under [endpoints] in jan.toml.")
    silent = [f"{one['distribution']} {one['warning']}" for one in found["packages"] if one["warning"]]
    return Verdict(True, f"chosen: {', '.join(chosen)}", warnings=tuple(dict.fromkeys(silent)))


def _address(jan: Any) -> Verdict:
    from jan_core.serve import bind, check_bind

    check_bind(jan)
    try:
        bind(jan).close()
    except Refusal as refusal:
        if "another program" in refusal.cause and _is_jan(jan):
            return Verdict(True, f"Jan is already serving on port {jan.server.port}")
        raise
    return Verdict(True, f"{jan.server.host}, port {jan.server.port} is free")


def _app(jan: Any) -> Verdict:
    from jan_core.asgi import create_app

    create_app(jan)
    return Verdict(True, f"serves {', '.join(jan.endpoints) or 'nothing'}")


def _aliases(config: Config) -> Verdict:
    """Whether every alias leads to a model, and none has the name of one."""
    from jan_core.app import Jan

    async def look() -> tuple[Jan, set[str]]:
        async with Jan(config) as jan:
            return jan, {one.id for one in (await jan.models.list()).data}

    jan, known = asyncio.run(look())
    for alias, target in jan.aliases.targets.items():
        stands = f"[aliases] {alias} = {target!r} ({jan.aliases.origin(alias)})"
        if alias in jan.aliases.hidden:
            why = f"{stands}: a model of that id is installed, and answers instead"
            return Verdict(False, why, "Give the alias another name, or remove the model: jan models rm " + alias)
        if alias not in known:
            return Verdict(False, f"{stands}: no such model is installed", "jan models ls shows those that are.")
    return Verdict(True, ", ".join(f"{alias} -> {target}" for alias, target in jan.aliases.targets.items()))


def _deletions(config: Config) -> Verdict:
    """Whether every thread that was deleted is gone. Any start finishes what a crash has left, and so does this."""
    from jan_core.app import Jan

    async def look() -> tuple[int, Sequence[tuple[str, str]]]:
        async with Jan(config) as jan:
            before = len(await jan.threads.deleted())
            await jan.reconciler.settled()
            return before, [(name, jan.reconciler.why(name)) for name in await jan.threads.deleted()]

    before, left = asyncio.run(look())
    if left:
        found = [f"what is left of the deleted thread {name} could not be removed: {why}" for name, why in left]
        return wrong(found, "Mend what is named; the next start, or jan doctor, removes the rest.")
    done = f"; {before} that had broken off are finished" if before else ""
    return Verdict(True, f"every deleted thread is gone{done}")


def _is_jan(jan: Any) -> bool:
    """Whether the program on our port answers like Jan."""
    import http.client

    connection = http.client.HTTPConnection(jan.server.host, jan.server.port, timeout=2)
    try:
        connection.request("GET", "/health")
        reply = connection.getresponse()
        return reply.status == 200 and reply.getheader("x-request-id", "").startswith("req_")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
