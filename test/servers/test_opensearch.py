"""opensearch on OpenSearch 2: users, client certificates, an authority of one's own (by nginx)."""
import json

import pytest

from conftest import ask, failed, value, wait_for
from search_server import opensearch  # noqa: F401

pytestmark = pytest.mark.heavy
LOGIN = {"username": "user", "password": "pw"}
COUNT = json.dumps({"query": {"term": {"state.keyword": "waiting"}}, "size": 0, "track_total_hits": True})


@pytest.fixture(scope="module", autouse=True)
def jobs(opensearch):
    opensearch.put("jobs", *[{"state": "waiting"}] * 3)


def parts(url, query=COUNT, **more):
    return {"addresses": url, "index": "jobs", "query": query, "valueLocation": "hits.total.value", "targetValue": 5, **more}


def test_value_and_activation(opensearch):
    for limit, active in ((2, True), (4, False)):
        seen = ask("opensearch", parts(opensearch.url, activationTargetValue=limit), LOGIN)
        assert (seen["value"], seen["active"]) == (3, active)


def test_template(opensearch):
    opensearch.template("by-state", {"query": {"term": {"state.keyword": "{{state}}"}}, "size": 0})
    named = {**parts(opensearch.url), "searchTemplateName": "by-state", "parameters": "state:waiting"}
    del named["query"]
    assert value("opensearch", named, LOGIN) == 3


def test_what_is_not_there(opensearch):
    assert "404" in failed("opensearch", parts(opensearch.url, index="nothing", ignoreNullValues=True), LOGIN)
    assert "not JSON" in failed("opensearch", parts(opensearch.url, "{"), LOGIN)


def test_login_and_authority(opensearch, nginx, pki):
    front = nginx(opensearch.url)
    named = parts(front.tls + "/basic")
    assert value("opensearch", named, {**LOGIN, "caCert": pki.text("ca.crt")}) == 3
    assert "certificate" in failed("opensearch", named, {**LOGIN, "caCert": pki.text("wrong-ca.crt")})
    assert "certificate" in failed("opensearch", named, LOGIN)
    assert "401" in failed("opensearch", named, {**LOGIN, "password": "wrong", "caCert": pki.text("ca.crt")})
    front.login("other")
    assert "401" in failed("opensearch", named, {**LOGIN, "caCert": pki.text("ca.crt")})
    assert value("opensearch", named, {**LOGIN, "password": "other", "caCert": pki.text("ca.crt")}) == 3


def test_client_certificate(opensearch, nginx, pki):
    front = nginx(opensearch.url, client_certificate=True)
    ours = {"caCert": pki.text("ca.crt"), "clientCert": pki.text("client.crt"), "clientKey": pki.text("client.key")}
    assert value("opensearch", parts(front.tls, enableTLS=True), ours) == 3
    wrong = {**ours, "clientCert": pki.text("wrong-client.crt"), "clientKey": pki.text("wrong-client.key")}
    assert "400" in failed("opensearch", parts(front.tls, enableTLS=True), wrong)
    assert "400" in failed("opensearch", parts(front.tls), {**LOGIN, "caCert": pki.text("ca.crt")})


def test_stopped_and_back(opensearch):
    opensearch.kill()
    assert str(opensearch.port) in failed("opensearch", parts(opensearch.url), LOGIN)
    opensearch.start()
    wait_for(lambda: ask("opensearch", parts(opensearch.url), LOGIN).get("value") == 3, 30)  # its shards come back after its port
