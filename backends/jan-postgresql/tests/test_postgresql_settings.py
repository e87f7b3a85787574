from __future__ import annotations

import pytest
from jan_postgresql.settings import PostgresqlSettings
from pydantic import ValidationError


def test_nothing_has_to_be_said() -> None:
    assert PostgresqlSettings().dsn == ""


@pytest.mark.parametrize("dsn", ["postgresql://u:p@h:5432/d", "host=h dbname=d", "postgresql:///d?host=/run"])
def test_both_forms_of_a_connection_string(dsn: str) -> None:
    assert PostgresqlSettings(dsn=dsn, direct_dsn=dsn).dsn == dsn


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"dsn": "nonsense"}, "no connection string"),
        ({"dsn": "host=h nonsense=1"}, "no connection string"),
        ({"direct_dsn": "host=h"}, "there is no dsn"),
        ({"min_connections": 3, "max_connections": 2}, "min_connections"),
        ({"connect_seconds": 1}, "connect_seconds"),
        ({"answer_seconds": 0}, "answer_seconds"),
        ({"max_connections": 0}, "max_connections"),
    ],
)
def test_what_cannot_be(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as refused:
        PostgresqlSettings(**values)
    assert "secret" not in str(refused.value)
