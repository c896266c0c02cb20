"""loki on a server that speaks its query API: Prometheus at Loki's paths. The form of questions and answers is the same; LogQL is not tested."""
import pytest

from conftest import ask, failed, value
from prometheus_server import loki_shape  # noqa: F401
from server import free_port


def parts(url, query="vector(7)", **more):
    return {"serverAddress": url, "query": query, "threshold": 5, **more}


@pytest.mark.parametrize("path", ["/", "/loki", "/loki/", "/loki/api/v1", "/loki/api/v1/query", "/loki/api/v1/query?x=1"])
def test_addresses(loki_shape, path):
    assert value("loki", parts(loki_shape.root + path)) == 7


def test_value_and_activation(loki_shape):
    assert ask("loki", parts(loki_shape.url, "vector(7.5)", activationThreshold=7))["active"] is True
    assert ask("loki", parts(loki_shape.url, "vector(7.5)", activationThreshold=8))["active"] is False
    assert ask("loki", parts(loki_shape.url, "vector(0)"))["active"] is False


def test_no_value(loki_shape):
    for query in ("vector(0) / 0", "absent(vector(1))", "vector(1) / 0"):
        assert ask("loki", parts(loki_shape.url, query))["state"] == "missing"
        assert ask("loki", parts(loki_shape.url, query, ignoreNullValues=True))["value"] == 0
        assert failed("loki", parts(loki_shape.url, query, ignoreNullValues=False))


def test_what_is_no_number(loki_shape):
    assert "scalar" in failed("loki", parts(loki_shape.url, "scalar(vector(1))"))
    assert "2 series" in failed("loki", parts(loki_shape.url, 'label_replace(vector(1), "a", "1", "", "") or vector(2)'))
    assert "400" in failed("loki", parts(loki_shape.url, "sum("))


def test_login(loki_shape, nginx):
    front = nginx(loki_shape.root)
    assert value("loki", parts(front.plain + "/bearer", authModes="bearer"), {"bearerToken": "token"}) == 7
    assert value("loki", parts(front.plain + "/basic", authModes="basic"), {"username": "user", "password": "pw"}) == 7
    assert "401" in failed("loki", parts(front.plain + "/bearer", authModes="bearer"), {"bearerToken": "wrong"})
    assert "401" in failed("loki", parts(front.plain + "/basic"))
    front.login("other")
    assert "401" in failed("loki", parts(front.plain + "/bearer", authModes="bearer"), {"bearerToken": "token"})
    assert value("loki", parts(front.plain + "/bearer", authModes="bearer"), {"bearerToken": "other"}) == 7


def test_tls(loki_shape, nginx, pki):
    front = nginx(loki_shape.root, client_certificate=True)
    named = parts(front.tls, authModes="tls")
    assert value("loki", named, pki.client()) == 7
    assert "certificate" in failed("loki", named, {**pki.client(), "ca": pki.text("wrong-ca.crt")})
    assert "400" in failed("loki", parts(front.tls, unsafeSsl=True))  # without a certificate of our own


def test_nobody_there():
    assert failed("loki", parts(f"http://127.0.0.1:{free_port()}"))
