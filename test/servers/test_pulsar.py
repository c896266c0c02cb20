"""Apache Pulsar: the backlog of a subscription, with tokens."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from pulsar_server import pulsar  # noqa: F401

pytestmark = pytest.mark.heavy


def asking(server, **more):
    return {"adminURL": server.url, "topic": "persistent://public/default/orders", "subscription": "worker", "authModes": "bearer", **more}


@pytest.fixture(scope="module")
def orders(pulsar):  # noqa: F811
    """Three that nobody acknowledged; two and three in a topic with partitions."""
    pulsar.topic("orders")
    pulsar.subscribe("orders", "worker")
    pulsar.publish("orders", 3)
    pulsar.topic("wide", 2)
    pulsar.subscribe("wide", "worker")
    for partition, count in ((0, 2), (1, 3)):
        pulsar.publish("wide", count, partition)
    wait_for(lambda: ask("pulsar", asking(pulsar), {"bearerToken": pulsar.token("admin")}).get("value") == 3)
    return pulsar


@pytest.fixture(scope="module")
def login(orders):
    return {"bearerToken": orders.token("admin")}


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_backlog_and_activation(orders, login, threshold, active):
    seen = ask("pulsar", asking(orders, msgBacklogThreshold=2, activationMsgBacklogThreshold=threshold), login)
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 3, 2, active)


def test_partitions(orders, login):
    metadata = asking(orders, topic="persistent://public/default/wide", isPartitionedTopic=True)
    wait_for(lambda: ask("pulsar", metadata, login).get("value") == 5)


def test_what_is_not_there(orders, login):
    assert "404" in failed("pulsar", asking(orders, topic="persistent://public/default/other"), login)
    assert "no subscription other" in failed("pulsar", asking(orders, subscription="other"), login)


def test_wrong_or_no_token(orders, login):
    error = failed("pulsar", asking(orders), {"bearerToken": login["bearerToken"][:-4] + "AAAA"})
    assert "401" in error
    assert "40" in failed("pulsar", asking(orders), {"bearerToken": orders.token("nobody")})
    assert "401" in failed("pulsar", {k: v for k, v in asking(orders).items() if k != "authModes"})


def test_tls(orders, login, nginx, pki):
    front = nginx(orders.url, client_certificate=True)
    metadata = asking(orders, adminURL=front.tls, authModes="bearer,tls")
    assert value("pulsar", metadata, {**login, **pki.client()}) == 3
    assert "certificate" in failed("pulsar", metadata, {**login, **pki.client(ca="wrong-ca")})
    failed("pulsar", metadata, {**login, **pki.client("wrong-client"), "ca": pki.text("ca.crt")})


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_goes_away_and_comes_back(orders, login, weir):
    running = weir(scaled_object(trigger("pulsar", asking(orders), login), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 3)
    orders.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.start()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 3, 60)
