"""What tests of the kernel build apps of: parts in memory, packages in a folder, requests to the scripted engine."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from jan_core.app import Jan
from jan_core.config import Config, load
from jan_core.discovery import GROUPS, Discovery
from jan_core.hookspecs import hookimpl
from jan_core.testing.wired import KERNEL, SCRIPTED

NOTES = {"endpoints": {**KERNEL, "notes": "tests.notes:Notes"}}


def part(monkeypatch: pytest.MonkeyPatch, name: str, **hooks: Callable[..., Any]) -> str:
    """An importable module with these hooks; returns the module's name, as an entry point's value."""
    module = ModuleType("part_" + name.replace("-", "_"))
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def plugins(monkeypatch: pytest.MonkeyPatch, hook: str, **built: Mapping[str, Any]) -> dict[str, str]:
    """Plugins, outermost first, each with one hook that returns what is given; name to entry point."""
    return {name: part(monkeypatch, name, **{hook: _returning(value)}) for name, value in built.items()}


def _returning(value: Any) -> Callable[..., Any]:
    return lambda settings, jan: value


def chat_body(script: Mapping[str, Any] | str, model: str = "scripted", **fields: Any) -> dict[str, Any]:
    """The body of a chat request that carries this script."""
    text = script if isinstance(script, str) else json.dumps(script)
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; an error after a minute."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


async def leave(jan: Jan, http: httpx2.AsyncClient) -> None:
    """Ask for a stream and for a plain answer that would never end, and go away from both."""
    hangs = chat_body({"say": ["a"], "hang": True})
    async with http.stream("POST", "chat/completions", json={**hangs, "stream": True}) as reply:
        assert reply.status_code == 200
    waits = asyncio.create_task(http.post("chat/completions", json=hangs))
    await until(lambda: len(jan.under_way) == 1)
    waits.cancel()
    await asyncio.wait({waits})


def datas(raw: bytes) -> list[Any]:
    """The data of a stream's unnamed events, parsed; `[DONE]` as it is."""
    found = []
    for block in raw.split(b"\n\n")[:-1]:
        assert block.startswith(b"data: "), block
        data = block.removeprefix(b"data: ")
        found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
    return found


class Site:
    """A folder on `sys.path`, like site-packages, with real metadata."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        distribution: str,
        files: Mapping[str, str],
        entries: Mapping[str, Mapping[str, str]],
        version: str = "1.0",
        requires: Sequence[str] = ("jan-core>=0.1,<1",),
    ) -> None:
        """Install a package: path to text, group (without `jan.`) to entry points, and what it requires."""
        for path, text in files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(head + "".join(f"Requires-Dist: {one}\n" for one in requires), "utf-8")
        groups = [
            f"[jan.{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
            for group, named in entries.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups), "utf-8")
        importlib.invalidate_caches()

    def found(self) -> dict[str, list[EntryPoint]]:
        """The entry points of this folder's packages, and the kernel's endpoints and scripted modules."""
        own = [entry for one in distributions(path=[str(self.folder)]) for entry in one.entry_points]
        found = {group: [entry for entry in own if entry.group == f"jan.{group}"] for group in GROUPS}
        found["endpoints"] += [EntryPoint(name, value, "jan.endpoints") for name, value in KERNEL.items()]
        found["modules"] += [EntryPoint(name, value, "jan.modules") for name, value in SCRIPTED.items()]
        return found

    def config(self, text: str, **environ: str) -> Config:
        """The config of a root whose `jan.toml` has this text."""
        root = self.folder.parent / "root"
        root.mkdir(exist_ok=True)
        (root / "jan.toml").write_text(text, "utf-8")
        return load(root, environ=environ)

    def discovery(self, text: str, **environ: str) -> Discovery:
        """The discovery of this folder's packages under this config."""
        return Discovery(self.config(text, **environ), self.found())

    def forget(self) -> None:
        """Unload what was imported from here."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
