"""NATS JetStream: a consumer's backlog, alone and in a cluster whose leader goes away."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from nats_server import nats, nats_cluster  # noqa: F401


def asking(server, **more):
    return {"natsServerMonitoringEndpoint": server.monitor, "account": "$G", "stream": "ORDERS", "consumer": "worker", **more}


@pytest.fixture(scope="module")
def orders(nats):  # noqa: F811
    """Five published, two of them delivered and not acknowledged."""
    nats.stream("ORDERS", "orders.*")
    nats.consumer("ORDERS", "worker")
    nats.publish("orders.new", 5)
    nats.take("ORDERS", "worker", 2)
    return nats


@pytest.mark.parametrize("threshold, active", [(4, True), (5, False), (6, False)])
def test_backlog_and_activation(orders, threshold, active):
    seen = ask("nats-jetstream", asking(orders, lagThreshold=2, activationLagThreshold=threshold))
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 5, 2, active)


@pytest.mark.parametrize("wrong", [{"stream": "OTHER"}, {"consumer": "other"}, {"account": "other"}])
def test_what_is_not_there(orders, wrong):
    assert next(iter(wrong.values())) in failed("nats-jetstream", asking(orders, **wrong))


def test_a_stream_that_goes(orders):
    orders.stream("SHORT", "short.*")
    orders.consumer("SHORT", "worker")
    assert value("nats-jetstream", asking(orders, stream="SHORT")) == 0
    orders.delete("SHORT")
    failed("nats-jetstream", asking(orders, stream="SHORT"))


def test_tls(orders, nginx):
    front = nginx(f"http://{orders.monitor}")
    error = failed("nats-jetstream", asking(orders, natsServerMonitoringEndpoint=front.tls.split("//")[1], useHttps=True))
    assert "certificate" in error  # by our own authority, which this type cannot be told about


def test_tls_of_a_known_authority(orders, nginx, pki, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.path("ca.crt")))
    front = nginx(f"http://{orders.monitor}")
    assert value("nats-jetstream", asking(orders, natsServerMonitoringEndpoint=front.tls.split("//")[1], useHttps=True)) == 5


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_goes_away_and_comes_back(orders, weir):
    running = weir(scaled_object(trigger("nats-jetstream", asking(orders)), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 5)
    orders.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.start()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 5)


def test_cluster(nats_cluster, weir):  # noqa: F811
    """The same figure whichever server is asked; when the leader goes, the next one is found. That the stream has a message does not say
    that the consumer's leader has counted it, and an election leaves a consumer without a leader for a while: both are waited for."""
    first = nats_cluster.nodes[0]
    nats_cluster.insist(lambda: first.stream("ORDERS", "orders.*", replicas=3))
    nats_cluster.insist(lambda: first.consumer("ORDERS", "worker"))
    nats_cluster.publish("orders.new", 4)
    for node in nats_cluster.nodes:
        wait_for(lambda node=node: ask("nats-jetstream", asking(node)).get("value") == 4, 60)
    leader = wait_for(lambda: nats_cluster.leader("ORDERS", "worker"), 60)
    asked = next(node for node in nats_cluster.nodes if node is not leader)
    running = weir(scaled_object(trigger("nats-jetstream", asking(asked)), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 4, 60)
    leader.kill()
    wait_for(lambda: nats_cluster.leader("ORDERS", "worker") not in (None, leader), 60)
    nats_cluster.publish("orders.new")  # the stream elects a leader of its own, perhaps later
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 5, 60)
