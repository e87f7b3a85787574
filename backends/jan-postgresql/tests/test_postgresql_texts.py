from __future__ import annotations

import json
import unicodedata

import psycopg
import pytest
from jan_postgresql.texts import as_json, is_storable, storable

from jan_core.errors import InvalidRequest

PLANES = ["".join(map(chr, range(plane << 16, (plane + 1) << 16))) for plane in range(17)]
WHOLE = ["".join(one for one in plane if unicodedata.category(one) != "Cs") for plane in PLANES]


@pytest.mark.parametrize("text", ["", "a", "ß\n\x7f\ufeff\U0010ffff"])
def test_what_a_column_holds(text: str) -> None:
    assert is_storable(text)
    assert storable(text, "run_id") == text
    assert storable(None, "run_id") is None


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfffb"])
def test_what_it_does_not(text: str) -> None:
    assert not is_storable(text)
    with pytest.raises(InvalidRequest) as refused:
        storable(text, "run_id")
    assert refused.value.param == "run_id"


def test_every_character_comes_back_from_a_column_of_json(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE texts (place int, text json)")
        for place, plane in enumerate(WHOLE):
            connection.execute("INSERT INTO texts VALUES (%s, %s::json)", [place, as_json({"text": plane})])
        rows = connection.execute("SELECT text::text FROM texts ORDER BY place").fetchall()
    assert [json.loads(row[0])["text"] for row in rows] == WHOLE
    assert "\0" in WHOLE[0]
