"""The scratch server: real servers, real kills, and a look at what is left."""

from __future__ import annotations

import psycopg
import pytest

from rcakit import scratch


def test_it_answers_over_its_private_socket_only(server: scratch.Server) -> None:
    with server.connect() as connection:
        assert connection.info.server_version // 10000 == server.major
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert server.socket.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("prefix", ["plain", 'a "quoted" one', "it's\nτwo lines", "x" * 200, "🐘" * 40])
def test_a_database_of_any_prefix_comes_and_goes(server: scratch.Server, prefix: str) -> None:
    with server.database(prefix) as name, psycopg.connect(server.conninfo(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
        assert len(name.encode()) <= 63
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.conninfo(name))
