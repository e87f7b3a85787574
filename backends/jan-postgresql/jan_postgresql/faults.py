"""What PostgreSQL refuses or fails in, as the caller of an operation is told of it."""

from __future__ import annotations

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from jan_core.errors import InvalidRequest, JanError, Unavailable

AWAY = "storage_unavailable"
"""The code of answers while the database cannot be reached."""
FAILED = "storage_failed"
"""The code of answers where the database can be reached and could not do it."""

AGAIN = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)
"""The transaction was undone because of another one; the same again will do."""
NO_TABLES = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.UndefinedFunction)


def is_lost(error: BaseException) -> bool:
    """True where the connection is gone, or leads to a server that cannot do the work, so that another may help.

    What the statement did is then unknown: it may have been committed.
    """
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return True  # the server became a standby
    if isinstance(error, psycopg.OperationalError):
        state = error.sqlstate
        # 57P…: it is shutting down, starting, or was told to end this session; 57014 is a statement that was too slow.
        return state is None or state.startswith(("08", "57P"))
    return isinstance(error, psycopg.InterfaceError)


_PASSING = ("starting up", "shutting down", "recovery", "too many", "connection slots", "not accepting", "not yet")


def may_come_back(error: Exception) -> bool:
    """True where waiting may help: nobody answers, or the server is starting, stopping or full.

    A refused connection has no code, so its words have to do; where they are of another language, it is waited.
    """
    if not isinstance(error, psycopg.Error):
        return True
    if error.sqlstate is not None:
        return is_lost(error) or error.sqlstate.startswith("53")
    text = str(error)
    if "no password supplied" in text:
        return False
    return "FATAL" not in text or any(words in text for words in _PASSING)


def answer_to(error: Exception) -> JanError:
    """The error of the API for what the driver or the pool raised."""
    if isinstance(error, JanError):
        return error
    if isinstance(error, PoolTimeout | TooManyRequests | PoolClosed):
        return Unavailable("The database cannot be reached, or has no connection to spare; try again.", code=AWAY)
    if is_lost(error):
        return Unavailable(f"The database broke off: {told(error)}; try again.", code=AWAY)
    if isinstance(error, NO_TABLES):
        return Unavailable(f"The database lacks tables ({told(error)}); run `jan db migrate`.", code=FAILED)
    if (getattr(error, "sqlstate", None) or "")[:2] in ("22", "54"):
        return InvalidRequest(f"The database cannot hold this: {told(error)}.", code="not_storable")
    return Unavailable(f"The database could not do it: {told(error)}.", code=FAILED)


def told(error: BaseException) -> str:
    """What went wrong, in one line, without the values of any statement."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
