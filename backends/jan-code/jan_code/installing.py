"""What an assistant's code asks for, installed into an environment of its own.

An environment is made anew beside the one in use, and takes its place when it is complete: whatever goes wrong on the
way, and whenever Ctrl-C is pressed, the assistant has what it had before. A running server notices the new one.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from jan_code.source import ENVIRONMENT, MODULES, PYPROJECT, SRC, check_inside, packages_in
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.folder import lock_file
from jan_core.folder.layout import Layout
from jan_core.refusal import Refusal

PACKAGE = "package.json"
"""The file that says what `index.js` needs."""
PACKAGE_LOCK = "package-lock.json"
PATIENCE = 5.0
"""Seconds that an installer has to end in, when it is told to."""
NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
"""Environment variables that would lead an installer elsewhere. All others, such as those of a mirror, count."""

ALONE = """\
import os, runpy, sys

STARTS = ("subprocess.Popen", "_winapi.CreateProcess", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
          "os.spawn", "os.startfile", "os.system", "pty.spawn")

def refuse(event, given):
    if event in STARTS:
        raise PermissionError(f"{event} {given[:2]}: no other program may be started without --build")

os.environ["_PIP_RUNNING_IN_SUBPROCESS"] = "1"
sys.argv = sys.argv[1:]
sys.addaudithook(refuse)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs pip so that it cannot start another program, which is how it builds, or fetches from git.

`--only-binary` is not enough: it does not hold for packages that are named by address, not even inside of wheels."""

_NEW, _OLD, _LOCK = ".new-", ".old-", ".installing"


class Failed(JanError):
    """An installer failed; what it said stands on stderr."""

    code = "not_installed"


def install(layout: Layout, assistant_id: str, *, build: bool = False) -> Iterator[str]:
    """Install what `src/pyproject.toml` and `src/package.json` of an assistant ask for. Blocks.

    The installers tell their progress on stderr themselves.

    Args:
        layout: of the root.
        assistant_id: whose.
        build: whether packages that must be built may be, which runs their own code on this machine.

    Yields:
        A sentence on each environment that is ready.

    Raises:
        NotFound: there is no such assistant.
        InvalidRequest: it asks for nothing, or what it asks for cannot be understood; the message names the file.
        Conflict: another `install` of it is at work.
        Refusal: the installer is not there.
        Failed: the installer failed.
        OSError: the environment cannot be written.
    """
    folder = layout.assistant_folder(assistant_id)
    if not os.path.isdir(folder):
        raise NotFound(f"There is no assistant {assistant_id!r}. jan assistants ls")
    layout.check_writable(folder)
    src = os.path.join(folder, SRC)
    asked = [path for path in (os.path.join(src, name) for name in (PYPROJECT, PACKAGE)) if os.path.lexists(path)]
    if not asked:
        raise InvalidRequest(
            f"{assistant_id!r} asks for nothing: {src} has neither a {PYPROJECT} nor a {PACKAGE}. "
            f"jan assistants code {assistant_id}",
            code="nothing_asked",
        )
    for path in asked:
        check_inside(folder, path)
    try:
        with lock_file.hold(Path(folder, _LOCK)):
            _clear(folder)
            _clear(src)
            for path in asked:
                work = _for_python if path.endswith(PYPROJECT) else _for_node
                yield work(assistant_id, folder, path, build)
    except lock_file.Taken:
        raise Conflict(f"Another command installs for {assistant_id!r} just now. Wait for it.") from None


def requirements(path: str) -> list[str]:
    """The requirements that a `pyproject.toml` lists in `[project]`.

    Raises:
        InvalidRequest: it cannot be understood, or wants another Python than this one.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            project: Any = tomllib.load(file).get("project")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _unclear(path, f"is no TOML: {error}") from None
    if not isinstance(project, dict):
        raise _unclear(path, "has no table [project]")
    listed = project.get("dependencies", [])
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise _unclear(path, "must have a list of texts as `dependencies`")
    if "dependencies" in project.get("dynamic", []):
        raise _unclear(path, "lists its `dependencies` as dynamic; write them down")
    for one in listed:
        try:
            Requirement(one)
        except InvalidRequirement as error:
            raise _unclear(path, f"has {one!r} in `dependencies`: {str(error).splitlines()[0]}") from None
    wanted, here = project.get("requires-python", ""), platform.python_version()
    try:
        if SpecifierSet(wanted).contains(here, prereleases=True):
            return listed
    except (InvalidSpecifier, TypeError, AttributeError):
        raise _unclear(path, f"has {wanted!r} as `requires-python`, which is no range of versions") from None
    raise _unclear(path, f"wants Python {wanted}, and Jan runs with {here}")


def _unclear(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{path} {why}.", code="invalid_project")


def _for_python(assistant_id: str, folder: str, path: str, build: bool) -> str:
    asked = requirements(path)
    with _beside(folder) as new:
        # Of the Python that runs the code, which is the one that runs this command; pip is not needed in there.
        _run([sys.executable, "-I", "-m", "venv", "--without-pip", new], folder, "an environment")
        if asked:
            python = os.path.join(new, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
            command = [*_python_installer(python, build), *asked]
            _run(command, folder, ", ".join(asked), "" if build else _hint(assistant_id, "a wheel for this machine"))
        _name_its_place(new, os.path.join(folder, ENVIRONMENT))
        found = {f"{one.name} {one.version}" for one in distributions(path=[packages_in(new)])}
        _put(new, os.path.join(folder, ENVIRONMENT))
    told = f": {', '.join(sorted(found, key=str.lower))}" if found else ", for it asks for none"
    return f"{assistant_id} has {_counted(len(found))} for Python{told}."


def _python_installer(python: str, build: bool) -> list[str]:
    """The beginning of the command that installs into the environment of `python`: uv's, or pip's where uv is not."""
    wheels = [] if build else ["--only-binary", ":all:"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", python, *wheels]
    pip = find_spec("pip")
    if pip is None or pip.origin is None:
        remedy = f"{sys.executable} -m ensurepip"
        raise Refusal("jan assistants install", "neither uv nor pip is here", remedy)
    # -P: a pip.py in the working folder is not pip.
    command = [sys.executable, "-P", "-m", "pip", "--python", python]
    if not build:  # what `--python` does, without a process in between
        command = [python, "-P", "-c", ALONE, os.path.join(os.path.dirname(pip.origin), "__pip-runner__.py")]
    return [*command, "install", "--disable-pip-version-check", "--no-warn-script-location", *wheels]


def _for_node(assistant_id: str, folder: str, path: str, build: bool) -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise Refusal(path, "npm, which installs what it asks for, is not on the PATH", "Install Node.js with npm.")
    src = os.path.dirname(path)
    with _beside(folder) as new:
        for name in (PACKAGE, PACKAGE_LOCK):
            if os.path.isfile(os.path.join(src, name)):
                shutil.copyfile(os.path.join(src, name), os.path.join(new, name))
        scripts = [] if build else ["--ignore-scripts"]
        options = ["--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", *scripts]
        _run([npm, "install", *options], new, f"what {path} asks for")
        modules = os.path.join(new, MODULES)
        os.makedirs(modules, exist_ok=True)  # where nothing is asked for
        if os.path.isfile(os.path.join(new, PACKAGE_LOCK)):
            os.replace(os.path.join(new, PACKAGE_LOCK), os.path.join(src, PACKAGE_LOCK))
        _put(modules, os.path.join(src, MODULES))
        count = sum(1 for _ in _node_packages(os.path.join(src, MODULES)))
    return f"{assistant_id} has {_counted(count)} for Node."


def _node_packages(modules: str) -> Iterator[Path]:
    for one in Path(modules).iterdir():
        if one.name.startswith("@"):
            yield from one.iterdir()
        elif not one.name.startswith("."):
            yield one


def _counted(number: int) -> str:
    return f"{number} package{'' if number == 1 else 's'}"


def _hint(assistant_id: str, what: str) -> str:
    return f" A package without {what} has to be built: jan assistants install {assistant_id} --build"


@contextmanager
def _beside(folder: str) -> Iterator[str]:
    """A new folder in `folder`, which is gone afterwards."""
    new = tempfile.mkdtemp(prefix=_NEW, dir=folder)
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _clear(folder: str) -> None:
    """Remove what a command that was killed has left."""
    for name in os.listdir(folder):
        if name.startswith((_NEW, _OLD)):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _put(new: str, place: str) -> None:
    """Put a folder into the place of another one, or of none; a link there is taken away, and not followed."""
    old = tempfile.mkdtemp(prefix=_OLD, dir=os.path.dirname(place))
    kept = os.path.join(old, "kept")
    try:
        if os.path.lexists(place):
            os.rename(place, kept)
        try:
            os.chmod(new, 0o755)
            os.rename(new, place)
        except BaseException:
            if os.path.lexists(kept):
                os.rename(kept, place)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _name_its_place(environment: str, place: str) -> None:
    """Write into the programs of an environment where it will lie, in place of where it was made."""
    if os.name == "nt":  # they are no texts there
        return
    for path in Path(environment, "bin").iterdir():
        if path.is_symlink():
            continue
        text = path.read_bytes()
        if environment.encode() in text:
            path.write_bytes(text.replace(environment.encode(), place.encode()))


def _run(command: Sequence[str], folder: str, what: str, hint: str = "") -> None:
    """Run an installer; what it prints goes to stderr.

    Raises:
        Failed: it cannot be started, or failed.
    """
    environ = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    process: subprocess.Popen[bytes] | None = None
    try:
        with _no_interrupt():  # between its start and our knowing of it
            # In a session of its own, so that it can be ended with all that it has started.
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__,
                start_new_session=os.name == "posix",
            )
        code = process.wait()
    except OSError as error:
        raise Failed(f"{command[0]} cannot be started: {error.strerror}.") from None
    except BaseException:
        if process is not None:
            _end(process)
        raise
    if code:
        raise Failed(f"{what} could not be installed (exit status {code}); see above.{hint}")


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back until the block is over. In the main thread only."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        try:
            if os.name == "posix":
                os.killpg(process.pid, number)
            else:
                process.terminate()
        except ProcessLookupError:
            return
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            continue
