"""mongodb on FerretDB: another's reading of the protocol and of filters."""
import pytest

from conftest import ask, failed, value
from ferretdb_server import ferretdb  # noqa: F401

pytestmark = pytest.mark.heavy


def parts(query, **more):
    return {"dbName": "jobs", "collection": "jobs", "query": query, "queryValue": 5, **more}


def test_count(ferretdb):
    login = {"connectionString": f"mongodb://127.0.0.1:{ferretdb.port}/jobs"}
    ferretdb.drop("jobs")
    ferretdb.insert("jobs", [{"_id": number, "state": "waiting" if number < 4 else "done", "size": number} for number in range(1, 6)])
    assert value("mongodb", parts('{"state": "waiting"}'), login) == 3
    assert value("mongodb", parts('{"size": {"$gte": 2}, "state": {"$in": ["waiting", "done"]}}'), login) == 4
    assert value("mongodb", parts('{"_id": {"$exists": true}}'), login) == 5
    assert ask("mongodb", parts('{"state": "none"}', collection="nowhere"), login)["value"] == 0
    assert "$nope" in failed("mongodb", parts('{"size": {"$nope": 1}}'), login)


def test_stopped(ferretdb):
    login = {"connectionString": f"mongodb://127.0.0.1:{ferretdb.port}/jobs"}
    ferretdb.stop()
    assert failed("mongodb", parts('{"state": "waiting"}'), login)
    ferretdb.start()
    assert value("mongodb", parts('{"_id": {"$exists": true}}'), login) == 5
