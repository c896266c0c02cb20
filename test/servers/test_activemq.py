"""ActiveMQ Classic: the size of a queue, read through Jolokia."""
import pytest

from activemq_server import activemq  # noqa: F401
from conftest import ask, failed, scaled_object, trigger, value, wait_for

pytestmark = pytest.mark.heavy
LOGIN = {"username": "admin", "password": "pw"}


def asking(server, **more):
    return {"managementEndpoint": server.endpoint, "brokerName": "localhost", "destinationName": "orders", **more}


@pytest.fixture(scope="module")
def orders(activemq):  # noqa: F811
    activemq.fill("orders", 3)
    return activemq


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_size_and_activation(orders, threshold, active):
    seen = ask("activemq", asking(orders, targetQueueSize=2, activationTargetQueueSize=threshold), LOGIN)
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 3, 2, active)


def test_what_is_not_there(orders):
    assert "no queue other" in failed("activemq", asking(orders, destinationName="other"), LOGIN)
    assert "no queue" in failed("activemq", asking(orders, brokerName="other"), LOGIN)


def test_wrong_password(orders):
    error = failed("activemq", asking(orders), {"username": "admin", "password": "not-it"})
    assert "401" in error and "not-it" not in error


def test_tls_by_a_template(orders, nginx, pki, monkeypatch):
    front = nginx(f"http://{orders.endpoint}")
    template = (f"{front.tls}/api/jolokia/read/org.apache.activemq:type=Broker,brokerName=localhost,destinationType=Queue,"
                "destinationName=orders/QueueSize")
    assert "certificate" in failed("activemq", {"restAPITemplate": template}, LOGIN)
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.path("ca.crt")))
    assert value("activemq", {"restAPITemplate": template}, LOGIN) == 3


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_goes_away_and_comes_back_with_another_password(orders, weir):
    def manifest(password):
        return scaled_object(trigger("activemq", asking(orders), {"username": "admin", "password": password}), pollingInterval=1,
                             minReplicaCount=0)

    running = weir(manifest("pw"))
    wait_for(lambda: watched(running).get("value") == 3)
    orders.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    orders.password = "other"
    orders.start()
    orders.fill("orders", 2)
    (running.folder / "manifests" / "app.yaml").write_text(manifest("other"))
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 2)
