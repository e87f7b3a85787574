from __future__ import annotations

from jan_upstreams.health import FAILURES, FIRST, LAST, Health


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_three_failures_in_a_row_are_one_too_many() -> None:
    one = Health(Clock())
    for _ in range(FAILURES - 1):
        one.failed()
        assert one.well
    one.worked()
    for _ in range(FAILURES):
        assert one.may_try()
        one.failed()
    assert not one.well
    assert not one.may_try()
    assert one.wait == FIRST


def test_after_its_pause_one_request_tries_it() -> None:
    clock = Clock()
    one = Health(clock)
    one.failed(at_once=True)
    assert not one.well
    clock.now += FIRST
    assert one.wait == 0
    assert [one.may_try(), one.may_try()] == [True, False]
    one.given_up()
    assert one.may_try()
    one.worked()
    assert one.well
    assert [one.may_try(), one.may_try()] == [True, True]


def test_pauses_grow_and_have_an_end() -> None:
    clock = Clock()
    one = Health(clock)
    waits = []
    for _ in range(10):
        one.failed(at_once=True)
        waits.append(one.wait)
        clock.now += one.wait
        assert one.may_try()
    assert waits[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert waits[-1] == LAST
    one.worked()
    one.failed(at_once=True)
    assert one.wait == FIRST


def test_requests_that_fail_together_are_one_failure() -> None:
    clock = Clock()
    one = Health(clock)
    for at_once in (False, True):
        for _ in range(50):
            one.failed(at_once=at_once)
        assert one.wait == FIRST
        clock.now += FIRST
        assert one.may_try()
        one.worked()
