from __future__ import annotations

import io
import subprocess
import sys

import pytest

from jan_core.cli import progress as shown
from jan_core.cli.progress import Lines, show_progress
from jan_core.pull.progress import in_words


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with show_progress(stream) as progress:
        progress.start("Downloading [a].gguf", 2_000_000, done=1_000_000)
        progress.advance(500_000)
        progress.note("A [note].")
    text = stream.getvalue()
    assert "Downloading [a].gguf" in text
    assert "1.5/2.0 MB" in text
    assert "A [note]." in text


def test_a_pipe_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(shown.time, "monotonic", lambda: float(next(clock)))
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start("Downloading x.gguf", 10_000_000, done=2_000_000)
    lines.advance(999_999)
    lines.advance(1)
    lines.advance(7_000_000)
    lines.start("Unknown", None)
    lines.advance(100_000_000)
    assert stream.getvalue().splitlines() == [
        "Downloading x.gguf (10.0 MB)",
        "   30 %  3.0 MB, 1.0 MB/s, 7 s left",
        "  100 %  10.0 MB, 4.0 MB/s, 0 s left",
        "Unknown",
        "  100.0 MB, 100.0 MB/s",
    ]


def test_a_short_step_is_one_line() -> None:
    stream = io.StringIO()
    with show_progress(stream) as progress:
        progress.start("Checking x.gguf", 100)
        for _ in range(100):
            progress.advance(1)
        progress.start("Empty", 0)
        progress.advance(0)
    assert stream.getvalue().splitlines() == ["Checking x.gguf (100 bytes)", "Empty (0 bytes)"]


def test_rich_is_loaded_for_a_terminal_only() -> None:
    code = (
        "import io, sys\n"
        "from jan_core.cli.progress import show_progress\n"
        "with show_progress(io.StringIO()) as progress: progress.start('x', 1)\n"
        "sys.exit('rich.progress' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (10**13, "10.0 TB"),
    ],
)
def test_sizes_in_words(size: int, expected: str) -> None:
    assert in_words(size) == expected
