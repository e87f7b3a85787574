"""Ways to have a contract pass without its clauses: each is refused, or fails, with a sentence that says why."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.clauses import PROVEN, prove
from jan_core.testing.contract.messages import MessagesContract

pytest_plugins = ["pytester"]

SMALL = """
from jan_core.endpoints.messages import Messages
from jan_core.testing.contract.clauses import Contract, clause

class SmallContract(Contract):
    endpoint = Messages
    letter = "S"

    @clause
    async def test_01_one(self, case):
        '''One.'''

    @clause
    async def test_02_two(self, case):
        '''Two.'''
"""
SKIP = "pytest.mark.skip"
HEAD = """
import unittest
import pytest
from small import SmallContract
from jan_core.testing.contract.clauses import Contract, clause

"""
CLASS = """
class TestMine(SmallContract):
    def make(self, tmp_path):
        return self.app(tmp_path, "messages-memory")
"""
MAKES = """
class TestMine(SmallContract):
    def make(self, tmp_path):
        {}
"""
TABLE = re.compile(r"messages: TestMine +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)")

CHEATS: dict[str, tuple[str, str]] = {
    "none": (CLASS + "    test_01_one = None\n", "has removed the clause test_01_one"),
    "overridden": (CLASS + "    def test_01_one(self): pass\n", "has overridden the clause test_01_one"),
    "renamed": (
        CLASS + "    test_01_one, test_01_uno = None, SmallContract.test_01_one\n",
        "has removed the clause test_01_one",
    ),
    "deleted from the base": (HEAD + "del SmallContract.test_01_one\n" + CLASS, "removed the clause test_01_one"),
    "replaced in the base": (
        HEAD + "SmallContract.test_01_one = lambda self: None\n" + CLASS,
        "overridden the clause test_01_one",
    ),
    "replaced by what says that it is one": (
        CLASS
        + "    def test_01_one(self): pass\n"
        + "    test_01_one.__jan_clause__ = SmallContract.test_01_one.__jan_clause__\n",
        "overridden the clause test_01_one",
    ),
    "replaced in the class, later": (
        CLASS + "TestMine.test_01_one = lambda self: None\n",
        "overridden the clause test_01_one",
    ),
    "by a class in between": (
        HEAD + "class Between(SmallContract):\n    test_01_one = None\n" + CLASS.replace("(Small", "(Between, Small"),
        "removed the clause test_01_one",
    ),
    "by another base": (
        HEAD + "class Other:\n    def test_01_one(self): pass\n" + CLASS.replace("(Small", "(Other, Small"),
        "overridden the clause test_01_one",
    ),
    "clauses": (CLASS + "    @classmethod\n    def clauses(cls): return {}\n", "TestMine sets clauses"),
    "dropped": (
        CLASS + "    test_01_one = None\n    @classmethod\n    def dropped(cls): return []\n",
        "has removed the clause test_01_one",
    ),
    "case": (
        HEAD + "from jan_core.testing.contract.case import Case\n" + CLASS + "    case = type('Mine', (Case,), {})\n",
        "TestMine sets case",
    ),
    "__test__": (CLASS + "    __test__ = False\n", "says __test__ = False"),
    "__init__": (CLASS + "    def __init__(self): pass\n", "has __init__"),
    "__new__": (CLASS + "    def __new__(cls): return object.__new__(cls)\n", "has __new__"),
    "skip the class": (HEAD + f"@{SKIP}\n" + CLASS.strip(), "is marked skip"),
    "skip the module": (HEAD + "pytestmark = pytest.mark.skip\n" + CLASS, "is marked skip"),
    "skip by pytestmark": (CLASS + "    pytestmark = pytest.mark.skipif(True, reason='x')\n", "is marked skipif"),
    "skip a clause": (CLASS + "    test_01_one = pytest.mark.skip(SmallContract.test_01_one)\n", "is marked skip"),
    "xfail that is not strict": (CLASS + "    pytestmark = pytest.mark.xfail(reason='x')\n", "may fail without"),
    "xfail without a reason": (CLASS + "    pytestmark = pytest.mark.xfail(strict=True)\n", "may fail without"),
    "xfail that does not run": (
        CLASS + "    pytestmark = pytest.mark.xfail(strict=True, reason='x', run=False)\n",
        "may fail without",
    ),
    "xfail on a condition": (
        CLASS + "    @pytest.mark.xfail(False, strict=True, reason='x')\n" + "    def test_01_one(self): pass\n",
        "may fail without",
    ),
    "strict xfail of what passes": (
        CLASS + "    @pytest.mark.xfail(strict=True, reason='it lacks ids')\n    def test_01_one(self): pass\n",
        "XPASS(strict)",
    ),
    "strict xfail that skips": (
        CLASS
        + "    @pytest.mark.xfail(strict=True, reason='it lacks ids')\n"
        + "    def test_01_one(self): pytest.skip('later')\n",
        "the clause was passed over (later)",
    ),
    "strict xfail that calls xfail": (
        CLASS
        + "    @pytest.mark.xfail(strict=True, reason='it lacks ids')\n"
        + "    def test_01_one(self): pytest.xfail('later')\n",
        "pytest.xfail() was called (later)",
    ),
    "make skips": (HEAD + MAKES.format("pytest.skip('no database')"), "the clause was passed over (no database)"),
    "make raises SkipTest": (HEAD + MAKES.format("raise unittest.SkipTest('later')"), "was passed over (later)"),
    "make calls xfail": (HEAD + MAKES.format("pytest.xfail('later')"), "pytest.xfail() was called (later)"),
    "make imports or skips": (HEAD + MAKES.format("pytest.importorskip('nowhere')"), "the clause was passed over"),
    "a fixture skips": (
        CLASS + "    @pytest.fixture(autouse=True)\n    def no(self): pytest.skip('later')\n",
        "was passed over (later)",
    ),
    "tmp_path skips": (
        CLASS + "    @pytest.fixture\n    def tmp_path(self): pytest.skip('later')\n",
        "was passed over (later)",
    ),
    "nothing is recorded": (
        CLASS + "    @pytest.fixture\n    def record_property(self): return lambda name, value: None\n",
        "was not run, and counts as passed",
    ),
    "prove is replaced": (
        HEAD
        + MAKES.format("raise LookupError('no database')")
        + "    @pytest.fixture(autouse=True)\n    def other(self, monkeypatch):\n"
        + "        monkeypatch.setattr('jan_core.testing.contract.clauses.prove', lambda *given: 'proven')\n",
        "no database",
    ),
    "opened": (
        CLASS + "    def opened(self, folder): pytest.skip('later')\n",
        "TestMine sets opened",
    ),
    "no parameters": (CLASS + "    pytestmark = pytest.mark.parametrize('a', [])\n", "uses no argument 'a'"),
    "no folders": (CLASS + "    pytestmark = pytest.mark.parametrize('tmp_path', [])\n", "is marked skip"),
    "declared again": (
        CLASS + '    @clause(optional="delete")\n    async def test_01_one(self, case):\n        "Soft."\n',
        "TestMine declares the clause test_01_one (Soft.), and SmallContract.test_01_one is there already",
    ),
    "declared again as newer, by a class in between": (
        HEAD
        + "class Between(SmallContract):\n"
        + '    @clause(since="9.0")\n    async def test_01_one(self, case):\n        "Soft."\n        assert 0\n'
        + CLASS.replace("(Small", "(Between, Small"),
        "Between declares the clause test_01_one (Soft.), and SmallContract.test_01_one is there already",
    ),
    "declared again, and expected to fail": (
        CLASS
        + "    @pytest.mark.xfail(strict=True, reason='x')\n"
        + '    @clause(since="9.0")\n    async def test_01_one(self, case):\n        "Soft."\n        assert 0\n',
        "SmallContract.test_01_one is there already",
    ),
    "of the same number": (
        CLASS + '    @clause\n    async def test_01_uno(self, case):\n        "Uno."\n',
        "TestMine declares the clause test_01_uno (Uno.), and SmallContract.test_01_one is there already",
    ),
    "by another contract": (
        HEAD
        + "class Other(Contract):\n    endpoint, letter = SmallContract.endpoint, 'S'\n"
        + '    @clause\n    async def test_01_one(self, case):\n        "Soft."\n'
        + CLASS.replace("(Small", "(Other, Small"),
        "Other declares the clause test_01_one (Soft.), and SmallContract.test_01_one is there already",
    ),
    "missing is a list": (CLASS + "    missing = [1]\n", "TestMine.missing is [1], and has to be a dict"),
    "missing is None": (CLASS + "    missing = None\n", "TestMine.missing is None, and has to be a dict"),
    "make ends the run": (HEAD + MAKES.format("pytest.exit('no', 0)"), "Clauses without a result: test_01_one, test"),
    "a test case": (HEAD + CLASS.replace("(Small", "(unittest.TestCase, Small"), ""),
}
HOOKS: dict[str, tuple[str, str]] = {
    "taken out": ("def pytest_collection_modifyitems(items): del items[:1]", "taken out of the run"),
    "taken out, all": ("def pytest_collection_modifyitems(items): items.clear()", "taken out of the run"),
    "marked": (
        "import pytest\n@pytest.hookimpl(trylast=True)\n"
        "def pytest_collection_modifyitems(items):\n    for one in items: one.add_marker(pytest.mark.skip(reason='x'))",
        "x",
    ),
    "skipped": ("import pytest\ndef pytest_runtest_setup(item): pytest.skip('later')", "was passed over (later)"),
    "not called": ("def pytest_pyfunc_call(pyfuncitem): return True", "was not run, and counts as passed"),
    "not begun": (
        "def pytest_runtest_protocol(item): return True if 'test_01' in item.name else None",
        "Clauses without a result: test_01_one. A hook",
    ),
    "none begun": ("def pytest_runtestloop(session): return True", "Clauses without a result: test_01_one, test_02"),
    "not collected": (
        "def pytest_pycollect_makeitem(collector, name, obj):\n    if name == 'TestMine': return []",
        "taken out of the run",
    ),
    "no folders": (
        "def pytest_generate_tests(metafunc): metafunc.parametrize('tmp_path', [])",
        "is marked skip",
    ),
}


class Outside(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-memory")


@pytest.fixture(autouse=True, scope="module")
def _app_is_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """pytester unloads what a run in this process has imported, and an app of which a half is imported anew is none."""
    first = next(iter(Outside.clauses().values()))
    assert prove(Outside(), first, tmp_path_factory.mktemp("outside")) == PROVEN


def run(pytester: pytest.Pytester, text: str, *more: str) -> tuple[int, str]:
    pytester.makepyfile(small=SMALL, test_contract=text if text.startswith(HEAD) else HEAD + text)
    done = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", *more)
    return int(done.ret), done.stdout.str() + done.stderr.str()


def is_refused(code: int, output: str, told: str) -> None:
    assert code not in (0, 5), output
    assert told in output, output
    found = TABLE.search(output)
    assert found is None or found[2] != "2", output


def test_the_small_contract_holds(pytester: pytest.Pytester) -> None:
    code, output = run(pytester, CLASS)
    assert code == 0
    assert TABLE.search(output)[0].split()[2:] == ["2", "2", "0", "0", "0"]  # type: ignore[index]


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_in_the_test_file(pytester: pytest.Pytester, name: str) -> None:
    text, told = CHEATS[name]
    is_refused(*run(pytester, text), told)


@pytest.mark.parametrize("name", HOOKS)
def test_cheats_in_conftest(pytester: pytest.Pytester, name: str) -> None:
    text, told = HOOKS[name]
    pytester.makeconftest(text)
    is_refused(*run(pytester, CLASS), told)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("python_functions = check_*", "taken out of the run"),
        ("empty_parameter_set_mark = xfail", "may fail without being noticed"),
        ("addopts = -k 'not 01'", "TestMine: test_01_one of its clauses were taken out of the run"),
        ("addopts = --deselect test_contract.py::TestMine::test_01_one", "test_01_one of its clauses were taken out"),
        ("addopts = test_contract.py::TestMine::test_02_two", "test_01_one of its clauses were taken out"),
        ("addopts = --setup-only", "Clauses without a result: test_01_one, test_02_two."),
        ("addopts = --co", "Clauses without a result: test_01_one, test_02_two."),
    ],
)
def test_cheats_in_the_settings(pytester: pytest.Pytester, settings: str, told: str) -> None:
    pytester.makeini(f"[pytest]\n{settings}\n")
    empty = CLASS + "    pytestmark = pytest.mark.parametrize('tmp_path', [])\n"
    is_refused(*run(pytester, empty if "empty" in settings else CLASS), told)


@pytest.mark.parametrize("given", [("-k", "01"), ("--deselect", "test_contract.py::TestMine::test_02_two"), None])
def test_who_chooses_what_to_run_is_told_what_was_not(pytester: pytest.Pytester, given: tuple[str, ...] | None) -> None:
    code, output = run(pytester, CLASS, *(given or ("test_contract.py::TestMine::test_01_one",)))
    assert code == 0
    assert "(1 not run)" in output


def test_who_looks_at_what_would_run_is_left_alone(pytester: pytest.Pytester) -> None:
    code, output = run(pytester, CLASS, "--co")
    assert code == 0
    assert "contracts =" not in output
    code, output = run(pytester, CLASS, "--setup-only")
    assert code == 0
    assert "(2 not run)" in output


def test_what_is_expected_to_fail_and_does(pytester: pytest.Pytester) -> None:
    text = "    @pytest.mark.xfail(strict=True, reason='it lacks ids')\n    def test_01_one(self): assert False\n"
    code, output = run(pytester, CLASS + text)
    assert code == 0
    assert TABLE.search(output)[0].split()[2:] == ["2", "1", "0", "1", "0"]  # type: ignore[index]


def test_a_class_that_is_no_test_is_left_alone(pytester: pytest.Pytester) -> None:
    code, output = run(pytester, CLASS.replace("TestMine", "Mine") + "class TestIt(Mine): pass\n")
    assert code == 0
    assert "messages: TestIt" in output
    assert "messages: Mine" not in output


def test_several_processes_refuse_too(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HOOKS["taken out"][0])
    pytester.makepyfile(small=SMALL, test_contract=HEAD + CLASS)
    done = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    assert done.ret not in (0, 5)
    assert "taken out of the run" in done.stdout.str() + done.stderr.str()


@pytest.mark.parametrize(
    ("hook", "told"),
    [("def pytest_runtest_protocol(item): return True if 'test_01' in item.name else None", "test_01_one"), ("", "")],
)
def test_several_processes_together_have_all_results(pytester: pytest.Pytester, hook: str, told: str) -> None:
    pytester.makeconftest(hook)
    pytester.makepyfile(small=SMALL, test_contract=HEAD + CLASS)
    done = pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    assert int(done.ret) == (1 if told else 0)
    assert ("Clauses without a result: test_01_one." in done.stdout.str()) is bool(told)


@pytest.mark.parametrize(("flag", "told"), [("-O", "which drops assertions"), ("-OO", "which drops docstrings")])
def test_without_assertions_nothing_is_proven(pytester: pytest.Pytester, flag: str, told: str) -> None:
    pytester.makepyfile(small=SMALL, test_contract=HEAD + CLASS)
    done = pytester.run(sys.executable, flag, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider")
    assert done.ret not in (0, 5)
    assert told in done.stdout.str()
    assert "passed" not in done.stdout.str()


def test_a_loop_that_looks_closely_changes_nothing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    code, output = run(pytester, CLASS)
    assert code == 0
    assert TABLE.search(output)[0].split()[2:] == ["2", "2", "0", "0", "0"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("settings", "conftest"),
    [
        ("addopts = --ignore=test_contract.py", ""),
        ("addopts = --ignore-glob=*contract*", ""),
        ("", "collect_ignore = ['test_contract.py']"),
    ],
)
def test_a_file_that_is_ignored_by_a_setting(pytester: pytest.Pytester, settings: str, conftest: str) -> None:
    pytester.makeini(f"[pytest]\n{settings}\n")
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_other="def test_it(): pass\n")
    is_refused(*run(pytester, CLASS), "test_contract.py has to do with a contract, and a setting")


def test_who_ignores_a_file_on_the_command_line_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_it(): pass\n", test_third="def test_it(): pass\n")
    code, output = run(pytester, CLASS, "--ignore=test_contract.py")
    assert (code, "1 passed" in output or "2 passed" in output) == (0, True)
    pytester.makeini("[pytest]\naddopts = --ignore=test_third.py\n")
    assert run(pytester, CLASS)[0] == 0


def test_no_clause_holds_where_the_plugin_is_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = -p no:jan-contracts -p no:cacheprovider\n")
    pytester.makepyfile(small=SMALL, test_contract=HEAD + CLASS)
    done = pytester.runpytest_subprocess()
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert "2 failed" in done.stdout.str()
    assert "pytest runs without the plugin jan-contracts" in done.stdout.str()
