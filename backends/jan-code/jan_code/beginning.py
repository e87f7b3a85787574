"""The files that an assistant's code begins with."""

from __future__ import annotations

import os
import re
import shutil
import tempfile

from jan_code.source import INDEX, PYPROJECT, SRC
from jan_core.errors import Conflict, NotFound
from jan_core.folder.layout import ASSISTANT_FILE, Layout

FIRST_INDEX = '''\
"""Functions that the assistant may call. They run on this machine, in a process of their own.

A public function is a tool where it has a docstring, and a type hint on each argument. The model reads both.
"""

from __future__ import annotations

import random
from typing import Literal


def roll(sides: Literal[4, 6, 8, 12, 20] = 6) -> int:
    """Roll a die, and tell the number that it shows.

    Args:
        sides: How many sides the die has.
    """
    return random.randint(1, sides)
'''
FIRST_PYPROJECT = """\
# What index.py needs besides Python itself; installed by: jan assistants install {id}
[project]
name = "{name}"
version = "0"
requires-python = ">=3.11"
dependencies = []
"""

_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def begin(layout: Layout, assistant_id: str) -> str:
    """Give an assistant code that works: `src/index.py` and `src/pyproject.toml`. Blocks.

    Both are there, or neither is.

    Returns:
        The path of `index.py`.

    Raises:
        NotFound: there is no assistant of this id.
        Conflict: it has a folder `src` already, which is left as it is.
        InvalidRequest: the id cannot be a name, or its folder leads out of the root.
        OSError: the files cannot be written.
    """
    folder = layout.assistant_folder(assistant_id)
    if not os.path.isfile(os.path.join(folder, ASSISTANT_FILE)):
        raise NotFound(f"There is no assistant {assistant_id!r}. jan assistants ls")
    src = os.path.join(folder, SRC)
    if os.path.lexists(src):
        raise Conflict(f"{src} is there already; it was left as it is.", code="code_exists")
    layout.check_writable(src)
    name = assistant_id if _PROJECT.fullmatch(assistant_id) else "assistant"
    texts = {INDEX: FIRST_INDEX, PYPROJECT: FIRST_PYPROJECT.format(id=assistant_id, name=name)}
    new = tempfile.mkdtemp(prefix=".src-", dir=folder)
    try:
        inside = os.path.join(new, SRC)  # with the rights of any new folder, which those of `mkdtemp` are not
        os.mkdir(inside)
        for file, text in texts.items():
            with open(os.path.join(inside, file), "x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
        os.rename(inside, src)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return os.path.join(src, INDEX)
