"""Which versions of jan-core a package was built for, and whether the one that runs is among them.

A package says it by the requirement on `jan-core` in its distribution's metadata, `jan-core>=0.1,<1`, and nowhere else.
The metadata is read without importing the package, and only that of packages which are chosen. What the requirement
means is what `pip` takes it for; a pre-release of jan-core that runs counts like any other version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import Distribution

import jan_core
from jan_core.refusal import Refusal

KERNEL = "jan-core"
"""The name of the kernel's own distribution."""

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SIMPLE = re.compile(r"\s*[A-Za-z0-9._-]+\s*([^;\[@()]*)")
_BOUND = re.compile(r"\s*(>=|<=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class BuiltFor:
    """The versions of jan-core that a package declares.

    Attributes:
        declared: such as `>=0.1,<1`; empty where it declares every version.
    """

    declared: str

    def has(self, version: str) -> bool:
        """Whether a version is among them.

        Raises:
            ValueError: what is declared is no requirement.
        """
        # packaging takes longer to import than everything else here; what nearly every package declares needs none.
        bounds = [_BOUND.fullmatch(one) for one in self.declared.split(",")]
        if all(bounds) and _RELEASE.fullmatch(version):
            return all(_within(version, *one.groups()) for one in bounds if one)
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(self.declared).contains(version, prereleases=True)

    def from_before(self, version: str) -> bool:
        """Whether the lower bound says that the package was built before this version; False where it has none."""
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        lower = [
            Version(one.version.removesuffix(".*"))
            for one in SpecifierSet(self.declared)
            if one.operator in (">=", ">", "~=", "==")
        ]
        return bool(lower) and max(lower) < Version(version)


def is_kernel(named: str) -> bool:
    """Whether a distribution, by its name and version, is jan-core itself."""
    return plain(named.split()[0]) == KERNEL


def built_for(distribution: Distribution) -> BuiltFor | None:
    """What a distribution declares; None where it does not require jan-core.

    Requirements of extras, and of other platforms, do not count.

    Raises:
        ValueError: a requirement on jan-core cannot be read.
    """
    found = []
    for text in distribution.requires or ():
        name = _NAME.match(text)
        if name is None or plain(name[1]) != KERNEL:
            continue
        simple = _SIMPLE.fullmatch(text)
        if simple is not None:
            found.append(simple[1].strip())
            continue
        from packaging.requirements import Requirement

        required = Requirement(text)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            found.append(str(required.specifier))
    if not found:
        return None
    # Build tools put them in the order of their characters; a person reads the lower bound first.
    bounds = [bound.strip() for one in found for bound in one.split(",") if bound.strip()]
    return BuiltFor(",".join(sorted(bounds, key=lambda bound: bound.startswith(("<", "!")))))


def requires(distribution: Distribution | None) -> frozenset[str]:
    """The names of what a distribution requires, whatever for, as `plain` writes them."""
    named = distribution.requires or () if distribution is not None else ()
    return frozenset(plain(name[1]) for text in named if (name := _NAME.match(text)))


def check(distribution: Distribution | None, named: str, asked: str, answers: str) -> None:
    """Refuse a chosen package that was built for other versions of jan-core.

    Args:
        distribution: whose metadata says what it was built for; None, as in tests, says nothing.
        named: its name and version.
        asked: see `Refusal`.
        answers: see `Refusal`.

    Raises:
        Refusal: it was built for others, or its requirement on jan-core cannot be read.
    """
    name, here = named.split()[0], jan_core.__version__
    if distribution is None or is_kernel(named):
        return
    try:
        built = built_for(distribution)
        if built is None or built.has(here):
            return
    except ValueError as error:
        cause = f"its metadata has a requirement on jan-core that cannot be read: {error}"
        raise Refusal(asked, cause, f"pip install --force-reinstall {name}", answers=answers) from error
    raise Refusal(
        asked,
        f"it was built for jan-core {built.declared}, and this is jan-core {here}",
        f'pip install --upgrade {name}, or pip install "jan-core{built.declared}".',
        answers=answers,
    )


def told(distribution: Distribution | None) -> str | None:
    """What a package says of the versions of jan-core that it was built for, for a person; None where it says nothing.

    What cannot be read is told as it is; `check` refuses it.
    """
    try:
        built = built_for(distribution) if distribution is not None else None
    except ValueError as error:
        return str(error)
    return built.declared or None if built is not None else None


def plain(name: str) -> str:
    """The one form of a distribution's name, which may be written in several."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _within(version: str, operator: str, bound: str) -> bool:
    one, other = _numbers(version), _numbers(bound)
    return {">=": one >= other, "<=": one <= other, ">": one > other, "<": one < other}[operator]


def _numbers(version: str) -> list[int]:
    """The parts of a version, without zeros at its end: 1 is 1.0."""
    found = [int(part) for part in version.split(".")]
    while found and not found[-1]:
        found.pop()
    return found
