from __future__ import annotations

import random
import time

from jan_core.folder.index import Index


def test_every_name_is_found_again() -> None:
    index, chance = Index(), random.Random(1)
    noted: dict[str, list[int]] = {}
    for place in range(20_000):
        name = f"msg_{chance.randrange(15_000)}"
        index.add(name, place * 300)
        noted.setdefault(name, []).append(place * 300)
    for name, places in noted.items():
        found = index.places(name)
        assert set(places) <= set(found)
        assert found[0] in places or len(found) > len(places)
    missed = sum(bool(index.places(f"other_{number}")) for number in range(20_000))
    assert missed < 20  # 32 bits of a name: 20,000 in 20,000 look the same once in ten


def test_places_come_in_the_order_in_which_they_were_noted() -> None:
    index = Index()
    for place in (7, 3, 9):
        index.add("a", place)
    assert index.places("a") == [7, 3, 9]
    assert index.places("b") == []


def test_places_far_into_a_file() -> None:
    index = Index()
    index.add("a", 2**48)
    assert index.places("a") == [2**48]


def test_it_takes_little_memory() -> None:
    index = Index()
    assert index.size < 1000
    for place in range(100_000):
        index.add(f"msg_{place}", place)
    assert index.size < 40 * 100_000


def test_one_name_many_times_is_no_work() -> None:
    index = Index()
    began = time.process_time()
    for place in range(100_000):
        index.add("msg_same", place)
    assert time.process_time() - began < 5  # the square of it would take hours
    assert index.places("msg_same") == [*range(8)]
