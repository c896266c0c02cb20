"""RabbitMQ: counts by AMQP and by the management API, rates, patterns, logins, TLS, and a server that goes away and comes back."""
import socket
import threading
import time

import pytest

from conftest import ask, failed, probe, scaled_object, trigger, value, wait_for
from pki import PASSWORD
from rabbitmq_server import rabbitmq  # noqa: F401


@pytest.fixture(scope="module")
def orders(rabbitmq):  # noqa: F811
    """Three messages in `orders`; more in others that match ^batch-."""
    rabbitmq.queue("orders")
    rabbitmq.publish("orders", 3)
    for name, count in (("batch-1", 2), ("batch-2", 5)):
        rabbitmq.queue(name)
        rabbitmq.publish(name, count)
        rabbitmq.counted(name, count)
    rabbitmq.queue("in vhost/1", "a/b")
    rabbitmq.publish("in vhost/1", 4, "a/b")
    rabbitmq.counted("orders", 3)
    return rabbitmq


def amqp(server, vhost="/", user="me:pw@"):
    return f"amqp://{user}{server.amqp}{vhost}"


def http(server, path="/", user="me:pw@"):
    return f"http://{user}{server.http}{path}"


BOTH = pytest.mark.parametrize("host", [amqp, http])


@BOTH
@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_count_and_activation(orders, host, threshold, active):
    seen = ask("rabbitmq", {"queueName": "orders", "mode": "QueueLength", "value": 2, "activationValue": threshold}, {"host": host(orders)})
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 3, 2, active)


@BOTH
def test_vhost(orders, host):
    metadata = {"queueName": "in vhost/1"}
    wait_for(lambda: ask("rabbitmq", metadata, {"host": host(orders, "/a%2Fb")}).get("value") == 4)
    assert value("rabbitmq", {**metadata, "vhostName": "a/b"}, {"host": host(orders)}) == 4
    failed("rabbitmq", metadata, {"host": host(orders, "/nowhere")})


@BOTH
def test_a_queue_that_is_not_there(orders, host):
    error = failed("rabbitmq", {"queueName": "nothing"}, {"host": host(orders)})
    assert "NOT_FOUND" in error or "404" in error


@BOTH
def test_wrong_password(orders, host):
    error = failed("rabbitmq", {"queueName": "orders"}, {"host": host(orders, user="me:not-it@")})
    assert ("ACCESS_REFUSED" in error or "401" in error) and "not-it" not in error
    assert value("rabbitmq", {"queueName": "orders"}, {"host": host(orders, user=""), "username": "me", "password": "pw"}) == 3


def test_a_queue_that_is_not_there_harms_no_other(orders):
    """They are asked on one connection; what is refused costs its channel alone."""
    names = ["nothing", "orders", "nothing either", "batch-1"]
    answer = probe(scaled_object(*(trigger("rabbitmq", {"queueName": name}, {"host": amqp(orders)}) for name in names)))
    first, second, third, fourth = answer["objects"][0]["triggers"]
    assert "NOT_FOUND" in first["error"] and "NOT_FOUND" in third["error"]
    assert (second["value"], fourth["value"]) == (3, 2)


@BOTH
def test_nobody_listens(host, orders):
    began = time.monotonic()
    failed("rabbitmq", {"queueName": "orders"}, {"host": host(orders).replace(orders.amqp, "127.0.0.1:1").replace(orders.http, "127.0.0.1:1")})
    assert time.monotonic() - began < 5


def test_delivered_and_not_acknowledged(orders):
    orders.queue("held")
    orders.publish("held", 5)
    with orders.holding("held", 2):
        orders.counted("held", 3, "messages_ready")
        assert value("rabbitmq", {"queueName": "held"}, {"host": amqp(orders)}) == 3
        assert value("rabbitmq", {"queueName": "held"}, {"host": http(orders)}) == 5
        assert value("rabbitmq", {"queueName": "held", "excludeUnacknowledged": True}, {"host": http(orders)}) == 3


@pytest.mark.parametrize("operation, expected", [("sum", 7), ("avg", 3), ("max", 5)])
def test_pattern(orders, operation, expected):
    metadata = {"queueName": "^batch-.*$", "useRegex": True, "operation": operation}
    assert value("rabbitmq", metadata, {"host": http(orders)}) == expected


def test_pattern_with_too_many_or_none(orders):
    assert "pageSize" in failed("rabbitmq", {"queueName": "^batch-.*$", "useRegex": True, "pageSize": 1}, {"host": http(orders)})
    assert ask("rabbitmq", {"queueName": "^nothing$", "useRegex": True}, {"host": http(orders)})["state"] == "missing"


def test_rates(orders):
    orders.queue("busy")
    ends = threading.Event()

    def publish():
        while not ends.is_set():
            orders.publish("busy", 5)
            time.sleep(0.1)

    busy = threading.Thread(target=publish)
    busy.start()
    try:
        metadata = {"queueName": "busy", "mode": "MessageRate", "value": 10}
        wait_for(lambda: ask("rabbitmq", metadata, {"host": http(orders)}).get("value", 0) > 5, 40)
        assert value("rabbitmq", {**metadata, "mode": "DeliverGetRate"}, {"host": http(orders)}) == 0
        seen = ask("rabbitmq", {**metadata, "mode": "PublishedToDeliveredRatio"}, {"host": http(orders)})
        assert (seen["value"], seen["active"]) == (0, True)  # nobody takes them: work without a ratio
    finally:
        ends.set()
        busy.join()


# ---- TLS

def amqps(server, user="me:pw@"):
    return f"amqps://{user}{server.amqps}/"


def https(server, user="me:pw@"):
    return f"https://{user}{server.https}/"


SECURE = pytest.mark.parametrize("host", [amqps, https])


@SECURE
def test_tls_with_our_authority(orders, pki, host):
    assert value("rabbitmq", {"queueName": "orders"}, {"host": host(orders), "tls": "enable", "ca": pki.text("ca.crt")}) == 3


@SECURE
@pytest.mark.parametrize("authority", [None, "wrong-ca.crt"])
def test_tls_with_another_authority(orders, pki, host, authority):
    auth = {"host": host(orders), "tls": "enable", **({"ca": pki.text(authority)} if authority else {})}
    assert "certificate" in failed("rabbitmq", {"queueName": "orders"}, auth)


@SECURE
def test_unsafe_tls(orders, host):
    assert value("rabbitmq", {"queueName": "orders", "unsafeSsl": True}, {"host": host(orders)}) == 3


def test_who_we_are_says_the_certificate(orders, pki):
    auth = {"host": amqps(orders, user=""), "tls": "enable", **pki.client()}
    assert value("rabbitmq", {"queueName": "orders"}, auth) == 3
    encrypted = {**auth, "key": pki.text("client-encrypted.key"), "keyPassword": PASSWORD}
    assert value("rabbitmq", {"queueName": "orders"}, encrypted) == 3
    failed("rabbitmq", {"queueName": "orders"}, {**encrypted, "keyPassword": "other"})
    failed("rabbitmq", {"queueName": "orders"}, {**auth, **pki.client("wrong-client"), "ca": pki.text("ca.crt")})


# ---- as time goes by

def watched(running):
    return (running.object().get("triggers") or [{}])[0]


@BOTH
def test_rotated_password(orders, weir, host):
    def manifest(password):
        return scaled_object(trigger("rabbitmq", {"queueName": "orders"}, {"host": host(orders, user=f"turning:{password}@")}),
                             pollingInterval=1, minReplicaCount=0)

    orders.account("turning", "one")
    running = weir(manifest("one"))
    wait_for(lambda: watched(running).get("value") == 3)
    orders.account("turning", "two")
    (running.folder / "manifests" / "app.yaml").write_text(manifest("three"))
    wait_for(lambda: watched(running).get("state") == "failed")
    (running.folder / "manifests" / "app.yaml").write_text(manifest("two"))
    wait_for(lambda: watched(running).get("state") == "ok")


def test_one_connection_for_many(orders, weir):
    names = [f"many-{n}" for n in range(8)]
    for name in names:
        orders.queue(name)
    before = orders.connections()
    running = weir("".join(
        scaled_object(trigger("rabbitmq", {"queueName": name}, {"host": amqp(orders)}), name=name, pollingInterval=1) for name in names))
    wait_for(lambda: all((running.object(name).get("triggers") or [{}])[0].get("state") == "ok" for name in names))
    time.sleep(3)
    assert orders.connections() - before <= 4  # CONNECTIONS_KEPT_MAX


@BOTH
def test_goes_away_and_comes_back(orders, weir, host):
    running = weir(scaled_object(trigger("rabbitmq", {"queueName": "orders"}, {"host": host(orders)}), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 3)
    orders.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.start()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running).get("value") == 3, 60)


# ---- somebody else listens there

@pytest.mark.parametrize("says", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",              # a web server
    b"AMQP\x00\x01\x00\x00",                          # another version of the protocol
    b"\x01\x00\x00\x7f\xff\xff\xff" + b"x" * 100000,  # a frame of two gigabytes is announced
    b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a",  # Connection.Start, cut off in the middle
    b"\x00" * 4096])
def test_not_amqp(says):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def serve():
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(2)
                    try:
                        client.sendall(says)
                        client.recv(100)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        failed("rabbitmq", {"queueName": "orders"}, {"host": f"amqp://127.0.0.1:{listening.getsockname()[1]}/"})
        assert time.monotonic() - began < 15


def test_nobody_answers():
    """The kernel takes the connection, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        began = time.monotonic()
        failed("rabbitmq", {"queueName": "orders"}, {"host": f"amqp://127.0.0.1:{listening.getsockname()[1]}/"})
        assert time.monotonic() - began < 20
