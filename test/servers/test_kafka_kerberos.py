"""kafka with sasl: gssapi on a real broker and a real KDC: passwords, keytabs, tickets that end, two principals at once, what is refused.
First with the krb5.conf of whoever runs Weir, then with that of the TriggerAuthentication (kerberosConfig)."""
import json
import socket
import subprocess
import threading
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
    wait_for(lambda: ask("kafka", asking(kafka), by_config(realm_at(kdc.port)))["state"] == "ok", 60)
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


def test_keytab_of_somebody_else(used, robot):
    assert f"no Kerberos ticket for alice@{REALM}" in failed("kafka", asking(used), user("alice", keytab=robot))


@pytest.mark.parametrize("keytab", [b"no keytab at all", b"\x05\x02\x00\x00\x00\xff"])
def test_keytab_that_is_none(used, keytab):
    assert "no Kerberos ticket" in failed("kafka", asking(used), user("robot", keytab=keytab))


def test_service_that_the_realm_does_not_know(used):
    error = failed("kafka", asking(used), user("alice", PASSWORD, kerberosServiceName="rabbit"))
    assert "no Kerberos ticket for the broker: Server rabbit/localhost" in error and "not found in Kerberos database" in error


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


# ---- kerberosConfig: Weir itself knows no realm

@pytest.fixture
def alone(used, monkeypatch):
    monkeypatch.setenv("KRB5_CONFIG", "/nonexistent")
    return used


def realm_at(*ports, more=""):
    kdcs = "".join(f"    kdc = 127.0.0.1:{port}\n" for port in ports)
    return f"{more}[realms]\n{REALM} = {{\n{kdcs}}}\n"


def by_config(config, name="alice", password=PASSWORD, **more):
    return {**user(name, password, **more), "kerberosConfig": config}


def test_realm_of_the_process_is_not_there(alone):
    assert "whoever runs Weir" in failed("kafka", asking(alone), user("alice", PASSWORD))


def test_config(alone, kdc):  # noqa: F811
    assert value("kafka", asking(alone), by_config(realm_at(kdc.port))) == 5


def test_config_with_a_keytab(alone, kdc, robot):  # noqa: F811
    assert value("kafka", asking(alone), by_config(realm_at(kdc.port), "robot", None, keytab=robot)) == 5


def test_config_counts_alone(used, kdc):  # noqa: F811
    """Weir knows the realm and its KDC, the config another one: nobody asks Weir's."""
    before = kdc.issued("alice")
    assert "Cannot contact any KDC" in failed("kafka", asking(used), by_config(realm_at(kdc.closed)))
    assert "kerberosConfig has no kdc" in failed("kafka", asking(used), by_config("[realms]\n"))
    assert kdc.issued("alice") == before


def test_second_kdc(alone, kdc):  # noqa: F811
    assert value("kafka", asking(alone), by_config(realm_at(kdc.closed, kdc.port))) == 5


COMMON = """# Configuration snippets may be placed in this directory as well
includedir /etc/krb5.conf.d/

[logging]
    default = FILE:/var/log/krb5libs.log

[libdefaults]
    dns_lookup_realm = false
    ticket_lifetime = 24h  ; a day
    renew_lifetime = 7d
    forwardable = true
    rdns = false
    spake_preauth_groups = edwards25519
    default_realm = {realm}
    default_ccache_name = KEYRING:persistent:%{{uid}}
    pkinit_anchors = FILE:/etc/pki/tls/certs/ca-bundle.crt

[realms]
{realm} = {{
    kdc = 127.0.0.1:{port} # the first
    admin_server = 127.0.0.1
    auth_to_local_names = {{
        alice = root
    }}
}}

[domain_realm]
    .example.com = {realm}
    localhost = {realm}
"""


def test_config_as_distributions_have_it(alone, kdc):  # noqa: F811
    assert value("kafka", asking(alone), by_config(COMMON.format(realm=REALM, port=kdc.port))) == 5


def test_config_that_includes(alone, kdc):  # noqa: F811
    """Where KEDA fails, too: within a section."""
    seen = ask("kafka", asking(alone), by_config(f"[realms]\ninclude {kdc.config}\n"))
    assert seen["state"] == "failed" and "kerberosConfig line 2: nothing can be included" in json.dumps(seen)
    error = failed("kafka", asking(alone), by_config(f"include {kdc.config}\n"))
    assert "kerberosConfig has no kdc" in error


@pytest.fixture
def library(tmp_path):
    """A library that leaves a file where it was loaded: its path, and that of the file."""
    source, made, mark = tmp_path / "mark.c", tmp_path / "mark.so", tmp_path / "mark"
    source.write_text(f'#include <stdio.h>\n__attribute__((constructor)) static void on_load(void) {{ fclose(fopen("{mark}", "w")); }}\n')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, source], check=True)
    return made, mark


@pytest.mark.parametrize("first, last", [
    ("", "[plugins]\nclpreauth = {{\n module = x:{library}\n}}\nhostrealm = {{\n module = y:{library}\n}}\n"),
    ("module {library}:x\n", "")])
def test_config_that_names_modules(alone, kdc, library, tmp_path, monkeypatch, first, last):  # noqa: F811
    path, mark = library
    config = first.format(library=path) + realm_at(kdc.port) + last.format(library=path)
    assert value("kafka", asking(alone), by_config(config)) == 5
    assert not mark.exists()
    (tmp_path / "krb5.conf").write_text(config)  # the same text, where it is that of whoever runs Weir
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    ask("kafka", asking(alone), user("alice", PASSWORD))
    assert mark.exists()


def test_config_says_how_tickets_are_asked_for(alone, kdc):  # noqa: F811
    config = realm_at(kdc.port, more="[libdefaults]\nticket_lifetime = 1h\ndefault_tkt_enctypes = aes128-cts-hmac-sha1-96\n")
    assert "etype" in failed("kafka", asking(alone), by_config(config)) or "encryption type" in failed(
        "kafka", asking(alone), by_config(config))


def test_egress_rules_hold_for_the_kdc_of_a_config(alone, kdc):  # noqa: F811
    error = failed("kafka", asking(alone), by_config(realm_at(kdc.port)), options=("--deny-egress", "all", "--allow-egress", "localhost"))
    assert "a KDC of the realm" in error, error
    by_name = realm_at(kdc.port).replace("127.0.0.1", "localhost")
    assert value("kafka", asking(alone), by_config(by_name), options=("--deny-egress", "all", "--allow-egress", "localhost")) == 5


def test_two_configs_side_by_side(alone, kdc, weir):  # noqa: F811
    """One realm, one user, one process: whose config names a KDC that is away has no ticket, and takes nothing from the other."""
    good, bad = by_config(realm_at(kdc.port)), by_config(realm_at(kdc.closed))
    running = weir(scaled_object(trigger("kafka", asking(alone), good), trigger("kafka", asking(alone), bad), pollingInterval=1))
    wait_for(lambda: seen(running, 0).get("value") == 5 and "Cannot contact any KDC" in seen(running, 1).get("why", ""), 30)
    until = time.monotonic() + 6  # the broker sends everybody away meanwhile
    while time.monotonic() < until:
        assert seen(running, 1).get("state") == "failed"
        time.sleep(0.5)
    wait_for(lambda: seen(running, 0).get("state") == "ok", 30)


def test_config_that_changes(alone, kdc, weir):  # noqa: F811
    good, bad = (scaled_object(trigger("kafka", asking(alone), by_config(realm_at(port))), pollingInterval=1) for port in (kdc.port, kdc.closed))
    running = weir(bad)
    wait_for(lambda: "Cannot contact any KDC" in seen(running).get("why", ""), 30)
    for manifest, state in ((good, "ok"), (bad, "failed")):
        (running.folder / "manifests" / "app.yaml").write_text(manifest)
        wait_for(lambda expected=state: seen(running).get("state") == expected, 30)


class Silent:
    """Where a KDC should be: takes datagrams and connections, and says nothing. Given one, it passes on what asks for a ticket by
    password or key, and keeps the rest to itself."""

    def __init__(self, behind=None):
        self.behind = behind
        self.datagrams, self.stream = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        self.datagrams.bind(("127.0.0.1", 0))
        self.port = self.datagrams.getsockname()[1]
        self.stream.bind(("127.0.0.1", self.port))
        self.stream.listen()
        threading.Thread(target=self.pass_on, daemon=True).start()

    def pass_on(self):
        while True:
            try:
                question, asker = self.datagrams.recvfrom(65536)
                if self.behind and question[0] == 0x6a:  # AS-REQ
                    with socket.socket(type=socket.SOCK_DGRAM) as there:
                        there.settimeout(5)
                        there.sendto(question, ("127.0.0.1", self.behind))
                        self.datagrams.sendto(there.recv(65536), asker)
            except TimeoutError:
                continue  # it is asked again
            except OSError:
                return

    def close(self):
        for one in (self.datagrams, self.stream):
            one.close()


@pytest.fixture
def silent():
    server = Silent()
    yield server
    server.close()


def test_kdc_that_is_silent(alone, silent):
    """We give up before the poll does, and say why."""
    assert "Cannot contact any KDC" in failed("kafka", asking(alone), by_config(realm_at(silent.port)))


@pytest.mark.parametrize("more", [[], ["127.0.0.1", "127.1", "127.0.1"]])
def test_kdc_that_is_silent_in_the_middle_of_a_login(alone, kdc, more):  # noqa: F811
    """With several brokers, too, whose logins wait for each other."""
    port, server = alone.ports["tickets"], Silent(kdc.port)
    brokers = ",".join([alone.tickets, *(f"{host}:{port}" for host in more)])
    try:
        error = failed("kafka", asking(alone, bootstrapServers=brokers), by_config(realm_at(server.port)))
    finally:
        server.close()
    assert "no Kerberos ticket for the broker: Cannot contact any KDC" in error, error
