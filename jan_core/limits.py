"""How much a client may send, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may send, and how long it may take. Every value must be above 0; ValueError if one is not.

    Attributes:
        header_bytes: size of request line and header block together, in bytes; more is answered 431. Applies to
            the trailers of a chunked body too. For a request sent ahead of an answer it may be exceeded up to twofold.
        header_count: number of header lines; more is answered 431.
        header_seconds: time from the first byte (for a new connection: from connecting) to the end of the header
            block; then 408, or a plain close if not a byte has come.
        body_seconds: time without a byte of the body arriving, and grace on the whole of it: it must be there after
            `body_seconds` plus one second for each 1024 bytes received; then 408. Time in which the server itself
            does not read does not count.
        write_seconds: time for which the client may leave the answer unread once the send buffer is full, plus one
            second for each 1024 bytes it did take; then the connection is dropped.
    """

    header_bytes: int = 32 * 1024
    header_count: int = 100
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be above 0, not {getattr(self, field.name)!r}")
