"""The written parts of the documentation are those that the code says, and the script notices where they are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jan_core.endpoints.chat import Chat
from jan_core.endpoints.models import Models
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.settings import ServerSettings

REPOSITORY = Path(__file__).parent.parent
SCRIPT = REPOSITORY / "scripts" / "reference.py"


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in a copy of the repository's `docs` and `scripts`."""
    command = [sys.executable, str(folder / "scripts" / "reference.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def copied(tmp_path: Path) -> Path:
    for name in ("scripts/reference.py", *(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("docs/**/*.md"))):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / name).read_bytes())
    return tmp_path


def test_is_up_to_date() -> None:
    done = check(REPOSITORY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("docs/api/chat.md", "temperature", "temprature"),
        ("docs/configuration.md", "`1337`", "`1338`"),
        ("docs/modules.md", "### asgi_wrapper", "### asgi"),
    ],
)
def test_a_change_by_hand_is_noticed(tmp_path: Path, name: str, old: str, new: str) -> None:
    folder = copied(tmp_path)
    text = (folder / name).read_text("utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), "utf-8")
    done = check(folder)
    assert done.returncode == 1
    assert name in done.stderr.replace("\\", "/")


def test_a_missing_page_is_noticed_and_written(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    page = folder / "docs" / "api" / "models.md"
    page.unlink()
    assert check(folder).returncode == 1
    subprocess.run([sys.executable, str(folder / "scripts" / "reference.py")], check=True, timeout=120)
    assert page.read_bytes() == (REPOSITORY / "docs" / "api" / "models.md").read_bytes()


@pytest.mark.parametrize("endpoint", [Chat, Models])
def test_a_page_has_every_operation(endpoint: type[Chat] | type[Models]) -> None:
    text = (REPOSITORY / "docs" / "api" / f"{endpoint.name}.md").read_text("utf-8")
    for operation in endpoint.operations().values():
        assert re.search(rf"^##+ {re.escape(operation.qualified)}$", text, re.MULTILINE), operation.qualified
        first = operation.doc.splitlines()[0]
        assert first in text


def test_a_page_has_every_field() -> None:
    text = (REPOSITORY / "docs" / "api" / "chat.md").read_text("utf-8")
    section = text.split("### ChatCompletionRequest\n")[1].split("\n### ")[0]
    missing = [name for name in ChatCompletionRequest.model_fields if f"| `{name}` |" not in section]
    assert not missing
    assert "| `messages` | list of [DeveloperMessage](#developermessage) or " in section


def test_the_table_has_every_setting() -> None:
    text = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
    section = text.split("## `[server]`\n")[1].split("\n## ")[0]
    missing = [name for name in ServerSettings.model_fields if f"| `{name}` |" not in section]
    assert not missing
