"""The written parts of the documentation are those that the code says, and the script notices where they are not."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from jan_core import errors
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
    scripts = [f"scripts/{name}.py" for name in ("reference", "author_reference")]
    for name in (*scripts, *(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("docs/**/*.md"))):
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
        ("docs/reference/hooks.md", "### asgi_wrapper", "### asgi"),
        ("docs/reference/errors.md", "| 404 |", "| 405 |"),
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


SOURCES = [
    path
    for pattern in ("modules/*/jan_*", "plugins/*/jan_*", "backends/*/jan_*", "bundle/jan_*", "examples/*")
    for path in sorted(REPOSITORY.glob(f"{pattern}/**/*.py"))
]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports of the kernel: module and name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jan_core":
            for one in node.names:
                whole = f"{node.module}.{one.name}"
                yield (whole, "") if find_spec_of(whole) else (str(node.module), one.name)


def find_spec_of(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_the_reference_tells_all_that_our_own_packages_import() -> None:
    """A stranger may rely on what stands there; what ours need beyond it, a stranger's could not be built with."""
    pages = {path: path.read_text("utf-8") for path in (REPOSITORY / "docs" / "reference").glob("*.md")}
    told: dict[str, set[str]] = {}
    for text in pages.values():
        for section in re.split(r"^## `", text, flags=re.MULTILINE)[1:]:
            module, _, rest = section.partition("`")
            told.setdefault(module, set()).update(re.findall(r"^### (\w+)$", rest, re.MULTILINE))
        told.setdefault("jan_core.errors", set()).update(re.findall(r"^\| `(\w+)` \| \d{3} \|", text, re.MULTILINE))
    assert len(SOURCES) > 60
    unknown = {
        f"{path.relative_to(REPOSITORY)}: {module}.{name}"
        for path in SOURCES
        for module, name in imports(path)
        if not module.startswith(("jan_core.endpoints.", "jan_core.schemas.", "jan_core.testing.contract."))
        and (module, name) != ("jan_core", "__version__")
        and not (module in told if not name else name in told.get(module, ()))
    }
    assert sorted(unknown) == []


def test_every_page_of_the_reference_is_in_the_menu() -> None:
    menu = (REPOSITORY / "zensical.toml").read_text("utf-8")
    missing = [path.name for path in (REPOSITORY / "docs" / "reference").glob("*.md") if path.name not in menu]
    assert missing == []


def test_a_page_of_an_endpoint_has_its_internal_operations_with_their_signatures() -> None:
    for entry in entry_points(group="jan.endpoints"):
        text = (REPOSITORY / "docs" / "api" / f"{entry.name}.md").read_text("utf-8")
        for operation in entry.load().operations().values():
            if operation.path is None:
                section = text.split(f"### {operation.qualified}\n")[1].split("\n### ")[0]
                assert re.match(rf"\n`{operation.name}\(self[^`]*\) -> [^`]+`", section), operation.qualified


def test_the_table_of_errors_has_every_one() -> None:
    text = (REPOSITORY / "docs" / "reference" / "errors.md").read_text("utf-8")
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.JanError)]
    assert len(kinds) > 15
    for kind in kinds[1:]:
        assert f"| `{kind.__name__}` | {kind.status} | `{kind.type}` |" in text
    assert "| `Busy` | 429 | `rate_limit_error` | `queue_full` | The queue is full." in text
