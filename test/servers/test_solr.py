"""solr on Solr 9, which asks for a login."""
import pytest

from conftest import ask, failed, value
from solr_server import solr  # noqa: F401

pytestmark = pytest.mark.heavy
LOGIN = {"username": "solr", "password": "pw"}


@pytest.fixture(scope="module", autouse=True)
def jobs(solr):
    solr.put(*[{"id": str(n), "state": "waiting" if n < 3 else "done and away"} for n in range(4)])


def parts(url, query="state:waiting", **more):
    return {"host": url, "collection": "jobs", "query": query, "targetQueryValue": 5, **more}


def test_value_and_activation(solr):
    for limit, active in ((2, True), (4, False)):
        seen = ask("solr", parts(solr.url, activationTargetQueryValue=limit), LOGIN)
        assert (seen["value"], seen["active"]) == (3, active)


def test_queries(solr):
    assert value("solr", parts(solr.url, 'state:"done and away"'), LOGIN) == 1
    assert value("solr", parts(solr.url, "state:nothing"), LOGIN) == 0
    everything = parts(solr.url)
    del everything["query"]
    assert value("solr", everything, LOGIN) == 4


def test_what_is_not_there(solr):
    assert "404" in failed("solr", parts(solr.url, collection="nothing"), LOGIN)
    assert "400" in failed("solr", parts(solr.url, "state:[a"), LOGIN)


def test_wrong_password(solr):
    why = failed("solr", parts(solr.url), {**LOGIN, "password": "wrong-word"})
    assert "401" in why and "wrong-word" not in why


def test_tls_by_an_authority_nobody_knows(solr, nginx):
    assert "certificate" in failed("solr", parts(nginx(solr.url).tls), LOGIN)


def test_rotated(solr):
    solr.word = "other"
    solr.restart()
    try:
        assert "401" in failed("solr", parts(solr.url), LOGIN)
        assert value("solr", parts(solr.url), {**LOGIN, "password": "other"}) == 3
    finally:
        solr.word = "pw"
        solr.restart()


def test_stopped_and_back(solr):
    solr.kill()
    assert str(solr.port) in failed("solr", parts(solr.url), LOGIN)
    solr.start()
    assert value("solr", parts(solr.url), LOGIN) == 3
