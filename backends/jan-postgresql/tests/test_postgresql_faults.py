from __future__ import annotations

import psycopg
import pytest
from jan_postgresql.faults import answer_to, is_lost, may_come_back, told
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from jan_core.errors import InvalidRequest, NotFound, Unavailable


@pytest.mark.parametrize("kind", [PoolTimeout, PoolClosed, TooManyRequests])
def test_no_connection(kind: type[Exception]) -> None:
    answer = answer_to(kind("x"))
    assert isinstance(answer, Unavailable)
    assert (answer.code, answer.headers["Retry-After"]) == ("storage_unavailable", "1")


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection unexpectedly"),
        psycopg.InterfaceError("the connection is closed"),
        errors.AdminShutdown("x"),
        errors.CrashShutdown("x"),
        errors.CannotConnectNow("x"),
        errors.ConnectionFailure("x"),
        errors.ReadOnlySqlTransaction("x"),
    ],
)
def test_a_lost_connection(error: psycopg.Error) -> None:
    assert is_lost(error)
    answer = answer_to(error)
    assert (answer.status, answer.code) == (503, "storage_unavailable")


@pytest.mark.parametrize("error", [errors.QueryCanceled("x"), errors.DiskFull("x"), errors.UniqueViolation("x")])
def test_what_another_connection_would_not_help(error: psycopg.Error) -> None:
    assert not is_lost(error)
    assert (answer_to(error).status, answer_to(error).code) == (503, "storage_failed")


def test_tables_that_are_missing() -> None:
    assert "jan db migrate" in answer_to(errors.UndefinedTable("relation jan.x does not exist")).message


@pytest.mark.parametrize("error", [errors.StatementTooComplex("x"), errors.UntranslatableCharacter("x")])
def test_what_it_cannot_hold_is_a_bad_request(error: psycopg.Error) -> None:
    assert isinstance(answer_to(error), InvalidRequest)


def test_an_error_of_the_api_stays_what_it_is() -> None:
    error = NotFound("x")
    assert answer_to(error) is error


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ('connection to server at "127.0.0.1", port 1 failed: Connection refused', True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ('FATAL:  database "x" does not exist', False),
        ('FATAL:  password authentication failed for user "x"', False),
        ("fe_sendauth: no password supplied", False),
    ],
)
def test_whether_waiting_may_help(text: str, may: bool) -> None:
    assert may_come_back(psycopg.OperationalError(text)) is may


def test_what_is_told_is_one_line() -> None:
    assert told(psycopg.OperationalError("\n one. \n two")) == "one"
    assert told(psycopg.OperationalError()) == "OperationalError"
