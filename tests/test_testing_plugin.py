from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]

HEAD = """
import pytest
from jan_core.testing.contract.messages import MessagesContract

class TestMine(MessagesContract):
    def make(self, tmp_path):
        return self.app(tmp_path, "messages-memory")
"""
FEW = ("-k", "test_01 or test_04 or test_07", "-p", "no:cacheprovider")


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
    assert row(output) == [28, 3, 0, 0, 0, 25]


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
    assert row(output) == [28, 1, 0, 1, 1, 25]


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


def test_a_run_without_contracts_has_no_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_it(): pass\nclass TestIt:\n    def test_it(self): pass\n")
    output = pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str()
    assert "2 passed" in output
    assert "= contracts =" not in output


def test_several_processes_make_one_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_contract=HEAD)
    output = pytester.runpytest_subprocess("-n", "2", *FEW).stdout.str()
    assert row(output) == [28, 3, 0, 0, 0, 25]
