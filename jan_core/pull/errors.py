"""What a pull can end with, other than a model."""

from __future__ import annotations


class PullError(Exception):
    """The pull failed. The message says in one or two lines what failed and what to do; no traceback is needed.

    Args:
        message: whole sentences for a person. No passwords, no tokens.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PullStopped(PullError):
    """The person stopped it (Ctrl-C). The message says what is kept; a command line exits with 130."""
