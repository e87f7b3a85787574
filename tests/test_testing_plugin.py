from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.clauses import PROVEN, prove
from jan_core.testing.contract.messages import MessagesContract
from tests.parts import Site

pytest_plugins = ["pytester"]

HEAD = """
import pytest
from jan_core.testing.contract.messages import MessagesContract

class TestMine(MessagesContract):
    def make(self, tmp_path):
        return self.app(tmp_path, "messages-memory")
"""
CLAUSES = len(MessagesContract.clauses())
FEW = ("-k", "test_01 or test_04 or test_07", "-p", "no:cacheprovider")


class Outside(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "messages-memory")


@pytest.fixture(autouse=True, scope="module")
def _app_is_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """pytester unloads what a run in this process has imported, and an app of which a half is imported anew is none."""
    clauses = Outside.clauses().values()
    assert prove(Outside(), next(iter(clauses)), tmp_path_factory.mktemp("outside")) == PROVEN


def run(pytester: pytest.Pytester, text: str, *more: str) -> str:
    pytester.makepyfile(test_contract=HEAD + text)
    done = pytester.runpytest_inprocess("-p", "no:xdist", *FEW, *more)
    return done.stdout.str() + done.stderr.str()


def row(output: str) -> list[int]:
    (line,) = [one for one in output.splitlines() if one.startswith("messages: TestMine")]
    return [int(number) for number in re.findall(r"\d+", line)]


def test_the_table(pytester: pytest.Pytester) -> None:
    output = run(pytester, "")
    assert "= contracts =" in output
    assert row(output) == [CLAUSES, 3, 0, 0, 0, CLAUSES - 3]


def test_what_is_expected_to_fail_and_what_does(pytester: pytest.Pytester) -> None:
    output = run(
        pytester,
        """
    @pytest.mark.xfail(strict=True, reason="no ids yet")
    def test_04_no_id_comes_twice(self):
        assert False

    @pytest.mark.xfail(strict=True, reason="but it does")
    def test_07_a_thread_without_messages_has_an_empty_page(self):
        pass
""",
    )
    assert row(output) == [CLAUSES, 1, 0, 1, 1, CLAUSES - 3]


def test_what_is_missing_has_to_fail_and_is_told(pytester: pytest.Pytester) -> None:
    # The clause 1 holds, 4 does not.
    output = run(
        pytester,
        """
    missing = {1: "whole messages", 4: "ids of its own"}

    def make(self, tmp_path):
        jan = self.app(tmp_path, "messages-memory")
        async def same(thread_id, body, create=jan.messages.create):
            return (await create(thread_id, body)).model_copy(update={"id": "msg_1"})
        jan.messages.create = same
        return jan
""",
    )
    assert row(output) == [CLAUSES, 1, 0, 1, 1, 0, CLAUSES - 3]
    assert "holds now   broken" in output
    assert "hold now, which fails the run: take them out of `missing` in messages: TestMine\n  M01 whole" in output
    assert "missing in messages: TestMine\n  M04 ids of its own" in output
    assert "M01 is missing: whole messages (once it holds, take 1 out of `missing`)" in output


def test_what_is_missing_hides_no_crash(pytester: pytest.Pytester) -> None:
    output = run(
        pytester,
        """
    missing = {4: "ids of its own"}

    def make(self, tmp_path):
        raise RuntimeError("no app")
""",
    )
    assert row(output) == [CLAUSES, 0, 0, 0, 3, CLAUSES - 3]


def test_what_is_missing_and_no_clause_stops_the_run(pytester: pytest.Pytester) -> None:
    output = run(pytester, '\n    missing = {99: "nothing"}\n')
    assert "missing has 99" in output
    assert "proven" not in output


@pytest.mark.parametrize("body", ["test_04_no_id_comes_twice = None", "def test_04_no_id_comes_twice(self): pass"])
def test_a_dropped_clause_stops_the_run(pytester: pytest.Pytester, body: str) -> None:
    output = run(pytester, f"\n    {body}\n")
    assert "TestMine has" in output
    assert "the clause test_04_no_id_comes_twice" in output
    assert "error" in output
    assert "proven" not in output


@pytest.mark.parametrize(
    ("place", "mark"), [("class", "skip"), ("module", "skipif(True, reason='x')"), ("clause", "skip")]
)
def test_a_skip_stops_the_run(pytester: pytest.Pytester, mark: str, place: str) -> None:
    texts = {
        "class": f"\nclass TestMine(MessagesContract):\n    pytestmark = pytest.mark.{mark}\n"
        "    def make(self, tmp_path):\n        return self.app(tmp_path, 'messages-memory')\n",
        "module": f"\npytestmark = pytest.mark.{mark}\n",
        "clause": f"\n    test_04_no_id_comes_twice = pytest.mark.{mark}(MessagesContract.test_04_no_id_comes_twice)\n",
    }
    output = run(pytester, texts[place])
    assert "1 passed" not in output
    assert "3 passed" not in output
    assert "No clause is passed over" in output


@pytest.mark.parametrize("how", ["reason='x'", "strict=False, reason='x'", "strict=True, reason='x', run=False"])
def test_a_clause_that_may_fail_unnoticed_stops_the_run(pytester: pytest.Pytester, how: str) -> None:
    output = run(pytester, f"\n    pytestmark = pytest.mark.xfail({how})\n")
    assert "may fail without being noticed" in output
    assert "3 passed" not in output


def test_a_run_without_contracts_has_no_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_it(): pass\nclass TestIt:\n    def test_it(self): pass\n")
    output = pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str()
    assert "2 passed" in output
    assert "= contracts =" not in output


def test_several_processes_make_one_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_contract=HEAD)
    output = pytester.runpytest_subprocess("-n", "2", *FEW).stdout.str()
    assert row(output) == [CLAUSES, 3, 0, 0, 0, CLAUSES - 3]


NEWER = """
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.messages import MessagesContract

class Grown(MessagesContract):
    @clause(since="0.3")
    async def test_96_is_broken_and_newer(self, case):
        \"\"\"The text says why.\"\"\"
        assert 1 == 2, "one is not two"

    @clause(since="0.2")
    async def test_97_holds_and_is_newer(self, case):
        \"\"\"It holds.\"\"\"

    @clause(since="0.2")
    async def test_98_leaves_a_task(self, case):
        \"\"\"It ends.\"\"\"
        import asyncio
        self.left = asyncio.create_task(asyncio.sleep(3600))

class TestMine(Grown):
    def make(self, tmp_path):
        return self.app(tmp_path, "messages-mine")
"""


def grown(pytester: pytest.Pytester, site: Site, requires: list[str], module: str = "messages-mine") -> tuple[int, str]:
    """A run of three clauses of later versions on a module that requires this."""
    code = "from jan_core.testing.memory_messages import provide_messages\n"
    site.add("jan-mine", {"jan_mine.py": code}, {"modules": {"messages-mine": "jan_mine"}}, requires=requires)
    pytester.makepyfile(test_contract=NEWER.replace('"messages-mine")', f'"{module}")'))
    options = ("-p", "no:xdist", "-p", "no:cacheprovider", "-k", "test_9")
    done = pytester.runpytest_inprocess(*options)
    return int(done.ret), done.stdout.str()


def test_clauses_newer_than_the_module_are_run_and_told_and_bind_it_not(pytester: pytest.Pytester, site: Site) -> None:
    code, output = grown(pytester, site, ["jan-core>=0.1,<1"])
    assert code == 0
    assert row(output) == [CLAUSES + 3, 1, 0, 0, 2, 0, CLAUSES]
    (header,) = [line.split() for line in output.splitlines() if line.split()[:1] == ["clauses"]]
    assert header == ["clauses", "proven", "refused", "expected", "to", "fail", "newer", "broken"]
    _, told = output.split("newer than messages: TestMine\n")
    lines = told.splitlines()
    assert lines[0].startswith("  M96 came with jan-core 0.3, after this module was built: one is not two")
    assert lines[1].startswith("  M98 came with jan-core 0.2, after this module was built: tasks go on")


def test_they_bind_a_module_that_says_it_was_built_for_them(
    pytester: pytest.Pytester, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jan_core.__version__", "0.3.1")
    code, output = grown(pytester, site, ["jan-core>=0.2,<1"])
    assert code == 1
    assert row(output) == [CLAUSES + 3, 1, 0, 0, 1, 1, CLAUSES]


@pytest.mark.parametrize("requires", [[], ["jan-core"], ["jan-core<1"]])
def test_they_bind_a_module_that_does_not_say_it_was_built_before(
    pytester: pytest.Pytester, site: Site, requires: list[str]
) -> None:
    code, output = grown(pytester, site, requires)
    assert code == 1
    assert row(output) == [CLAUSES + 3, 1, 0, 0, 2, CLAUSES]


def test_they_bind_a_module_that_is_not_installed(pytester: pytest.Pytester, site: Site) -> None:
    code, output = grown(pytester, site, ["jan-core>=0.1"], "jan_core.testing.memory_messages")
    assert (code, row(output)) == (1, [CLAUSES + 3, 1, 0, 0, 2, CLAUSES])


def test_a_contract_run_refuses_what_was_built_for_another_kernel(pytester: pytest.Pytester, site: Site) -> None:
    code, output = grown(pytester, site, ["jan-core>=0.2"])
    assert code == 1
    assert "it was built for jan-core >=0.2, and this is jan-core 0.1.0" in output
    assert row(output) == [CLAUSES + 3, 0, 0, 0, 3, CLAUSES]


def test_what_was_there_from_the_first_binds_whatever_a_module_says(pytester: pytest.Pytester, site: Site) -> None:
    code = "from jan_core.testing.memory_messages import provide_messages\n"
    site.add("jan-mine", {"jan_mine.py": code}, {"modules": {"messages-mine": "jan_mine"}}, requires=["jan-core>=0"])
    pytester.makepyfile(test_contract=NEWER.replace('since="0.3"', 'since="0.1"'))
    done = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", "-k", "test_9")
    assert int(done.ret) == 1
    assert row(done.stdout.str()) == [CLAUSES + 3, 1, 0, 0, 1, 1, CLAUSES]


def test_clauses_run_in_the_order_of_their_numbers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_contract=HEAD)
    told = pytester.runpytest_inprocess("--co", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")
    numbers = re.findall(r"^test_contract.py::TestMine::test_(\d\d)_\w+$", told.stdout.str(), re.MULTILINE)
    assert numbers == sorted(numbers)
    assert len(numbers) == len(MessagesContract.clauses())


def test_only_those_that_failed_last_are_run_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_contract=HEAD)
    cache = pytester.path / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    first = next(name for name in dir(MessagesContract) if name.startswith("test_01_"))
    (cache / "lastfailed").write_text(json.dumps({f"test_contract.py::TestMine::{first}": True}))
    told = pytester.runpytest_subprocess("-p", "no:xdist", "--last-failed")
    assert told.ret == pytest.ExitCode.OK
    assert row(told.stdout.str()) == [CLAUSES, 1, 0, 0, 0, CLAUSES - 1]
