"""What goes wrong with the folder, as the caller of an operation is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_core.errors import InvalidRequest, Unavailable
from jan_core.folder.locks import Locked
from jan_core.folder.objects import Damaged, Oversized

if TYPE_CHECKING:
    from types import TracebackType


class answered:  # small, since it is used as the function it would be, if a generator were not three times as slow
    """Turn what files raise into errors of the API, while the block runs.

    Args:
        what: was tried, as the beginning of a sentence: `The thread 'x' was not changed`.
        param: names the object, for one whose file is damaged.

    Raises:
        InvalidRequest: a file is damaged; code `damaged_file`. Or an object has become too large for one, and was not
            stored; code `object_too_large`.
        Unavailable: the disk failed or is full, or somebody else holds the lock for too long.
    """

    __slots__ = ("_param", "_what")

    def __init__(self, what: str, *, param: str | None = None) -> None:
        self._what, self._param = what, param

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise what the API says instead."""
        what = self._what
        if isinstance(error, Damaged):
            raise damaged(error, param=self._param) from None
        if isinstance(error, Oversized):
            raise InvalidRequest(f"{what}: {error}.", param=self._param, code="object_too_large") from None
        if isinstance(error, Locked):
            raise Unavailable(f"{what}: {error}") from error
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            raise Unavailable(f"{what}: {where}{error.strerror or error}.", code="storage_failed") from error


def damaged(error: Damaged, *, param: str | None = None) -> InvalidRequest:
    """The error for an object whose file is damaged."""
    message = f"{error}. Mend the file, or move it away; `jan doctor` lists all that are damaged."
    return InvalidRequest(message, param=param, code="damaged_file")
