from __future__ import annotations

from collections import Counter

from jan_upstreams.choosing import of_messages, of_text, ordered

NAMES = [f"gpu{number}" for number in range(5)]
KEYS = [f"conversation {number}".encode() for number in range(4000)]


def test_the_order_is_the_same_each_time_and_of_the_names_only() -> None:
    for key in KEYS[:50]:
        found = ordered(key, dict.fromkeys(NAMES, 1.0))
        assert sorted(found) == NAMES
        assert ordered(key, dict.fromkeys(reversed(NAMES), 1.0)) == found


def test_weights_are_shares() -> None:
    counts = Counter(ordered(key, {"a": 3, "b": 1, "c": 0.5})[0] for key in KEYS)
    for name, share in (("a", 3 / 4.5), ("b", 1 / 4.5), ("c", 0.5 / 4.5)):
        assert abs(counts[name] / len(KEYS) - share) < 0.03


def test_only_the_conversations_of_who_goes_move_and_to_all_others() -> None:
    before = {key: ordered(key, dict.fromkeys(NAMES, 1.0)) for key in KEYS}
    after = {key: ordered(key, dict.fromkeys(NAMES[1:], 1.0)) for key in KEYS}
    assert all(after[key] == [name for name in before[key] if name != "gpu0"] for key in KEYS)
    assert len({after[key][0] for key in KEYS if before[key][0] == "gpu0"}) == 4


def test_later_turns_have_the_same_key_and_other_conversations_another() -> None:
    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}]
    more = [*first, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    assert of_messages("m", first) == of_messages("m", more)
    others = [of_messages("n", first), of_messages("m", first[1:]), of_messages("m", [])]
    assert len({of_messages("m", first), *others}) == 4
    assert of_text("m", "a" * 5000) == of_text("m", "a" * 6000) != of_text("m", "b" * 5000)
    assert of_text("m", [1, 2]) != of_text("m", [1, 3])
    assert of_text("m", "\ud800")
