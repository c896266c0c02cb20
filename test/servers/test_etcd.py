"""etcd on a real member, by gRPC: polls, watch, users, client certificates."""
import time
import urllib.request

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from etcd_server import etcd, etcd_tls  # noqa: F401
from server import free_port


def parts(server, key="/jobs", **more):
    return {"endpoints": server.endpoint, "watchKey": key, "value": 5, **more}


def test_value_and_activation(etcd):
    etcd.put("/jobs", "12.5")
    seen = [ask("etcd", parts(etcd, activationValue=limit)) for limit in (12, 12.5, 13)]
    assert [one["value"] for one in seen] == [12.5] * 3
    assert seen[0]["active"] and not seen[2]["active"]


@pytest.mark.parametrize("text, expected", [("0", 0), ("-3", -3), ("1e3", 1000), ("0x1p4", 16)])
def test_numbers(etcd, text, expected):
    etcd.put("/number", text)
    assert value("etcd", parts(etcd, "/number")) == expected


def test_what_is_no_number(etcd):
    assert "no key" in failed("etcd", parts(etcd, "/nothing"))
    etcd.put("/words", "many")
    assert "not a number" in failed("etcd", parts(etcd, "/words"))
    etcd.put("/long", "1" * 5000)
    assert "not a number" in failed("etcd", parts(etcd, "/long"))
    etcd.put("/odd", "NaN")
    assert ask("etcd", parts(etcd, "/odd"))["state"] == "missing"


def test_the_next_endpoint_is_asked(etcd):
    etcd.put("/jobs", "4")
    for others in (f"127.0.0.1:{free_port()},{etcd.endpoint}", f"http://127.0.0.1:{free_port()},http://{etcd.endpoint}"):
        assert value("etcd", {**parts(etcd), "endpoints": others}) == 4
    assert failed("etcd", {**parts(etcd), "endpoints": f"127.0.0.1:{free_port()}"})


def test_tls(etcd_tls, pki):
    etcd_tls.put("/jobs", 6)
    with_certificate = {"tls": "enable", **pki.client()}
    assert value("etcd", parts(etcd_tls), with_certificate) == 6
    encrypted = {**with_certificate, "key": pki.text("client-encrypted.key"), "keyPassword": "key-password"}
    assert value("etcd", parts(etcd_tls), encrypted) == 6
    assert "certificate" in failed("etcd", parts(etcd_tls), {**with_certificate, "ca": pki.text("wrong-ca.crt")})
    assert failed("etcd", parts(etcd_tls), {"tls": "enable", "ca": pki.text("ca.crt")})  # without a certificate of our own
    assert failed("etcd", parts(etcd_tls), {"tls": "enable", **pki.client("wrong-client")})
    assert failed("etcd", parts(etcd_tls))


def test_a_change_counts_at_once(etcd, weir):
    etcd.put("/push", 0)
    running = weir(scaled_object(trigger("etcd", parts(etcd, "/push", value=5)), pollingInterval=300, minReplicaCount=0, maxReplicaCount=4))
    wait_for(lambda: running.object("app")["triggers"][0].get("value") == 0, 20)
    etcd.put("/push", 15)
    wait_for(lambda: running.object("app")["triggers"][0].get("value") == 15, 5)


def test_stopped_in_the_middle_and_back(etcd, weir):
    etcd.put("/jobs", 3)
    running = weir(scaled_object(trigger("etcd", parts(etcd)), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 3, 20)
    etcd.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    etcd.start()
    wait_for(lambda: state()["state"] == "ok", 40)


@pytest.fixture
def users(etcd):
    """weir may read /jobs and /push, and nothing else."""
    etcd.ctl("user", "add", "root:rootpw")
    etcd.ctl("user", "grant-role", "root", "root")
    etcd.ctl("user", "add", "weir:s3cret")
    etcd.ctl("role", "add", "reader")
    for key in ("/jobs", "/push"):
        etcd.ctl("role", "grant-permission", "reader", "read", key)
    etcd.ctl("user", "grant-role", "weir", "reader")
    etcd.ctl("auth", "enable")
    etcd.login = ["--user", "root:rootpw"]
    yield {"username": "weir", "password": "s3cret"}
    etcd.ctl("auth", "disable")
    etcd.login = []
    for user in ("weir", "root"):
        etcd.ctl("user", "delete", user)
    etcd.ctl("role", "delete", "reader")


def test_users(etcd, users):
    etcd.put("/jobs", 9)
    assert value("etcd", parts(etcd), users) == 9
    assert "password" in failed("etcd", parts(etcd), {**users, "password": "other"})
    assert "permission denied" in failed("etcd", parts(etcd, "/other"), users)
    assert failed("etcd", parts(etcd))


def test_a_change_counts_at_once_for_a_user_too(etcd, users, weir):
    """The watch goes out with the token of the polls, which is there after the first of them; nothing but the watch asks again here."""
    etcd.put("/push", 0)
    running = weir(scaled_object(trigger("etcd", parts(etcd, "/push"), users), pollingInterval=3600, minReplicaCount=0, maxReplicaCount=4))
    wait_for(lambda: running.object("app")["triggers"][0].get("value") == 0, 20)
    numbers = iter(range(15, 1000))

    def follows():
        number = next(numbers)
        etcd.put("/push", number)
        time.sleep(0.5)
        return running.object("app")["triggers"][0].get("value") == number

    wait_for(follows, 40)


def test_a_token_is_the_users_not_each_triggers(etcd, users, weir):
    """etcd makes tokens with much work on purpose: many keys of one user cost few of them, and a key that he may not read costs none."""
    etcd.put("/jobs", 9)
    triggers = [trigger("etcd", parts(etcd, "/jobs" if number < 10 else f"/secret-{number}"), users) for number in range(15)]
    running = weir(scaled_object(*triggers, pollingInterval=1, maxReplicaCount=3))

    def states():
        return [one.get("state") for one in running.object("app")["triggers"]]

    def signed_in():
        with urllib.request.urlopen(f"http://{etcd.endpoint}/metrics") as page:
            return sum(float(line.split()[-1]) for line in page.read().decode().splitlines()
                       if line.startswith("grpc_server_started_total{") and 'grpc_method="Authenticate"' in line)

    wait_for(lambda: states() == ["ok"] * 10 + ["failed"] * 5, 30)
    before = signed_in()
    time.sleep(4)
    assert states() == ["ok"] * 10 + ["failed"] * 5
    assert signed_in() == before
