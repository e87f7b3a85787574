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


def test_places_come_in_the_order_of_the_file() -> None:
    index = Index()
    for place in (7, 3, 9):
        index.add("a", place)
    assert index.places("a") == [3, 7, 9]
    assert index.places("b") == []


def test_it_tells_where_a_name_was_noted_twice() -> None:
    index = Index()
    for place in range(1000):
        index.add(f"msg_{place}", place)
    assert not index.is_doubled("msg_7")
    index.add("msg_7", 5000)
    assert index.is_doubled("msg_7")
    size = index.size
    for place in range(1000, 3000):  # it grows
        index.add(f"msg_{place}", place)
    assert [number for number in range(2000) if index.is_doubled(f"msg_{number}")] == [7]
    assert index.size > size


def test_of_many_places_the_first_and_the_last_are_noted() -> None:
    for others in range(0, 60, 7):  # wherever in the table they come to lie
        index = Index()
        for place in range(others):
            index.add(f"msg_{place}", place)
        for place in range(100, 150):
            index.add("msg_same", place)
            for more in range(3):
                index.add(f"msg_{place}_{more}", place)
        assert index.places("msg_same") == [*range(100, 107), 149]


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
    assert index.places("msg_same") == [*range(7), 99_999]
