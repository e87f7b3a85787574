from __future__ import annotations

import pytest

from jan_core.pull.progress import in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (92_900_000, "92.9 MB"),
        (5 * 10**12, "5.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_a_size_as_people_write_it(size: int, words: str) -> None:
    assert in_words(size) == words
