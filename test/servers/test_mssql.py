"""mssql against a stand-in that speaks TDS (tds_peer.py): no SQL Server can be had as a package. The client library is the real one."""
import sys
import time
from pathlib import Path

import pytest

from conftest import ask, failed, probe, scaled_object, trigger, value, wait_for
from hostile_server import Hostile, hang
from server import Server, free_port

PEER = Path(__file__).with_name("tds_peer.py")
COUNT = "SELECT count(*) FROM jobs"


class Peer(Server):
    def __init__(self, folder, password="s3cret", pki=None):
        self.port = free_port()
        keys = [pki.path("server.crt"), pki.path("server.key")] if pki else []
        super().__init__(folder, "tds", [sys.executable, PEER, self.port, "weir", password, *keys], ready=self.port)


@pytest.fixture(scope="module")
def peer(place):
    with Peer(place("tds")) as server:
        yield server


@pytest.fixture(scope="module")
def peer_tls(place, pki):
    with Peer(place("tds-tls"), pki=pki) as server:
        yield server


def parts(server, query=COUNT, **more):
    return {"host": "127.0.0.1", "port": server.port, "username": "weir", "query": query, "targetValue": 5, **more}


def by_string(text, query=COUNT, auth=None):
    return ask("mssql", {"query": query, "targetValue": 5}, {"connectionString": text, **(auth or {})})


def test_count_and_activation(peer):
    seen = [ask("mssql", parts(peer, activationTargetValue=limit), {"password": "s3cret"}) for limit in (2, 3, 4)]
    assert [one["value"] for one in seen] == [3, 3, 3], seen
    assert seen[0]["active"] and not seen[2]["active"]


@pytest.mark.parametrize("query, expected", [("big", 2 ** 53), ("tiny", 200), ("float", 2.5), ("decimal", -12.25), ("text", 12.5),
                                             ("padded", 7), ("rows", 1), ("many rows", 0)])
def test_numbers(peer, query, expected):
    assert value("mssql", parts(peer, f"SELECT {query}"), {"password": "s3cret"}) == expected


@pytest.mark.parametrize("query, words", [("SELECT null", "NULL"), ("SELECT two", "2 columns"), ("SELECT word", "not a number"),
                                          ("SELECT bit", "bit"), ("SELECT date", "date"), ("SELECT 1 FROM nowhere", "nowhere"),
                                          ("SET x 1", "no result"), ("HANG UP", ""), ("WAITFOR DELAY '1:00'", "too long")])
def test_what_is_no_number(peer, query, words):
    assert words in failed("mssql", parts(peer, query), {"password": "s3cret"})


def test_no_row_is_missing(peer):
    assert ask("mssql", parts(peer, "SELECT none"), {"password": "s3cret"})["state"] == "missing"


def test_wrong_password(peer):
    assert "Login failed" in failed("mssql", parts(peer), {"password": "other"})


@pytest.mark.parametrize("form", ["sqlserver://weir:s3cret@127.0.0.1:{}?database=jobs&encrypt=false",
                                  "Server=tcp:127.0.0.1;Port={};Database=jobs;User ID=weir;Password=\"s3cret\";Encrypt=false",
                                  "odbc:server=127.0.0.1;port={};uid=weir;pwd={{s3cret}}"])
def test_connection_strings(peer, form):
    seen = by_string(form.format(peer.port))
    assert seen["state"] == "ok" and seen["value"] == 3, seen


def test_tls(peer_tls, pki):
    def at(host, options):
        return f"sqlserver://weir:s3cret@{host}:{peer_tls.port}?encrypt=true{options}"

    assert by_string(at("127.0.0.1", "&TrustServerCertificate=true"))["value"] == 3
    good = by_string(at("localhost", ""), auth={"ca": pki.text("ca.crt")})
    assert good["state"] == "ok" and good["value"] == 3, good
    assert by_string(at("localhost", ""), auth={"ca": pki.text("wrong-ca.crt")})["state"] == "failed"
    assert by_string(at("localhost", ""))["state"] == "failed"  # the system does not know our authority


def test_two_authorities_at_once(peer_tls, peer, pki, weir):
    """How a login is checked is its own: one with the wrong authority never gets in, and none is lent another's."""
    def at(server, options, ca):
        return trigger("mssql", {"query": COUNT, "targetValue": 5},
                       {"connectionString": f"sqlserver://weir:s3cret@localhost:{server.port}?{options}", **({"ca": pki.text(ca)} if ca else {})})

    running = weir(scaled_object(at(peer_tls, "encrypt=true", "ca.crt"), at(peer_tls, "encrypt=true", "wrong-ca.crt"),
                                 at(peer_tls, "encrypt=true", None), at(peer, "encrypt=false", None), pollingInterval=1))

    def states():
        return [one.get("state") for one in running.object("app")["triggers"]]

    wait_for(lambda: states() == ["ok", "failed", "failed", "ok"], 30)
    for _ in range(25):
        time.sleep(0.2)
        assert states() == ["ok", "failed", "failed", "ok"], running.object("app")["triggers"]


def test_hosts_that_hang_are_in_nobodys_way(peer_tls, pki):
    """One after the other they would take more time than there is for the one that answers."""
    def at(host, port):
        return trigger("mssql", {"query": COUNT, "targetValue": 5},
                       {"connectionString": f"sqlserver://weir:s3cret@{host}:{port}?encrypt=true", "ca": pki.text("ca.crt")})

    with Hostile(hang) as server:
        hosts = [(name, server.port) for name in ("127.0.0.1", "127.1", "127.0.1", "localhost", "2130706433")] + [("localhost", peer_tls.port)]
        seen = probe("".join(scaled_object(at(*host), name=f"app-{number}") for number, host in enumerate(hosts)))["objects"]
    states = {one["object"].split("/")[-1]: one["triggers"][0]["state"] for one in seen}
    assert states == {**{f"app-{number}": "failed" for number in range(5)}, "app-5": "ok"}, seen


@pytest.mark.parametrize("name", ["TDSHOST", "TDSPORT", "TDSDUMP"])
def test_nothing_of_the_environment_turns_a_login_elsewhere(peer, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert name in failed("mssql", parts(peer), {"password": "s3cret"})


def test_no_configuration_of_the_machine_is_looked_into(peer, monkeypatch, tmp_path):
    file = tmp_path / "freetds.conf"
    file.write_text("[global]\nhost = 127.0.0.9\nport = 1\n[127.0.0.1]\nhost = 127.0.0.9\nport = 1\n")
    monkeypatch.setenv("FREETDSCONF", str(file))
    assert value("mssql", parts(peer), {"password": "s3cret"}) == 3


def test_what_is_refused_to_one_is_not_to_its_neighbours(peer, weir):
    """They share the connection: none of the others may fail because of it."""
    questions = ["SELECT secret", "SELECT 1 FROM nowhere", "SELECT secret", COUNT, "SELECT big", "SELECT tiny", "SELECT float"]
    running = weir(scaled_object(*[trigger("mssql", parts(peer, one), {"password": "s3cret"}) for one in questions], pollingInterval=1))

    def states():
        return [one.get("state") for one in running.object("app")["triggers"]]

    wait_for(lambda: states() == ["failed"] * 3 + ["ok"] * 4, 30)
    assert "permission was denied" in str(running.object("app")["triggers"][0])
    for _ in range(25):
        time.sleep(0.2)
        assert states() == ["failed"] * 3 + ["ok"] * 4, running.object("app")["triggers"]


def test_encryption_that_is_not_there(peer):
    assert by_string(f"sqlserver://weir:s3cret@localhost:{peer.port}?encrypt=true")["state"] == "failed"


def test_stopped_in_the_middle_and_back(peer, weir):
    running = weir(scaled_object(trigger("mssql", parts(peer), {"password": "s3cret"}), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 3, 20)
    peer.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    peer.start()
    wait_for(lambda: state()["state"] == "ok", 40)
