"""The contracts of threads, messages and runs where one is in the folder and another in PostgreSQL, or all are."""

from __future__ import annotations

from pathlib import Path

from jan_postgresql.testing import dsn_for

from jan_core.app import Jan
from jan_core.testing.contract.messages import MessagesContract
from jan_core.testing.contract.runs import RunsContract
from jan_core.testing.contract.threads import ThreadsContract
from tests.around import AROUND


class TestMessagesInTheFolderOfThreadsInPostgresql(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        return self.app(tmp_path, "messages-json", beside={"threads": "threads-postgresql"}, tables=tables)


class TestMessagesInPostgresqlOfThreadsInTheFolder(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        return self.app(tmp_path, "messages-postgresql", beside={"threads": "threads-json"}, tables=tables)


class TestMessagesAndThreadsInPostgresql(MessagesContract):
    """Both wrapped."""

    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"threads": "threads-postgresql"}
        return self.app(tmp_path, "messages-postgresql", beside=beside, tables=tables, plugins=AROUND)


class TestThreadsInPostgresqlWithMessagesInTheFolder(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"messages": "messages-json", "assistants": "assistants-json"}
        return self.app(tmp_path, "threads-postgresql", beside=beside, tables=tables)


class TestThreadsInTheFolderWithMessagesInPostgresql(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"messages": "messages-postgresql", "assistants": "assistants-postgresql"}
        return self.app(tmp_path, "threads-json", beside=beside, tables=tables)


class TestAllOfThemInPostgresql(ThreadsContract):
    """All wrapped."""

    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"messages": "messages-postgresql", "assistants": "assistants-postgresql"}
        return self.app(tmp_path, "threads-postgresql", beside=beside, tables=tables, plugins=AROUND)


class TestRunsInTheFolderOfThreadsInPostgresql(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {name: f"{name}-postgresql" for name in ("threads", "messages", "assistants")}
        return self.app(tmp_path, "runs-json", beside=beside, tables=tables)


class TestRunsInPostgresqlOfThreadsInTheFolder(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {name: f"{name}-json" for name in ("threads", "messages", "assistants")}
        return self.app(tmp_path, "runs-postgresql", beside=beside, tables=tables)


class TestRunsAndMessagesInPostgresqlOfThreadsInTheFolder(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"threads": "threads-json", "messages": "messages-postgresql", "assistants": "assistants-json"}
        return self.app(tmp_path, "runs-postgresql", beside=beside, tables=tables)


class TestRunsAndThreadsInPostgresqlWithMessagesInTheFolder(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {"threads": "threads-postgresql", "messages": "messages-json", "assistants": "assistants-postgresql"}
        return self.app(tmp_path, "runs-postgresql", beside=beside, tables=tables)


class TestEverythingInPostgresql(RunsContract):
    """All wrapped."""

    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
        beside = {name: f"{name}-postgresql" for name in ("threads", "messages", "assistants")}
        return self.app(tmp_path, "runs-postgresql", beside=beside, tables=tables, plugins=AROUND)
