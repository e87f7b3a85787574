from __future__ import annotations

from pathlib import Path

from jan_core.importing import images
from jan_core.importing.images import as_address
from tests.foreign import PIXEL, write


def test_an_image_beside_the_messages(tmp_path: Path) -> None:
    write(tmp_path / "files" / "m1.png", PIXEL)
    found = as_address(tmp_path, "threads/x/files/m1.png")
    assert found is not None
    assert found.startswith("data:image/png;base64,iVBOR")
    assert as_address(tmp_path, "threads\\x\\files\\m1.png") == found
    assert as_address(tmp_path, found) == found


def test_nothing_else_is_read(tmp_path: Path) -> None:
    write(tmp_path / "secret.png", PIXEL)
    write(tmp_path / "files" / "text.png", b"not an image")
    (tmp_path / "files" / "link.png").symlink_to(tmp_path / "secret.png")
    for named in ("../secret.png", "text.png", "link.png", "none.png", "", "a\0b", "..", "https://x/secret.png"):
        assert as_address(tmp_path, named) is None, named


def test_a_large_image_stays_a_file(tmp_path: Path) -> None:
    write(tmp_path / "files" / "large.png", PIXEL + bytes(images.LARGEST))
    assert as_address(tmp_path, "large.png") is None
    assert as_address(tmp_path, "data:image/png;base64," + "A" * (2 * images.LARGEST)) is None
