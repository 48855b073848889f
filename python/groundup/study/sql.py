"""A learner's SQL, run where it can do no harm: in memory, read only, bounded in time, steps and size."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

#: Columns and rows of a table.
Table = tuple[Sequence[str], Sequence[Sequence[Any]]]

#: What one query may use: seconds, steps of SQLite's machine, rows, bytes of one value.
SECONDS, STEPS, ROWS, VALUE_BYTES = 5.0, 20_000_000, 10_000, 100_000

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class SQLError(ValueError):
    """A query that cannot run, with SQLite's reason in words of ours."""


class Query:
    """SQL text to call like a function: with tables in, rows out.

    >>> newest = Query("SELECT name FROM runs ORDER BY day DESC LIMIT 1")
    >>> newest({"runs": (("name", "day"), [("a", 1), ("b", 2)])})
    [('b',)]
    >>> Query("DROP TABLE runs")({"runs": (("name",), [])})
    Traceback (most recent call last):
    groundup.study.sql.SQLError: the query may only read: one SELECT, or WITH … SELECT
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Query({self.text!r})"

    def __call__(self, tables: Mapping[str, Table]) -> list[tuple[Any, ...]]:
        """The rows of the result.

        Args:
            tables: columns and rows by name.

        Raises:
            SQLError: the query is wrong, wants to write, or takes too long.
        """
        connection = sqlite3.connect(":memory:")
        try:
            for name, (columns, rows) in tables.items():
                names = ", ".join(f'"{column}"' for column in columns)
                connection.execute(f'CREATE TABLE "{name}" ({names})')
                marks = ", ".join("?" * len(columns))
                connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)
            connection.commit()
            return self._rows(connection)
        finally:
            connection.close()

    def _rows(self, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
        )
        stop, steps, every = time.monotonic() + SECONDS, 0, 10_000

        def watch() -> bool:
            nonlocal steps
            steps += every
            return steps > STEPS or time.monotonic() > stop

        connection.set_progress_handler(watch, every)
        try:
            cursor = connection.execute(self.text)
            rows = cursor.fetchmany(ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise SQLError(_words(error)) from None
        if cursor.description is None:
            raise SQLError("the query gives no rows at all: it must be a SELECT")
        if len(rows) > ROWS:
            raise SQLError(f"the query gives more than {ROWS:,} rows: a join without its condition?")
        self.columns = tuple(column[0] for column in cursor.description)
        return rows


def _words(error: Exception) -> str:
    text = str(error)
    if "not authorized" in text or "prohibited" in text:
        return "the query may only read: one SELECT, or WITH … SELECT"
    if "interrupted" in text:
        return "the query takes too long and was stopped: a join without its condition, or a recursion without an end?"
    if "one statement" in text:
        return "there must be one statement, but there are several"
    return f"SQLite says: {text}"
