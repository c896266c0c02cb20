"""ActiveMQ Artemis: the messages of a queue, read through the console's Jolokia."""
import pytest

from artemis_server import artemis  # noqa: F401
from conftest import ask, failed, scaled_object, trigger, value, wait_for

pytestmark = pytest.mark.heavy
LOGIN = {"username": "admin", "password": "pw"}


def asking(server, **more):
    return {"managementEndpoint": server.endpoint, "brokerName": "127.0.0.1", "brokerAddress": "orders", "queueName": "orders", **more}


@pytest.fixture(scope="module")
def orders(artemis):  # noqa: F811
    artemis.fill(3)
    return artemis


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_count_and_activation(orders, threshold, active):
    seen = ask("artemis-queue", asking(orders, queueLength=2, activationQueueLength=threshold), LOGIN)
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 3, 2, active)


@pytest.mark.parametrize("wrong", [{"queueName": "other"}, {"brokerAddress": "other"}, {"brokerName": "other"}])
def test_what_is_not_there(orders, wrong):
    assert "no queue" in failed("artemis-queue", asking(orders, **wrong), LOGIN)


def test_wrong_password(orders):
    error = failed("artemis-queue", asking(orders), {"username": "admin", "password": "not-it"})
    assert "40" in error and "not-it" not in error


def test_an_origin_that_is_not_allowed(orders):
    assert "corsHeader" in failed("artemis-queue", asking(orders, corsHeader="http://elsewhere.example"), LOGIN)


def test_tls_with_a_client_certificate(orders, nginx, pki):
    front = nginx(f"http://{orders.endpoint}", client_certificate=True)
    metadata = {"restApiTemplate": f'{front.tls}/console/jolokia/read/org.apache.activemq.artemis:broker="127.0.0.1",component=addresses,'
                                   'address="orders",subcomponent=queues,routing-type="anycast",queue="orders"/MessageCount',
                "corsHeader": f"http://{orders.endpoint}"}
    assert value("artemis-queue", metadata, {**LOGIN, **pki.client()}) == 3
    assert "certificate" in failed("artemis-queue", metadata, {**LOGIN, **pki.client(ca="wrong-ca")})
    failed("artemis-queue", metadata, {**LOGIN, "ca": pki.text("ca.crt")})
    assert value("artemis-queue", {**metadata, "unsafeSsl": True}, {**LOGIN, **pki.client(ca="wrong-ca")}) == 3


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_goes_away_and_comes_back(orders, weir):
    running = weir(scaled_object(trigger("artemis-queue", asking(orders), LOGIN), pollingInterval=1, minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 3)
    orders.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.start()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 3, 60)
