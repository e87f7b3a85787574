"""The documentation's examples: fenced blocks, found and run, and what its headings and links are called."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ADDRESS = "127.0.0.1:1337"
"""The address that the documents use, replaced by that of the server under test."""

_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'file="([^"]+)"')
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, the words after it, its text."""

    path: Path
    line: int
    language: str
    words: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the block is saved as; None where it is run."""
        found = _FILE.search(self.words)
        return found[1] if found else None

    @property
    def tested(self) -> bool:
        return "test" in self.words.split()

    @property
    def refused(self) -> bool:
        """Whether it shows a command that is refused: then what counts is what it says on standard error."""
        return "refused" in self.words.split()

    @property
    def output(self) -> bool:
        """Whether it shows what the block before it prints; `…` stands for anything."""
        return "output" in self.words.split()


def documents() -> list[Path]:
    """Every page that people read."""
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@cache
def blocks(path: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    text = path.read_text("utf-8")
    return tuple(
        Block(path, text.count("\n", 0, found.start()) + 1, found[1], found[2], found[3])
        for found in _FENCE.finditer(text)
    )


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", path.read_text("utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, numbered where two have the same words."""
    found: list[str] = []
    for title in re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", bare).strip().lower())
        found.append(slug if slug not in found else f"{slug}_{found.count(slug)}")
    return set(found)


def links(path: Path) -> Iterator[str]:
    """The targets of a page's links and pictures that lead to other pages of the repository."""
    return (target for target in _LINK.findall(prose(path)) if "://" not in target)


def commands(path: Path) -> Iterator[tuple[str, str]]:
    """Every `jan …` command line of a page, with the place it stands at."""
    for block in blocks(path):
        if block.language == "console":
            for number, line in enumerate(block.text.replace("\\\n", " ").splitlines(), block.line + 1):
                found = re.search(r"(?:^|\s)jan (.*?)(?:\s+#.*|\s*\|\|.*)?$", line)
                if found:
                    yield f"{path.relative_to(REPOSITORY)}:{number}", found[1]
    for code in re.findall(r"`jan ([^`]+)`", prose(path)):
        yield str(path.relative_to(REPOSITORY)), code


def run(block: Block, folder: Path, address: str, environ: Mapping[str, str]) -> str:
    """Run a block in `folder`, against the server under test; return what it prints."""
    text = block.text.replace(ADDRESS, address)
    environ = {**environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])}
    command = {
        "python": [sys.executable, "-W", "error", "-c", text],
        "console": ["bash", "-euo", "pipefail", "-c", text],
    }
    done = subprocess.run(
        command[block.language], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    expected = 2 if block.refused else 0
    assert done.returncode == expected, f"{block.place} ends with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stderr if block.refused else done.stdout


def matches(shown: str, printed: str) -> bool:
    """Whether output is as shown; `…` in what is shown stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
