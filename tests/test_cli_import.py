from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path

import pytest

from tests.command_line import POSIX, Call, Terminal, end, jan_command, start, until
from tests.foreign import GGUF, NEW_THREAD, OLD_THREAD, lines, newer, older, said, tree, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return newer(older(tmp_path / "app"))


def test_a_desktop_apps_root(jan: Call, source: Path, tmp_path: Path) -> None:
    root, before = tmp_path / "root", tree(source)
    done = jan("import", source, "--root", root)
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "models      2 imported, 1 without a file",
        "assistants  2 imported",
        "threads     2 imported (6 messages)",
    ]
    assert "  assistant 5f1c: parameters.top_k was left out: an assistant has no such field" in done.out
    assert done.err.startswith("2 threads (")
    again = jan("import", source, "--root", root)
    assert again.code == 0
    assert again.out.splitlines()[2] == "threads     2 here already"
    assert tree(source) == before
    told = json.loads(jan("threads", "show", OLD_THREAD, "--json", "--root", root).out)
    assert [one["role"] for one in told["messages"]] == ["user", "assistant", "user", "assistant"]
    settings = json.loads(jan("threads", "show", OLD_THREAD, "--settings", "--json", "--root", root).out)
    assert settings["instructions"]["value"] == "Be brief."
    assert settings["model"]["value"] == "tiny-q4"
    file = root / "models" / "tiny-q4" / "tiny.Q4.gguf"
    assert os.path.samefile(file, source / "models" / "tiny-q4" / "tiny.Q4.gguf")


def test_the_models_copied(jan: Call, source: Path, tmp_path: Path) -> None:
    assert jan("import", source, "--copy", "--root", tmp_path / "root").code == 0
    file = tmp_path / "root" / "models" / "tiny-q4" / "tiny.Q4.gguf"
    assert not os.path.samefile(file, source / "models" / "tiny-q4" / "tiny.Q4.gguf")
    assert file.read_bytes() == GGUF


def test_a_dry_run(jan: Call, source: Path, tmp_path: Path) -> None:
    done = jan("import", source, "--dry-run", "--root", tmp_path / "root")
    assert done.code == 0
    assert "threads     2 would be imported (6 messages)" in done.out
    assert not (tmp_path / "root").exists()
    (tmp_path / "root").mkdir()
    assert jan("import", source, "--dry-run", "--root", tmp_path / "root").code == 0
    assert [*(tmp_path / "root").iterdir()] == []


def test_what_is_skipped_is_named_with_its_line(jan: Call, source: Path, tmp_path: Path) -> None:
    file = write(source / "threads" / OLD_THREAD / "messages.jsonl", lines(said("user", "a", 1), "{torn\x1b"))
    done = jan("import", source, "--root", tmp_path / "root")
    assert done.code == 1
    assert f"\nSkipped:\n  {file}, line 2: " in done.out
    told = json.loads(jan("import", source, "--json", "--root", tmp_path / "root").out)
    assert not told["whole"]
    (thread,) = [one for one in told["items"] if one["id"] == OLD_THREAD]
    assert thread["outcome"] == "present"
    assert thread["problems"][0]["line"] == 2


def test_long_lists_are_cut(jan: Call, tmp_path: Path) -> None:
    for number in range(25):
        write(tmp_path / "app" / "threads" / f"t{number}" / "thread.json", "{")
    done = jan("import", tmp_path / "app", "--root", tmp_path / "root")
    assert (done.code, len(done.out.splitlines())) == (1, 26)
    assert done.out.splitlines()[-1] == "  … and 5 more; --json lists all."


@pytest.mark.parametrize("folder", ["none", "empty", "root"])
def test_what_is_no_foreign_root(jan: Call, tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    older(tmp_path / "root")
    done = jan("import", tmp_path / folder, "--root", tmp_path / "root")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1


@POSIX
def test_ctrl_c_and_then_again(tmp_path: Path) -> None:
    source, root = older(tmp_path / "app"), tmp_path / "root"
    many = [said("user", f"m{number}", number) for number in range(3000)]
    write(source / "threads" / "long" / "messages.jsonl", lines(*many))
    write(source / "threads" / "long" / "thread.json", {"created": 5})
    with Terminal(*jan_command("import", str(source), "--root", str(root))) as terminal:
        terminal.until("2 threads")
        terminal.process.send_signal(signal.SIGINT)
        code = terminal.ended()
    assert code in (130, 0)  # 0 where it was quicker
    if code == 130:
        assert "It was stopped before the end. Run it again: it goes on where it stopped." in terminal.seen
    done = end(start("import", source, "--root", root), seconds=60)
    assert done.code == 0
    told = json.loads(end(start("threads", "show", "long", "--json", "--root", root), seconds=30).out)
    assert [one["content"][0]["text"]["value"] for one in told["messages"]] == [f"m{number}" for number in range(3000)]


def test_a_server_that_runs_serves_what_is_brought_in(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    server = start("serve", "--root", root, "--port", "0")
    try:
        address = until(server, "/v1 ").split("/v1")[0].rpartition("http://")[2]
        assert ids(address) == []
        assert end(start("import", source, "--root", root), seconds=60).code == 0
        assert ids(address) == [NEW_THREAD, OLD_THREAD]
        assert end(start("threads", "rm", "--yes", OLD_THREAD, "--root", root), seconds=60).code == 0
        assert ids(address) == [NEW_THREAD]
    finally:
        server.terminate()
        assert end(server, seconds=30).code == 0


def ids(address: str) -> list[str]:
    """The threads that a server lists."""
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/v1/threads")
    listed = json.loads(connection.getresponse().read())["data"]
    connection.close()
    return [one["id"] for one in listed]
