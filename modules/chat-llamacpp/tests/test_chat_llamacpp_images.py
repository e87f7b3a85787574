from __future__ import annotations

import base64
import struct

import pytest
from jan_chat_llamacpp.images import LARGEST, check_image

from jan_core.errors import InvalidRequest


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"


def jpeg(width: int, height: int) -> bytes:
    other = b"\xff\xe0\x00\x04ab"
    return b"\xff\xd8" + other + b"\xff\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03"


GIF = b"GIF89a" + struct.pack("<HH", 3, 4) + b"\x00\x00\x00"
BMP = b"BM" + bytes(16) + struct.pack("<ii", 3, -4)


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("data", [png(3, 4), jpeg(3, 4), GIF, BMP])
def test_images_whose_header_can_be_read(data: bytes) -> None:
    check_image(url(data), "at")
    check_image(url(data, "x-any").replace("data:image", "DATA:image"), "at")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://example.com/cat.png", "fetches nothing"),
        ("http://127.0.0.1/cat.png", "fetches nothing"),
        ("file:///etc/passwd", "fetches nothing"),
        ("data:text/plain;base64,aGk=", "fetches nothing"),
        ("data:image/png,abc", "fetches nothing"),
        ("data:image/png;base64,***", "base64"),
        ("data:image/png;base64,é", "base64"),
        ("data:image/png;base64,", "no PNG"),
        (url(b"hello"), "no PNG"),
        (url(png(3, 4)[:18]), "no PNG"),
        (url(b"\xff\xd8\xff\xe0\xff\xff"), "no PNG"),
        (url(b"\xff\xd8abc"), "no PNG"),
        (url(b"RIFF0000WEBPVP8 "), "no PNG"),
        (url(png(100_000, 100_000)), "pixels"),
        (url(jpeg(65_535, 65_535)), "pixels"),
        (url(png(0, 5)), "pixels"),
        (url(png(3, 4) + bytes(LARGEST)), "MiB"),
    ],
)
def test_what_is_no_image_or_too_large_is_refused_by_its_place(address: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        check_image(address, "messages[0].content[1].image_url.url")
    assert refused.value.param == "messages[0].content[1].image_url.url"
    assert len(refused.value.message) < 400
