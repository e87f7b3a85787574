"""Packages that are installed and that nobody chose: each raises, and leaves a mark, when it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

GROUPS = ("modules", "plugins", "backends", "endpoints")
COUNT = 200
_METADATA = """\
Metadata-Version: 2.4
Name: jan-{name}
Version: 1.{number}
Summary: A package that nobody chose
Author-email: Somebody <somebody@example.org>
License-Expression: Apache-2.0
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.11
Requires-Dist: jan-core<1,>=0.1
Requires-Dist: pydantic>=2.12
Provides-Extra: testing
Requires-Dist: pytest>=9; extra == "testing"
Description-Content-Type: text/markdown

"""
_README = "# A title\n\n" + "A paragraph of a README, as long as they are, with some words in it.\n\n" * 40
_CANARY = """\
from pathlib import Path

Path(__file__).with_suffix(".sung").touch()
raise RuntimeError("nobody chose this package")
"""


def install(folder: Path, count: int = COUNT) -> None:
    """Put packages into a folder, as pip puts them into `site-packages`; a quarter of them in each group.

    Args:
        folder: made where there is none; whoever is to find them has it on `sys.path`.
        count: how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        group = GROUPS[number % len(GROUPS)]
        name, module = f"unchosen-{number}", f"jan_unchosen_{number}"
        files = {
            "METADATA": _METADATA.format(name=name, number=number) + _README,
            "entry_points.txt": f"[console_scripts]\n{name} = {module}:main\n\n[jan.{group}]\n{name} = {module}\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "INSTALLER": "pip\n",
            "RECORD": f"{module}.py,,\n",
        }
        add(folder, module, files)


def add(folder: Path, module: str, files: Mapping[str, str | bytes]) -> None:
    """Put one package into a folder: a module that must not be imported, and these files of metadata, as they are."""
    version = "0"
    if isinstance(files.get("METADATA"), str):
        version = str(files["METADATA"]).partition("\nVersion: ")[2].partition("\n")[0] or version
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(_CANARY)
    for name, content in files.items():
        (about / name).write_bytes(content.encode() if isinstance(content, str) else content)


def broken(folder: Path) -> None:
    """Put packages there whose metadata are broken in every way that we could think of, and of names taken twice."""
    good = "[jan.modules]\nchat-broken = jan_broken\n"
    named = "Metadata-Version: 2.4\nName: {}\nVersion: 1.0\n\n"
    add(folder, "jan_long", {"METADATA": named.format("jan-long"), "entry_points.txt": good + "x" * 1_000_000})
    add(folder, "jan_without_metadata", {"entry_points.txt": good})
    add(folder, "jan_empty", {"METADATA": "", "entry_points.txt": good})
    add(folder, "jan_nameless", {"METADATA": "Version: 1.0\n\nName: not this one\n", "entry_points.txt": good})
    add(folder, "jan_latin", {"METADATA": b"Name: \xe9\xff\nVersion: 1\n", "entry_points.txt": good})
    add(
        folder,
        "jan_bytes",
        {"METADATA": named.format("jan-bytes"), "entry_points.txt": b"[jan.modules]\n\xff\xfe = x\n"},
    )
    add(folder, "jan_no_value", {"METADATA": named.format("a"), "entry_points.txt": "[jan.modules]\nchat-lonely\n"})
    add(folder, "jan_no_target", {"METADATA": named.format("b"), "entry_points.txt": "[jan.plugins]\nempty =\n"})
    add(folder, "jan_odd_target", {"METADATA": named.format("c"), "entry_points.txt": "[jan.backends]\nodd = :::\n"})
    add(folder, "jan_no_section", {"METADATA": named.format("d"), "entry_points.txt": "chat-x = x\n[jan.modules\n"})
    add(
        folder,
        "jan_odd_group",
        {"METADATA": named.format("e"), "entry_points.txt": "[jan.]\nx = x\n[jan.more]\ny = y\n"},
    )
    for number in range(2):  # two packages under one name, each in every group
        sections = "".join(f"[jan.{group}]\ntwice = jan_twice_{number}\n" for group in GROUPS)
        add(folder, f"jan_twice_{number}", {"METADATA": named.format(f"t{number}"), "entry_points.txt": sections})
    (folder / "jan_a_file-1.0.dist-info").write_text("a file where a folder should be")
    (folder / "jan_nothing-1.0.dist-info").mkdir()


def imported(folder: Path) -> list[str]:
    """The packages there that were imported, by the marks they left."""
    return sorted(path.stem for path in folder.glob("*.sung"))
