"""A real disk of 256 KB under a real server: full, it refuses and keeps what it has; with room again, it goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import JanServer
from tests.faults.conversation import check_files
from tests.faults.wire import Wire

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        said = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError as error:
        said = str(error)
    if said:
        pytest.skip(f"a file system of 256 KB cannot be mounted here: {said}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=60)


def check_refusal(status: int, reply: Any) -> None:
    assert status in (503, 507), (status, reply)
    assert [*reply["error"]] == ["message", "type", "param", "code"], reply
    assert reply["error"]["type"] == "server_error", reply


@pytest.mark.parametrize("append", ["in-place", "rewrite"])
def test_a_full_disk_refuses_keeps_and_goes_on(small_disk: Path, append: str, full_counts: bool) -> None:
    root, rounds, refused, acknowledged = small_disk / "root", 20 if full_counts else 3, 0, 0
    root.mkdir()
    (root / "jan.toml").write_text(f'[messages-json]\nappend = "{append}"\n')
    filler = small_disk / "filler"
    with JanServer(root) as server:
        wire = Wire(server.port)
        thread = wire.good("POST", "/threads", {"title": "kept"})
        path, texts = f"/threads/{thread['id']}/messages", list[str]()
        for number in range(rounds):
            room = os.statvfs(small_disk)
            # Some pages are left, each round as many others.
            filler.write_bytes(bytes(max(0, room.f_bavail * room.f_bsize - 4096 * (number % 5 + 1))))
            before = refused
            for size in range(200, 200_000, 977):
                text = f"{number} {size} " + "x" * size
                status, reply = wire.ask("POST", path, {"role": "user", "content": text})
                if status == 200:
                    texts.append(text)
                    acknowledged += 1
                    continue
                check_refusal(status, reply)
                refused += 1
                if refused - before == 3:
                    break
            assert refused - before == 3, "the disk did not become full"
            for method, where, body in (
                ("POST", "/threads", {"messages": [{"role": "user", "content": "y" * 9000}]}),
                ("POST", f"/threads/{thread['id']}", {"metadata": {"x" * 60: "y" * 500}}),
                ("POST", "/assistants", {"model": "m", "instructions": "y" * 9000}),
            ):
                status, reply = wire.ask(method, where, body)
                if status != 200:
                    check_refusal(status, reply)
                    refused += 1
            assert wire.texts(thread["id"]) == texts, "a full disk cost what was acknowledged, or added what was not"
            filler.unlink()
            texts.append(f"{number} again")
            wire.good("POST", path, {"role": "user", "content": texts[-1]})
            assert wire.texts(thread["id"]) == texts
            check_files(root)
            last = wire.all(path)
            for one in last[:-1]:
                wire.good("DELETE", f"{path}/{one['id']}")
            texts = texts[-1:]
        wire.close()
    with JanServer(root) as server:
        wire = Wire(server.port)
        assert wire.texts(thread["id"]) == texts
        wire.close()
        assert check_files(root) >= 3
    print(
        f"\n256 KB, {append}: full {rounds} times: {refused} requests refused with an error, {acknowledged} appends "
        f"acknowledged; 0 false acknowledgements, 0 lost; the next append worked each time"
    )
