"""Refuses Python files of 400 lines or more: a file that long has two subjects.

Usage: `python scripts/check_lines.py [FILE …]`; without files, every one that git knows of or would take.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT = 400


def main(names: list[str]) -> int:
    """Print each file that is too long, and return how many there are, 1 at most; no file at all is an error too."""
    if not names:
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.py"]
        names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = [path for path in map(Path, names) if path.is_file()]
    if not paths:
        print("check_lines: found no Python file", file=sys.stderr)
        return 1
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    too_long = {path: length for path, length in lengths.items() if length >= LIMIT}
    for path, length in sorted(too_long.items()):
        print(f"{path}:{length}: {length} lines; split it, a file has fewer than {LIMIT}", file=sys.stderr)
    return 1 if too_long else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
