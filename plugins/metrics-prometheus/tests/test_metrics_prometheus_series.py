from __future__ import annotations

from jan_metrics_prometheus.series import SECONDS, TOKENS, Counter, Histogram


def test_a_counter_adds_up() -> None:
    counter = Counter("things", "Things.", ["kind"])
    counter.add(("a",))
    counter.add(("a",), 2)
    counter.add(("b",))
    assert counter.values == {("a",): 3, ("b",): 1}


def test_a_value_at_a_bound_belongs_below_it() -> None:
    spread = Histogram("times", "Times.", ["kind"], (1.0, 2.0)).of(("a",))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        spread.add(value)
    assert (spread.counts, spread.total) == ([2, 2, 1], 7.5)


def test_bounds_rise() -> None:
    for bounds in (SECONDS, TOKENS):
        assert list(bounds) == sorted(set(bounds))
