"""mongodb against a stand-in that speaks its wire protocol (mongo_peer.py): no MongoDB can be had as a package. The client library is the
real one, with SCRAM and TLS."""
import sys
import time
from pathlib import Path

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from server import Server, free_port

PEER = Path(__file__).with_name("mongo_peer.py")
WAITING = '{"state": "waiting"}'


class Peer(Server):
    def __init__(self, folder, password="s3cret", pki=None):
        self.port = free_port()
        self.password = password
        self.keys = [pki.path("server.crt"), pki.path("server.key"), pki.path("ca.crt")] if pki else []
        super().__init__(folder, "mongo", [], ready=self.port)

    def prepare(self):
        self.command = [str(word) for word in (sys.executable, PEER, self.port, "weir", self.password, *self.keys)]


@pytest.fixture(scope="module")
def peer(place):
    with Peer(place("mongo")) as server:
        yield server


@pytest.fixture(scope="module")
def peer_tls(place, pki):
    with Peer(place("mongo-tls"), pki=pki) as server:
        yield server


def parts(server, query=WAITING, host="127.0.0.1", **more):
    return {"host": host, "port": server.port, "username": "weir", "dbName": "jobs", "collection": "jobs", "query": query, "queryValue": 5,
            **more}


LOGIN = {"password": "s3cret"}


def test_count_and_activation(peer):
    seen = [ask("mongodb", parts(peer, activationQueryValue=limit), LOGIN) for limit in (2, 3, 4)]
    assert [one["value"] for one in seen] == [3, 3, 3], seen
    assert seen[0]["active"] and not seen[2]["active"]
    by_string = {"connectionString": f"mongodb://weir:s3cret@127.0.0.1:{peer.port}/jobs"}
    assert value("mongodb", {"dbName": "jobs", "collection": "jobs", "query": WAITING, "queryValue": 5}, by_string) == 3


@pytest.mark.parametrize("query, expected", [('{"_id": {"$exists": true}}', 4), ('{"size": {"$gt": {"$numberInt": "4"}}}', 2),
                                             ('{"state": "nowhere"}', 0)])
def test_filters(peer, query, expected):
    assert value("mongodb", parts(peer, query), LOGIN) == expected


def test_a_collection_comes_with_its_first_document(peer):
    assert value("mongodb", parts(peer, collection="nowhere"), LOGIN) == 0


@pytest.mark.parametrize("query, words", [("{}", "counts all"), ("state", "JSON"), ('{"size": {"$nope": 1}}', "$nope"),
                                          ('{"at": {"$gt": {"$date": "2026-01-01T00:00:00Z"}}}', "numberLong")])
def test_what_is_no_filter(peer, query, words):
    assert words in failed("mongodb", parts(peer, query), LOGIN)


def test_what_is_refused_to_one_is_not_to_its_neighbours(peer, weir):
    """They share the connection: none of the others may fail because of it."""
    running = weir(scaled_object(*[trigger("mongodb", parts(peer, collection=name), LOGIN) for name in ["secrets"] * 3 + ["jobs", "none"] * 3],
                                 pollingInterval=1))

    def states():
        return [one.get("state") for one in running.object("app")["triggers"]]

    wait_for(lambda: states() == ["failed"] * 3 + ["ok"] * 6, 30)
    assert "not authorized" in str(running.object("app")["triggers"][0])
    for _ in range(25):
        time.sleep(0.2)
        assert states() == ["failed"] * 3 + ["ok"] * 6, running.object("app")["triggers"]


def test_wrong_password(peer):
    assert "uthentication" in failed("mongodb", parts(peer), {"password": "other"})


def test_tls(peer_tls, pki):
    there = parts(peer_tls, host="localhost")
    auth = {**LOGIN, "tls": "enable", **pki.client()}
    assert value("mongodb", there, auth) == 3
    assert value("mongodb", there, {**auth, "key": pki.text("client-encrypted.key"), "keyPassword": "key-password"}) == 3
    assert failed("mongodb", there, {**auth, "ca": pki.text("wrong-ca.crt")})
    assert failed("mongodb", there, {**LOGIN, "tls": "enable", "ca": pki.text("ca.crt")})  # without a certificate of our own
    assert failed("mongodb", there, LOGIN)


def test_nobody_there():
    assert failed("mongodb", {"host": "127.0.0.1", "port": free_port(), "username": "weir", "dbName": "jobs", "collection": "jobs",
                              "query": WAITING, "queryValue": 5}, LOGIN)


def test_stopped_in_the_middle_and_back_with_another_password(peer, weir):
    running = weir(scaled_object(trigger("mongodb", parts(peer), LOGIN), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 3, 20)
    peer.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    peer.start()
    wait_for(lambda: state()["state"] == "ok", 40)
    peer.password = "n3xt"
    peer.restart()
    assert failed("mongodb", parts(peer), LOGIN)
    assert value("mongodb", parts(peer), {"password": "n3xt"}) == 3
    peer.password = "s3cret"
