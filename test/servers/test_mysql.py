"""mysql on a real MariaDB."""
import time

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from hostile_server import Hostile, hang, trickles
from mariadb_server import mariadb  # noqa: F401

COUNT = "SELECT count(*) FROM jobs WHERE state = 'waiting'"


def parts(server, query=COUNT, **more):
    return {"host": "127.0.0.1", "port": server.port, "username": "weir", "dbName": "jobs", "query": query, "queryValue": 5, **more}


def ask_it(server, query=COUNT, password="s3cret", **more):
    return ask("mysql", parts(server, query, **more), {"password": password})


def by_string(server, query=COUNT, auth=None, **more):
    return ask("mysql", {"query": query, "queryValue": 5}, {"connectionString": server.dsn(**more), **(auth or {})})


def greets(act):
    """MySQL's server speaks first: the act begins without a question."""
    class Asked:
        def __init__(self, reader):
            self.reader, self.first = reader, True

        async def read(self, count):
            if self.first:
                self.first = False
                return b"hello"
            return await self.reader.read(count)

    return lambda reader, writer: act(Asked(reader), writer)


def test_count_and_activation(mariadb):
    mariadb.sql("TRUNCATE jobs.jobs")
    assert ask_it(mariadb)["value"] == 0
    mariadb.sql("INSERT INTO jobs.jobs VALUES ('waiting'), ('waiting'), ('waiting'), ('done')")
    seen = {limit: ask_it(mariadb, activationQueryValue=limit) for limit in (2, 3, 4)}
    assert [seen[limit]["value"] for limit in seen] == [3, 3, 3]
    assert seen[2]["active"] and not seen[4]["active"]
    assert by_string(mariadb)["value"] == 3


@pytest.mark.parametrize("query, expected", [
    ("SELECT 7", 7), ("SELECT 2.5", 2.5), ("SELECT CAST(1e3 AS DOUBLE)", 1000), ("SELECT '12.5'", 12.5), ("SELECT -3", -3),
    ("SELECT 18446744073709551615", 18446744073709551615), ("SELECT 1 UNION SELECT 2", 1)])
def test_numbers(mariadb, query, expected):
    seen = ask_it(mariadb, query)
    assert (seen["state"], seen["value"]) == ("ok", pytest.approx(expected)), seen


@pytest.mark.parametrize("query, words", [
    ("SELECT NULL", "NULL"), ("SELECT 1 WHERE 1 = 0", "no row"), ("SELECT 1, 2", "2 columns"), ("SELECT 'many'", "not a number"),
    ("SELECT CURRENT_DATE", "not a number"), ("SELECT bits FROM odd", "bits"), ("SELECT count(*) FROM nowhere", "nowhere"),
    ("SELEKT 1", "syntax"), ("SET @a = 1", "no result"), ("SELECT SLEEP(60)", "")])
def test_what_is_no_number(mariadb, query, words):
    assert words in failed("mysql", parts(mariadb, query), {"password": "s3cret"})


def test_many_rows_do_not_harm(mariadb):
    assert ask_it(mariadb, "SELECT seq FROM seq_1_to_1000000")["value"] == 1


def test_wrong_password(mariadb):
    assert "Access denied" in failed("mysql", parts(mariadb), {"password": "other"})
    assert "other" not in failed("mysql", parts(mariadb), {"password": "other-secret"})


def test_tls(mariadb, pki):
    for options in ("tls=skip-verify", "tls=preferred"):
        assert by_string(mariadb, "SHOW STATUS LIKE 'Ssl_cipher'", options=options)["state"] == "failed"  # two columns
        assert by_string(mariadb, "SELECT length(variable_value) > 0 FROM information_schema.session_status "
                         "WHERE variable_name = 'Ssl_cipher'", options=options)["value"] == 1
    good = by_string(mariadb, "SELECT 4", {"ca": pki.text("ca.crt")}, options="tls=true", host="localhost")
    assert good["state"] == "ok" and good["value"] == 4, good
    wrong = by_string(mariadb, "SELECT 4", {"ca": pki.text("wrong-ca.crt")}, options="tls=true", host="localhost")
    assert wrong["state"] == "failed" and "erti" in wrong["error"], wrong
    assert by_string(mariadb, "SELECT 4", options="tls=true")["state"] == "failed"  # the system does not know our authority


def test_session_variables(mariadb):
    assert by_string(mariadb, "SELECT @@lock_wait_timeout", options="lock_wait_timeout=77&parseTime=true")["value"] == 77
    assert "no_such_thing" in by_string(mariadb, "SELECT 1", options="no_such_thing=1")["error"]


def test_a_server_may_not_ask_for_our_files(mariadb):
    mariadb.sql("SET GLOBAL local_infile = 1")
    said = failed("mysql", parts(mariadb, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE jobs"), {"password": "s3cret"})
    assert "root:" not in said


def test_rotated_password(mariadb):
    mariadb.sql("ALTER USER weir@'%' IDENTIFIED BY 'n3xt'")
    assert "Access denied" in failed("mysql", parts(mariadb), {"password": "s3cret"})
    assert ask_it(mariadb, password="n3xt")["state"] == "ok"
    mariadb.sql("ALTER USER weir@'%' IDENTIFIED BY 's3cret'")


def test_many_questions_share_few_connections(mariadb, weir):
    def number(name):
        return int(mariadb.sql(f"SHOW GLOBAL STATUS LIKE '{name}'").split()[1])

    before, opened = number("Threads_connected"), number("Connections")
    running = weir(scaled_object(*[trigger("mysql", parts(mariadb, f"SELECT {count}"), {"password": "s3cret"}) for count in range(40)],
                                 pollingInterval=1, maxReplicaCount=3))
    wait_for(lambda: [one.get("value") for one in running.object("app")["triggers"]] == list(range(40)), 30)
    time.sleep(5)
    assert number("Threads_connected") - before <= 4
    assert number("Connections") - opened < 20  # our own questions to the server among them


@pytest.mark.parametrize("query, words", [("SELECT count(*) FROM mysql.user", "denied"), ("SELECT count(*) FROM nowhere", "nowhere")])
def test_what_is_refused_to_one_is_not_to_its_neighbours(mariadb, weir, query, words):
    """They share the connection: none of the others may fail because of it."""
    questions = [query, query, query, *(f"SELECT {count}" for count in range(8))]
    running = weir(scaled_object(*[trigger("mysql", parts(mariadb, one), {"password": "s3cret"}) for one in questions], pollingInterval=1))

    def states():
        return [one.get("state") for one in running.object("app")["triggers"]]

    wait_for(lambda: states() == ["failed"] * 3 + ["ok"] * 8, 30)
    assert all(words in str(one) for one in running.object("app")["triggers"][:3])
    for _ in range(25):
        time.sleep(0.2)
        assert states() == ["failed"] * 3 + ["ok"] * 8, running.object("app")["triggers"]


@pytest.mark.parametrize("act", [trickles(b"", b"x"), trickles(b"\xff\xff\xff\x00", b"\x0a"), hang])
def test_a_server_that_takes_for_ever_to_speak(act):
    """The call itself ends, whatever the server does with its bytes: its thread is free again."""
    with Hostile(greets(act)) as server:
        assert "hangs" not in failed("mysql", parts(server), {"password": "s3cret"})


def test_stopped_in_the_middle_and_back(mariadb, weir):
    mariadb.sql("TRUNCATE jobs.jobs")
    mariadb.sql("INSERT INTO jobs.jobs VALUES ('waiting'), ('waiting')")
    running = weir(scaled_object(trigger("mysql", parts(mariadb), {"password": "s3cret"}), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 2, 20)
    mariadb.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    mariadb.start()
    wait_for(lambda: state()["state"] == "ok" and state()["value"] == 2, 40)


def test_a_server_that_hangs(mariadb):
    mariadb.pause()
    try:
        assert failed("mysql", parts(mariadb), {"password": "s3cret"})
    finally:
        mariadb.resume()
    assert value("mysql", parts(mariadb, "SELECT 9"), {"password": "s3cret"}) == 9
