"""The backend's check for `jan doctor`: what stands around the code of assistants."""

from __future__ import annotations

import sys

from jan_code.walls import find_bwrap
from jan_core.check import Check, Verdict

LESS = (
    "Code of assistants runs without bubblewrap: in a process of its own, with limits and without keys, but with the "
    "network and the files of the user that runs the server."
)
MENDED = "sudo apt-get install bubblewrap"


def checks() -> list[Check]:
    """Whether the code of assistants is kept from the network and the disk."""
    return [Check("jan-code: what the code of assistants can reach", _walls)]


def _walls() -> Verdict:
    path, told = find_bwrap()
    if path is not None:
        return Verdict(
            True,
            f"Code of assistants runs inside bubblewrap: {told} It sees its own folder, and no network.",
        )
    remedy = MENDED if sys.platform.startswith("linux") else ""
    return Verdict(True, LESS, remedy, warnings=(f"{told} {LESS}",))
