"""A package from an index, through pip: its index, mirror, proxy, certificates, credentials and cache are all obeyed.

pip runs as a program, with no option that would overrule its configuration. It checks the wheel against the index's
hash, and goes on by itself after a cut (pip 25.1 and later); only what a stopped command had is fetched again, unless
pip's cache has it. Nothing of the package is run or installed: it is unpacked as the archive that it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

from jan_core.pull.errors import PullError
from jan_core.pull.part import BLOCK, Digest, Known, Part, check_room
from jan_core.pull.progress import Progress
from jan_core.pull.source import Package

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_OPTIONS = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-color")


def find_pip() -> list[str]:
    """A command line that is pip: this Python's own, else the one that Python brings along, else one on PATH.

    Raises:
        PullError: there is none.
    """
    # -P: a pip.py in the working folder is not pip.
    if find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    ensurepip = find_spec("ensurepip")
    folders = [Path(ensurepip.origin).parent / "_bundled"] if ensurepip is not None and ensurepip.origin else []
    if sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(sysconfig.get_config_var("WHEEL_PKG_DIR")))
    for folder in folders:
        for wheel in sorted(folder.glob("pip-*.whl"), reverse=True):
            return [sys.executable, "-P", str(wheel / "pip")]
    for name in ("pip3", "pip"):
        program = shutil.which(name)
        if program:
            return [program]
    raise PullError("pip: sources need pip, and this Python has none. Install it: python -m ensurepip")


def fetch(package: Package, folder: Path, progress: Progress) -> Path:
    """Let pip download the wheel.

    Args:
        package: what to ask for.
        folder: an own folder for the download; made new, and the caller removes it.
        progress: told of pip's bytes.

    Returns:
        The wheel's path, in `folder`.

    Raises:
        PullError: pip could not, or the disk is too small.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    pip = find_pip()
    progress.start(f"Asking pip for {package.name}", None)
    requirement = package.name + (f"=={package.version}" if package.version else "")
    command = [*pip, "download", *_OPTIONS, "--dest", str(folder), "--progress-bar"]
    output = _run([*command, "raw", requirement], package, folder, progress)
    if output is not None and any("invalid choice: 'raw'" in line for line in output):  # pip before 24.1
        output = _run([*command, "off", requirement], package, folder, progress)
    if output is not None:
        raise PullError(_explain(package, output))
    for wheel in folder.glob("*.whl"):
        return wheel
    raise PullError(f"pip found {requirement}, but no wheel of it. Nothing is built here; ask its author for a wheel.")


def version_of(wheel: Path) -> str:
    """The version in a wheel's file name."""
    return wheel.name.split("-")[1]


def models_in(wheel: Path) -> list[zipfile.ZipInfo]:
    """The .gguf files in a wheel, ordered by path.

    Raises:
        PullError: there are none, or the wheel is no archive.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [item for item in archive.infolist() if item.filename.lower().endswith(".gguf")]
    except zipfile.BadZipFile:
        raise PullError(f"{wheel.name} is no wheel: it cannot be unpacked. Pull it again.") from None
    if not found:
        package = " ".join(wheel.name.split("-")[:2])
        raise PullError(f"{package} holds no .gguf file, so there is no model in it. Check the package's name.")
    return sorted(found, key=lambda item: item.filename)


def unpack(wheel: Path, item: zipfile.ZipInfo, part: Part, progress: Progress) -> Digest:
    """Unpack one file of a wheel into `part`.

    Raises:
        PullError: it is no GGUF file, it is damaged, or the disk is too small.
        OSError: the disk failed.
    """
    check_room(part.path.parent, item.file_size)
    # No validator: a half-unpacked file is never taken up again.
    part.begin(Known(wheel.name, "", item.file_size, None))
    progress.start(f"Unpacking {Path(item.filename).name}", item.file_size)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(item) as file:
            while block := file.read(BLOCK):
                part.add(block)
                progress.advance(len(block))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        part.delete()
        raise PullError(f"{item.filename} in {wheel.name} cannot be unpacked: {error}.") from None
    return part.finish()


def _run(command: list[str], package: Package, folder: Path, progress: Progress) -> list[str] | None:
    """Run pip. Returns None for success, otherwise the lines it wrote."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    # What pip unpacks on its way stays on the disk that was checked.
    environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder / "tmp")))
    lines: list[str] = []
    done = -1
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise PullError(f"pip cannot be started ({command[0]}): {error.strerror}.") from None
    with process:
        try:
            for line in process.stdout or ():
                found = _PROGRESS.fullmatch(line.strip())
                if found is None:
                    lines.append(line.strip())
                    if "off" in command and line.strip().startswith("Downloading "):
                        progress.note(line.strip())  # such as `Downloading x.whl (92.9 MB)`: all that there is to tell
                    continue
                now, total = int(found[1]), int(found[2])
                if now < done or done < 0:
                    # Once as pip loads it, once as it copies it to where it was told to.
                    check_room(folder, 2 * total)
                    progress.start(f"Downloading {package.name}", total or None)
                    done = 0
                progress.advance(now - done)
                done = now
        except BaseException:
            process.kill()
            raise
    return lines if process.returncode else None


def _explain(package: Package, lines: list[str]) -> str:
    if any(line.startswith("EOFError") for line in lines):
        return f"The index asks for a user and a password for {package.name}. Put them into pip's own configuration."
    retries = [line for line in lines if "Retrying (" in line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = errors[-1] if errors else (lines[-1] if lines else "it said nothing")
    if retries:
        said = f"the index could not be reached ({_cause(retries[-1])}), and then: {said}"
    return (
        f"pip could not fetch {package.name}: {said.rstrip('.')}. Check the name, the connection and `pip config list`."
    )


def _cause(line: str) -> str:
    return line.rpartition("broken by ")[2].partition("': /")[0].strip("'\"")[:200]
