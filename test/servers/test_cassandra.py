"""cassandra on a real node: CQL with a login, over TLS too."""
import pytest

from cassandra_server import cassandra  # noqa: F401
from conftest import ask, failed, scaled_object, trigger, value, wait_for

pytestmark = pytest.mark.heavy
COUNT = "SELECT count(*) FROM shop.jobs"


def parts(server, query=COUNT, **more):
    return {"clusterIPAddress": f"127.0.0.1:{server.port}", "keyspace": "shop", "username": "weir", "query": query, "targetQueryValue": 5,
            **more}


LOGIN = {"password": "s3cret"}


def test_count_and_activation(cassandra):
    cassandra.cql("TRUNCATE shop.jobs", *[f"INSERT INTO shop.jobs (id, small, huge) VALUES ({n}, -2, {2 ** 70})" for n in range(3)])
    seen = [ask("cassandra", parts(cassandra, activationTargetQueryValue=limit), LOGIN) for limit in (2, 3, 4)]
    assert [one["value"] for one in seen] == [3, 3, 3], seen
    assert seen[0]["active"] and not seen[2]["active"]


def test_numbers(cassandra):
    assert value("cassandra", parts(cassandra, "SELECT small FROM shop.jobs"), LOGIN) == -2
    assert value("cassandra", parts(cassandra, "SELECT huge FROM shop.jobs", consistency="LOCAL_QUORUM"), LOGIN) == 2 ** 70
    assert value("cassandra", parts(cassandra, protocolVersion=3), LOGIN) == 3


def test_no_row_and_null_are_missing(cassandra):
    for query in ("SELECT id FROM shop.jobs WHERE id = 99", "SELECT sum(small) FROM shop.jobs WHERE id = 99",
                  "SELECT max(id) FROM shop.jobs WHERE id = 99"):
        assert ask("cassandra", parts(cassandra, query), LOGIN)["state"] in ("missing", "ok")
    assert ask("cassandra", parts(cassandra, "SELECT id FROM shop.jobs WHERE id = 99"), LOGIN)["state"] == "missing"
    assert ask("cassandra", parts(cassandra, "SELECT max(id) FROM shop.jobs WHERE id = 99"), LOGIN)["state"] == "missing"


@pytest.mark.parametrize("query, words", [
    ("SELECT id, small FROM shop.jobs", "2 columns"), ("SELECT name FROM shop.jobs", "gives a text"), ("SELECT rate FROM shop.jobs", "double"),
    ("SELECT count(*) FROM shop.nowhere", "nowhere"), ("SELECT nothing FROM shop.jobs", "nothing"), ("SELEKT 1", "0x2000")])
def test_what_is_no_number(cassandra, query, words):
    assert words in failed("cassandra", parts(cassandra, query), LOGIN)


def test_wrong_password(cassandra):
    assert "0x0100" in failed("cassandra", parts(cassandra), {"password": "other"})


def test_not_allowed(cassandra):
    assert "0x2100" in failed("cassandra", parts(cassandra, "SELECT count(*) FROM system_auth.roles"), LOGIN)


def test_rotated_password(cassandra):
    cassandra.cql("ALTER ROLE weir WITH PASSWORD = 'n3xt'")
    assert failed("cassandra", parts(cassandra), LOGIN)
    assert ask("cassandra", parts(cassandra), {"password": "n3xt"})["state"] == "ok"
    cassandra.cql("ALTER ROLE weir WITH PASSWORD = 's3cret'")


def test_tls(cassandra, pki):
    auth = {**LOGIN, "tls": "enable", "cert": pki.text("client.crt"), "key": pki.text("client.key")}
    assert ask("cassandra", parts(cassandra), auth)["state"] == "ok"  # without ca nobody looks, as in KEDA
    assert ask("cassandra", parts(cassandra), {**auth, "ca": pki.text("ca.crt")})["state"] == "ok"
    assert "certificate" in failed("cassandra", parts(cassandra), {**auth, "ca": pki.text("wrong-ca.crt")})


def test_stopped_in_the_middle_and_back(cassandra, weir):
    running = weir(scaled_object(trigger("cassandra", parts(cassandra), LOGIN), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state()["state"] == "ok", 30)
    cassandra.stop()
    wait_for(lambda: state()["state"] == "failed", 40)
    cassandra.start()
    wait_for(lambda: state()["state"] == "ok", 60)
