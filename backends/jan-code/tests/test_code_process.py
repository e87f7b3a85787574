"""Code that hangs, floods, crashes and does worse: the call ends with a clear error, and nothing else happens."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from .conftest import Assistant
from .test_code_backend import ADD, QUICK, gone

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")]

BAD = {
    "hang": ("while True: pass", "was ended: it took longer than 2 s"),
    "sleep": ("import threading; threading.Event().wait(60)", "was ended: it took longer than 2 s"),
    "deaf": (
        "import signal, threading\n    for n in range(1, 30):\n"
        "        try: signal.signal(n, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n"
        "    threading.Event().wait(60)",
        "was ended: it took longer than 2 s",
    ),
    "flood": ("while True: print('x' * 10000)", "was ended: it printed more than"),
    "large": ("return 'x' * (2 << 20)", "bad gave more than 1048576 bytes"),
    "leave": ("import os; os._exit(7)", "was ended: it ended by itself (exit code 7)"),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended: it ended by itself ("),
    "memory": ("x = bytearray(4 << 30)", "MemoryError"),
    "file": (
        "with open('/tmp/jan-large' if __import__('os').getcwd() == '/tmp' else 'large', 'wb') as f:\n"
        "        for n in range(100): f.write(bytes(1 << 20))",
        "File too large",
    ),
    "close": ("import os; os.closerange(0, 256)", "was ended: it ended by itself ("),
    "garbage": (
        "import os\n    for n in range(256):\n        try: os.write(n, b'garbage' * 10)\n"
        "        except OSError: pass\n    return 'x'",
        "was ended: it wrote into the server's channel",
    ),
    "forged": (
        "import os\n    for n in range(3, 20):\n        try: os.write(n, b'jan1' + (2**31).to_bytes(4, 'big'))\n"
        "        except OSError: pass\n    return 'x'",
        "was ended: it wrote 2147483648 bytes at once",
    ),
    "half": ("raise ValueError('\\ud800')", "ValueError: ?"),
    "recursion": ("return (lambda f: f(f))(lambda f: f(f))", "RecursionError"),
    "nested": ("x = []\n    for n in range(100000): x = [x]\n    return x", "RecursionError"),
    "no_stdout": (
        "import sys\n    sys.stdout = sys.stderr = None\n    return {1: object()}.keys().x",
        "AttributeError",
    ),
}


@QUICK
@pytest.mark.parametrize("bad", BAD)
async def test_bad_code_ends_its_call_and_the_next_one_works(assistant: Assistant, bad: str) -> None:
    body, told = BAD[bad]
    assistant.write(ADD + f'\ndef bad() -> object:\n    """B."""\n    {body}\n')
    assert await assistant.names() == ["add", "bad"]
    found = await assistant.call("bad")
    assert found.startswith("error: ")
    assert told in found
    assert await assistant.call("add", '{"a": 1}') == "2"


@QUICK
async def test_what_it_started_ends_with_it(assistant: Assistant, walls: bool, tmp_path: Path) -> None:
    assistant.write('''
import os, signal
def many() -> None:
    """M."""
    for n in range(40):
        if os.fork() == 0:
            signal.pause()
    signal.pause()
''')
    assert await assistant.names() == ["many"]
    group = assistant.pid
    found = await assistant.call("many")
    assert "longer than 2 s" in found or "BlockingIOError" in found
    async with asyncio.timeout(20):
        while members(group):
            await asyncio.sleep(0.05)


def there(*parts: str) -> bool:
    return os.path.exists(os.path.join(*parts))


def members(group: int) -> list[int]:
    """Processes of a group."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getpgid(int(name)) == group:
                    found.append(int(name))
            except ProcessLookupError:
                continue
    return found


async def test_a_call_that_is_cancelled_ends_the_process(assistant: Assistant) -> None:
    assistant.write(ADD + '\ndef hang() -> None:\n    """H."""\n    while True: pass\n')
    assert await assistant.names() == ["add", "hang"]
    pid = assistant.pid
    task = asyncio.create_task(assistant.call("hang"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(pid)
    assert await assistant.call("add", '{"a": 1}') == "2"


async def test_a_start_that_is_cancelled_leaves_no_folder(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assistant.write(ADD)
    folder = tmp_path / "private"
    making, go, made = threading.Event(), threading.Event(), threading.Event()

    def slow(*, prefix: str) -> str:
        making.set()
        go.wait(20)
        folder.mkdir()
        made.set()
        return str(folder)

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "mkdtemp", slow)
        task = asyncio.create_task(assistant.names())
        assert await asyncio.to_thread(making.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await asyncio.to_thread(made.wait, 20)
    async with asyncio.timeout(20):
        while there(str(folder)):
            await asyncio.sleep(0.01)
    assert await assistant.names() == ["add"]


SERVER = """
import asyncio, json, sys
from pathlib import Path
from jan_code.backend import Code
from jan_core.testing.wired import wired

async def main():
    jan = wired(Path(sys.argv[1]))
    code = jan.backend(Code)
    code._tried = sys.argv[2] == "False"
    async with jan:
        await code.tools("a")
        print(code._running["a"].process._transport.get_pid(), code._running["a"].private, flush=True)
        await code.call("a", "hang", "{}")

asyncio.run(main())
"""


async def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path: Path, walls: bool) -> None:
    index = tmp_path / "assistants" / "a" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text('def hang() -> None:\n    """H."""\n    while True: pass\n')
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(tmp_path), str(walls), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    pid, private = (await server.stdout.readline()).decode().split()
    await asyncio.sleep(0.2)  # the call is on its way, or was made
    server.kill()
    await server.wait()
    try:
        await gone(int(pid))
    finally:
        shutil.rmtree(private)


@pytest.mark.parametrize("assistant", [{"processes": 8, "call_seconds": 5.0}], indirect=True)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of processes is Linux's")
async def test_the_system_is_asked_to_limit_processes(assistant: Assistant, walls: bool) -> None:
    assistant.write('''
import resource
def limit() -> int:
    """L."""
    return resource.getrlimit(resource.RLIMIT_NPROC)[1]
''')
    found = int(await assistant.call("limit"))
    assert found == 8 if walls else found > 8


async def test_no_keys_and_a_home_that_goes(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assistant.write('''
import os
def look() -> dict:
    """L."""
    open(os.path.join(os.environ["HOME"], "note"), "w").write("x")
    return {"env": dict(os.environ), "argv": __import__("sys").path}
''')
    found = json.loads(await assistant.call("look"))
    assert set(found["env"]) <= {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONUTF8", "PWD", "LC_CTYPE"}
    assert not any("jan-code/tests" in one or one.endswith("site-packages") for one in found["argv"])
    private = assistant.code._running["a"].private
    assert there(private, "note")
    assistant.write(ADD)
    assert await assistant.names() == ["add"]
    async with asyncio.timeout(20):
        while there(private):
            await asyncio.sleep(0.01)


REACH = '''
import os, socket
def disk(path: str) -> str:
    """D."""
    return ",".join(sorted(os.listdir(path)))
def read(path: str) -> str:
    """R."""
    return open(path).read()
def write(path: str) -> str:
    """W."""
    open(path, "w").write("x")
    return "written"
def net(port: int) -> str:
    """N."""
    socket.create_connection(("127.0.0.1", port), 1).close()
    return "connected"
'''


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is for Linux only")
class TestWalls:
    async def test_the_disk_is_out_of_sight(self, assistant: Assistant, walls: bool, tmp_path: Path) -> None:
        if not walls:
            return
        (tmp_path / "secret").write_text("key")
        (assistant.folder / "threads").mkdir()
        (assistant.folder / "threads" / "said").write_text("private")
        assistant.index.with_name("data.txt").write_text("mine")
        assistant.write(REACH)
        await assistant.settled()

        async def call(name: str, path: object) -> str:
            return await assistant.call(name, json.dumps({"path": str(path)}))

        assert await call("read", assistant.index.with_name("data.txt")) == "mine"
        assert await call("read", assistant.folder / "assistant.json") == "{}"
        assert "FileNotFoundError" in await call("read", tmp_path / "secret")
        assert "FileNotFoundError" in await call("read", "/etc/passwd")
        assert "FileNotFoundError" in await call("read", assistant.folder / "threads" / "said")
        pid = assistant.pid
        (assistant.folder / "models").mkdir()
        (assistant.folder / "models" / "said").write_text("private")
        assert "FileNotFoundError" in await call("read", assistant.folder / "models" / "said")
        assert assistant.pid == pid
        assert await call("disk", assistant.folder) == "assistant.json,src"
        assert "Read-only" in await call("write", assistant.index)
        assert "Read-only" in await call("write", "/x")
        assert "Read-only" in await call("write", "/dev/shm/x")
        assert await call("write", "/tmp/x") == "written"
        assert not {"home", "var", "srv"} & set((await call("disk", "/")).split(","))

    async def test_the_network_is_there_only_where_the_assistant_says_so(
        self, assistant: Assistant, walls: bool
    ) -> None:
        if not walls:
            return
        assistant.write(REACH)
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            assert "refused" in await assistant.call("net", f'{{"port": {port}}}')
            (assistant.folder / "assistant.json").write_text('{"network": true}')
            assert await assistant.call("net", f'{{"port": {port}}}') == "connected"
        finally:
            server.close()
            await server.wait_closed()
