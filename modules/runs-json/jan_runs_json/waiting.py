"""Runs that wait for their clients: each is read once, for thousands may wait, and somebody asks every few seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from jan_core.errors import JanError
from jan_core.folder.signature import Signature, signature
from jan_core.ids import now
from jan_runs_json.files import RunFiles


class WaitingRuns:
    """Which runs of one root wait, as they were when they were asked for last.

    Args:
        files: reads them.
    """

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._known: dict[str, tuple[Signature, int]] = {}

    def others(self, ids: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of these runs that do not wait, or have waited too long. All others are forgotten. Blocks.

        Args:
            ids: thread and run of each.

        Raises:
            InvalidRequest: an id cannot be one.
        """
        found, before, self._known = [], self._known, {}
        for thread_id, run_id in ids:
            path = self._files.path(thread_id, run_id)
            known = before.get(path)
            if known is None or known[0] != signature(path):
                known = self._read(thread_id, run_id)
            if known is not None and now() < known[1]:
                self._known[path] = known
            else:
                found.append((thread_id, run_id))
        return found

    def _read(self, thread_id: str, run_id: str) -> tuple[Signature, int] | None:
        """Of a run that waits: the signature of its file, and when it expires."""
        try:
            found = self._files.find(thread_id, run_id, may_read=True)
        except (JanError, OSError):
            return None
        if found is None or found.kept is None or found.seen is None or not found.settled:
            return None
        run = found.kept.run
        if run.status != "requires_action":
            return None
        return found.seen, sys.maxsize if run.expires_at is None else run.expires_at
