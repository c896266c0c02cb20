"""couchdb on PouchDB's server, which has the same _find."""
from conftest import ask, failed, scaled_object, trigger, value, wait_for
from couchdb_server import couchdb  # noqa: F401

QUERY = '{"selector": {"state": {"$eq": "waiting"}}, "fields": ["_id"]}'


def parts(server, database="jobs", query=QUERY, **more):
    return {"host": "127.0.0.1", "port": server.port, "username": "weir", "dbName": database, "query": query, "queryValue": 5, **more}


def login(server):
    return {"password": server.password}


def test_count_and_activation(couchdb):
    couchdb.put("jobs", [{"state": "waiting"}] * 3 + [{"state": "done"}])
    seen = [ask("couchdb", parts(couchdb, activationQueryValue=limit), login(couchdb)) for limit in (2, 3, 4)]
    assert [one["value"] for one in seen] == [3, 3, 3], seen
    assert seen[0]["active"] and not seen[2]["active"]
    assert value("couchdb", {"query": QUERY, "queryValue": 5, "dbName": "jobs"},
                 {"connectionString": f"http://weir:s3cret@127.0.0.1:{couchdb.port}/"}) == 3
    assert value("couchdb", parts(couchdb, query='{"selector": {"state": "none"}}'), login(couchdb)) == 0


def test_twenty_five_and_a_limit(couchdb):
    couchdb.put("many", [{"state": "waiting"}] * 40)
    assert value("couchdb", parts(couchdb, "many"), login(couchdb)) == 25
    assert value("couchdb", parts(couchdb, "many", QUERY[:-1] + ', "limit": 1000}'), login(couchdb)) == 40


def test_no_database(couchdb):
    assert "404" in failed("couchdb", parts(couchdb, "nowhere"), login(couchdb))


def test_wrong_password(couchdb):
    assert "401" in failed("couchdb", parts(couchdb), {"password": "other"})


def test_bad_selector(couchdb):
    couchdb.put("jobs", [{"state": "waiting"}])
    assert failed("couchdb", parts(couchdb, query='{"selector": {"a": {"$no": 1}}}'), login(couchdb))


def test_tls(couchdb, nginx, pki):
    there, login_there = {"query": QUERY, "queryValue": 5, "dbName": "jobs"}, nginx(couchdb.url).tls.replace("://", "://weir:s3cret@")
    couchdb.put("jobs", [{"state": "waiting"}])
    assert value("couchdb", there, {"connectionString": login_there, "ca": pki.text("ca.crt")}) == 1
    for auth in ({"ca": pki.text("wrong-ca.crt")}, {}):  # nor does the system know our authority
        assert "certificate" in failed("couchdb", there, {"connectionString": login_there, **auth})


def test_rotated_password_and_restart(couchdb, weir):
    couchdb.put("jobs", [{"state": "waiting"}] * 2)
    running = weir(scaled_object(trigger("couchdb", parts(couchdb), login(couchdb)), pollingInterval=1, maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 2, 20)
    couchdb.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    couchdb.start()
    couchdb.put("jobs", [{"state": "waiting"}] * 4)
    wait_for(lambda: state()["state"] == "ok" and state()["value"] == 4, 40)
    couchdb.password = "n3xt"
    couchdb.restart()
    couchdb.put("jobs", [{"state": "waiting"}])
    assert failed("couchdb", parts(couchdb), {"password": "s3cret"})
    assert value("couchdb", parts(couchdb), login(couchdb)) == 1
