"""What goes wrong with the folder, as the caller of an operation is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jan_core.errors import InvalidRequest, Unavailable
from jan_core.folder.locks import Locked
from jan_core.folder.objects import Damaged, Oversized


@contextmanager
def answered(what: str, *, param: str | None = None) -> Iterator[None]:
    """Turn what files raise into errors of the API.

    Args:
        what: was tried, as the beginning of a sentence: `The thread 'x' was not changed`.
        param: names the object, for one whose file is damaged.

    Raises:
        InvalidRequest: a file is damaged; code `damaged_file`. Or an object has become too large for one, and was not
            stored; code `object_too_large`.
        Unavailable: the disk failed or is full, or somebody else holds the lock for too long.
    """
    try:
        yield
    except Damaged as error:
        raise damaged(error, param=param) from None
    except Oversized as error:
        raise InvalidRequest(f"{what}: {error}.", param=param, code="object_too_large") from None
    except Locked as error:
        raise Unavailable(f"{what}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Unavailable(f"{what}: {where}{error.strerror or error}.", code="storage_failed") from error


def damaged(error: Damaged, *, param: str | None = None) -> InvalidRequest:
    """The error for an object whose file is damaged."""
    message = f"{error}. Mend the file, or move it away; `jan doctor` lists all that are damaged."
    return InvalidRequest(message, param=param, code="damaged_file")
