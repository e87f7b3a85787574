"""Ids that the server makes, and the times that go with them."""

from __future__ import annotations

import re
import secrets
import threading
import time

LONGEST_ID = 128
"""Characters of an id that is the name of a folder, at most."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix` followed by `length` characters from a cryptographic source: `new_id("msg_")`, `new_id("chatcmpl-")`."""
    number = int.from_bytes(secrets.token_bytes(length))
    characters = []
    for _ in range(length):
        number, index = divmod(number, 62)
        characters.append(_ALPHABET[index])
    return prefix + "".join(characters)


def now() -> int:
    """The time in whole Unix seconds, as every object carries it."""
    return int(time.time())


# No letters that are taken for others; in the order in which ASCII sorts them, so that ids sort as their times do.
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM = 10
_THREAD_ID = re.compile(r"(?:.*-)?([0-9]{10,11})-[0-9a-z]+", re.DOTALL)
_OLDER_THREAD_ID = re.compile(r"[A-Za-z]+[_-]([0-9]{10}|[0-9]{13})")
# Ten characters of milliseconds, sixteen of chance.
_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TIMED_ID = re.compile(f"[0-9][{_BASE32}]{{23}}")
_clock = threading.Lock()
_last = 0


def new_timed_id(prefix: str) -> str:
    """An id that tells when it was made: `prefix` and 24 characters, eleven for the microseconds, the rest chance.

    Those that one process makes sort in the order of their making.
    """
    number = _moment() << 65 | int.from_bytes(secrets.token_bytes(9)) >> 7
    return prefix + "".join(_BASE32[number >> place & 31] for place in range(115, -1, -5))


def timed_id_time(id: str, prefix: str) -> int | None:
    """When an id of `new_timed_id` was made, in Unix seconds; None where it is not one."""
    tail = id[len(prefix) :]
    if not id.startswith(prefix) or not _TIMED_ID.fullmatch(tail):
        return None
    return sum(_BASE32.index(one) << 5 * place for place, one in enumerate(tail[10::-1])) // 1_000_000


def new_thread_id(assistant: str = "jan") -> str:
    """An id for a thread that is made now: `jan-1700000000-08bq3kd0m5w9xhzt`.

    It is made of the assistant's id, Unix seconds, and a salt: four characters of base 32 for the microseconds, then
    ten from a cryptographic source. Those that one process makes for one assistant sort in the order of their making.

    Args:
        assistant: the id of an assistant, which may be the name of a folder. A long one is cut, so that the whole stays
            within 128 characters.
    """
    seconds, below = divmod(_moment(), 1_000_000)
    number = below << 5 * _RANDOM | int.from_bytes(secrets.token_bytes(8)) >> 64 - 5 * _RANDOM
    salt = "".join(_BASE32[number >> place & 31] for place in range(5 * (_RANDOM + 3), -1, -5))
    tail = f"-{seconds}-{salt}"
    return assistant[: LONGEST_ID - len(tail)].rstrip(".") + tail


def thread_time(thread_id: str) -> int | None:
    """When a thread was made, in Unix seconds, as far as its id tells; None where it does not.

    Ids of other applications tell it too: `jan_1700000000`, and those of 26 letters and digits called ULID.
    """
    if _ULID.fullmatch(thread_id):
        return sum(_BASE32.index(one) << 5 * place for place, one in enumerate(thread_id[9::-1].lower())) // 1000
    found = _THREAD_ID.fullmatch(thread_id) or _OLDER_THREAD_ID.fullmatch(thread_id)
    if found is None:
        return None
    digits = found.group(1)
    return int(digits[:10]) if len(digits) == 13 else int(digits)


def _moment() -> int:
    """The time in microseconds, later than that of the call before."""
    global _last
    with _clock:
        moment = time.time_ns() // 1000
        # A clock that is set back is followed; two calls within its tick are told apart.
        if _last - 1_000_000 < moment <= _last:
            moment = _last + 1
        _last = moment
        return moment
