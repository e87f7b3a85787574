"""What a key may be used for: endpoints, and the packages that bring routes of their own, to read or to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

READ, WRITE = "read", "write"
"""GET and HEAD read; every other method writes, also one that only asks a model."""
EVERY = "*"
"""Every endpoint and every package."""

_SCOPE = re.compile(r"(\*|[a-z0-9][a-z0-9_-]{0,99})(?::(read|write))?")


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a key may do.

    Attributes:
        listed: as they were written, such as `chat`, `threads:read`, `*:read`.
        pairs: name and `read` or `write`.
    """

    listed: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]

    def permit(self, owner: str, access: str) -> bool:
        """True where what belongs to `owner` may be read, or written."""
        return (owner, access) in self.pairs or (EVERY, access) in self.pairs

    def names(self) -> Sequence[str]:
        """The endpoints and packages that are named, in order."""
        return [one.partition(":")[0] for one in self.listed if one.partition(":")[0] != EVERY]


def read_scopes(listed: Iterable[str]) -> Scopes:
    """Understand a list of scopes.

    Raises:
        ValueError: one is no scope; the text says which, and how they are written.
    """
    pairs = set()
    texts = tuple(listed)
    for text in texts:
        match = _SCOPE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:100]!r} is no scope: write an endpoint, such as 'chat', with ':read' or ':write' behind it "
                "for one of the two; '*' is every endpoint"
            )
        pairs |= {(match[1], access) for access in (READ, WRITE) if match[2] in (None, access)}
    return Scopes(texts, frozenset(pairs))


def access_of(method: str) -> str:
    """What an HTTP method does: `read` or `write`."""
    return READ if method in ("GET", "HEAD") else WRITE
