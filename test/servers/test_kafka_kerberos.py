"""kafka with sasl: gssapi on a real broker and a real KDC: passwords, keytabs, tickets that end, two principals at once, what is refused."""
import json
import time

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from kafka_server import Kafka
from kerberos_server import REALM, kdc  # noqa: F401

pytestmark = pytest.mark.heavy
PASSWORD = "alice-pw"


@pytest.fixture(scope="module")
def kafka(place, pki, kdc):  # noqa: F811
    kdc.person("alice", PASSWORD)
    kdc.person("bob", "bob-pw")
    kdc.person("brief", "brief-pw", life_s=6)
    with Kafka(place("kafka"), pki, kdc=kdc) as server:
        server.do(["topics", ["orders", "for-alice", "for-robot"], 1], ["produce", "orders", 0, 7], ["produce", "for-alice", 0, 3],
                  ["produce", "for-robot", 0, 5], ["commit", "billing", "orders", 0, 2],
                  ["allow", "alice", "for-alice"], ["allow", "robot", "for-robot"])
        yield server


@pytest.fixture(scope="module")
def robot(kdc):  # noqa: F811
    return kdc.keytab("robot").read_bytes()


@pytest.fixture(scope="module")
def of_the_process(kdc):  # noqa: F811
    return kdc.keytab("operator")


@pytest.fixture(autouse=True)
def known_realms(kdc, of_the_process, monkeypatch):  # noqa: F811
    """What Weir is run with: its realms, and a keytab of its own, which the library would use wherever it finds no ticket."""
    monkeypatch.setenv("KRB5_CONFIG", str(kdc.config))
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(of_the_process))
    yield
    assert kdc.issued("operator") == 0


def asking(kafka, **more):
    return {"bootstrapServers": kafka.tickets, "consumerGroup": "billing", "topic": "orders", "sasl": "gssapi",
            "offsetResetPolicy": "earliest", **more}


def user(name, password=None, **more):
    given = {"username": name, "realm": REALM, "kerberosConfig": "# that of Weir", **more}
    return given if password is None else {**given, "password": password}


def seen(running, number=0):
    listed = running.object().get("triggers") or []
    return listed[number] if number < len(listed) else {}


@pytest.fixture(scope="module")
def used(kafka, kdc):  # noqa: F811
    """The first login takes the broker long: classes are loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(kdc.config))
        wait_for(lambda: ask("kafka", asking(kafka), user("alice", PASSWORD))["state"] == "ok", 60)
    return kafka


def test_password(used):
    assert value("kafka", asking(used), user("alice", PASSWORD)) == 5


def test_keytab(used, robot):
    assert value("kafka", asking(used), user("robot", keytab=robot)) == 5


def test_wrong_password(used):
    began = time.monotonic()
    error = failed("kafka", asking(used), user("alice", "not-hers"))
    assert f"no Kerberos ticket for alice@{REALM}" in error and "not-hers" not in error
    assert time.monotonic() - began < 5


def test_unknown_user(used):
    assert "not found in Kerberos database" in failed("kafka", asking(used), user("nobody", PASSWORD))


def test_unknown_realm(used):
    error = failed("kafka", asking(used), {**user("alice", PASSWORD), "realm": "ELSEWHERE.TEST"})
    assert "Cannot find KDC for realm" in error and "whoever runs Weir" in error


def test_user_with_a_realm_in_its_name(used):
    assert "no Kerberos ticket" in failed("kafka", asking(used), user(f"alice@{REALM}", PASSWORD))


def test_kdc_that_is_away(used):
    assert "Cannot contact any KDC" in failed("kafka", asking(used), {**user("alice", PASSWORD), "realm": "AWAY.TEST"})


def test_config_of_a_tenant_is_not_read(used):
    theirs = f"[realms]\n{REALM} = {{\n kdc = 127.0.0.1:1\n}}\n[plugins]\nlocalauth = {{\n module = x:/tmp/x.so\n}}\n"
    assert value("kafka", asking(used), {**user("alice", PASSWORD), "kerberosConfig": theirs}) == 5


def test_keytab_of_somebody_else(used, robot):
    assert f"no Kerberos ticket for alice@{REALM}" in failed("kafka", asking(used), user("alice", keytab=robot))


@pytest.mark.parametrize("keytab", [b"no keytab at all", b"\x05\x02\x00\x00\x00\xff"])
def test_keytab_that_is_none(used, keytab):
    assert "no Kerberos ticket" in failed("kafka", asking(used), user("robot", keytab=keytab))


def test_service_that_the_realm_does_not_know(used):
    error = failed("kafka", asking(used), user("alice", PASSWORD, kerberosServiceName="rabbit"))
    assert "refuses the login" in error and "not found in Kerberos database" in error


def test_module_that_is_not_there(used, monkeypatch, tmp_path):
    monkeypatch.setenv("SASL_PATH", str(tmp_path))
    assert "libsasl2-modules-gssapi-mit" in failed("kafka", asking(used), user("alice", PASSWORD))


def test_egress_rules_hold_for_the_kdc(used):
    """What the broker is allowed by its name, the KDC is not."""
    error = failed("kafka", asking(used), user("alice", PASSWORD), options=("--deny-egress", "all", "--allow-egress", "localhost"))
    assert "KDC" in error, error


def test_everybody_has_tickets_of_their_own(used, robot, weir):
    """alice may read one topic and robot another, in one process at the same time."""
    def at(topic, who):
        return trigger("kafka", asking(used, topic=topic), who)

    alice, bot = user("alice", PASSWORD), user("robot", keytab=robot)
    running = weir(scaled_object(at("for-alice", alice), at("for-robot", bot), at("for-robot", alice), at("for-alice", bot), pollingInterval=1))
    wait_for(lambda: seen(running, 0).get("value") == 3 and seen(running, 1).get("value") == 5, 30)
    wait_for(lambda: all(seen(running, number).get("state") == "failed" for number in (2, 3)), 30)
    until = time.monotonic() + 10  # the broker sends everybody away meanwhile, and they sign in again
    while time.monotonic() < until:
        states = [seen(running, number).get("state") for number in range(4)]
        assert states[2:] == ["failed", "failed"], json.dumps(states)
        time.sleep(0.5)
    wait_for(lambda: seen(running, 0).get("value") == 3 and seen(running, 1).get("value") == 5, 30)


def test_tickets_are_renewed(used, kdc, weir):  # noqa: F811
    """The broker sends us away after some seconds: each login after the first ticket's end is with another one."""
    before = kdc.issued("brief")
    running = weir(scaled_object(trigger("kafka", asking(used), user("brief", "brief-pw")), pollingInterval=1))
    wait_for(lambda: seen(running).get("value") == 5, 30)
    wait_for(lambda: kdc.issued("brief") >= before + 4, 60)
    used.do(["commit", "billing", "orders", 0, 1])
    try:
        wait_for(lambda: seen(running).get("value") == 6, 30)
    finally:
        used.do(["commit", "billing", "orders", 0, 2])


def test_ticket_that_ends_while_the_kdc_is_away(used, kdc, weir):  # noqa: F811
    running = weir(scaled_object(trigger("kafka", asking(used), user("brief", "brief-pw")), pollingInterval=1))
    wait_for(lambda: seen(running).get("value") == 5, 30)
    kdc.stop()
    try:
        wait_for(lambda: "Cannot contact any KDC" in seen(running).get("why", ""), 60)
    finally:
        kdc.start()
    wait_for(lambda: seen(running).get("state") == "ok", 60)
