"""NSQ: the depth of a channel over all nsqd that have the topic."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from nsq_server import nsq  # noqa: F401


def asking(server, **more):
    return {"nsqLookupdHTTPAddresses": server.lookup, "topic": "orders", "channel": "worker", **more}


@pytest.fixture(scope="module")
def orders(nsq):  # noqa: F811
    """Three in one nsqd, two in the other."""
    for nsqd, count in ((0, 3), (1, 2)):
        nsq.create("orders", "worker", nsqd)
        nsq.publish("orders", count, nsqd)
    wait_for(lambda: ask("nsq", asking(nsq)).get("value") == 5)
    return nsq


@pytest.mark.parametrize("threshold, active", [(4, True), (5, False), (6, False)])
def test_depth_and_activation(orders, threshold, active):
    seen = ask("nsq", asking(orders, depthThreshold=2, activationDepthThreshold=threshold))
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 5, 2, active)


def test_without_the_channel_the_topic_counts(orders):
    orders.publish("fresh", 4)
    wait_for(lambda: ask("nsq", asking(orders, topic="fresh")).get("value") == 4)


def test_paused(orders):
    orders.create("resting", "worker")
    orders.pause("resting", "worker")
    orders.publish("resting", 4)
    assert value("nsq", asking(orders, topic="resting")) == 0


def test_a_topic_nobody_has_is_empty(orders):
    assert value("nsq", asking(orders, topic="nothing")) == 0


def test_one_lookupd_of_two_is_not_there(orders):
    failed("nsq", asking(orders, nsqLookupdHTTPAddresses=f"{orders.lookup},127.0.0.1:1"))


def test_tls(orders, nginx, pki, monkeypatch):
    """Only the way to nsqlookupd can have TLS here, so what it names cannot be asked: the failure says the next step was reached."""
    front = nginx(f"http://{orders.lookup}").tls.split("//")[1]
    assert "certificate" in failed("nsq", asking(orders, nsqLookupdHTTPAddresses=front, useHttps=True))
    assert value("nsq", asking(orders, nsqLookupdHTTPAddresses=front, useHttps=True, unsafeSsl=True, topic="nothing")) == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.path("ca.crt")))
    assert value("nsq", asking(orders, nsqLookupdHTTPAddresses=front, useHttps=True, topic="nothing")) == 0


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_an_nsqd_goes_away_and_comes_back(orders, weir):
    """Its part of the sum is not known: no smaller sum meanwhile."""
    orders.publish("shared", 2, 0)
    orders.publish("shared", 3, 1)
    running = weir(scaled_object(trigger("nsq", asking(orders, topic="shared")), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 5)
    orders.nsqds[1].pause()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.nsqds[1].resume()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 5)
