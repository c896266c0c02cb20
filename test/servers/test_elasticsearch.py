"""elasticsearch, and the search of elastic-forecast, on Elasticsearch 7.10."""
import json
import time

import pytest

from conftest import ask, failed, value, wait_for
from search_server import elasticsearch  # noqa: F401
from server import free_port

pytestmark = pytest.mark.heavy
LOGIN = {"username": "user", "password": "pw"}
COUNT = json.dumps({"query": {"term": {"state.keyword": "waiting"}}, "size": 0, "track_total_hits": True})


@pytest.fixture(scope="module", autouse=True)
def jobs(elasticsearch):
    elasticsearch.put("jobs", *[{"state": "waiting", "size": 2.5}] * 2, {"state": "done", "size": 1})


def parts(url, query=COUNT, **more):
    return {"addresses": url, "index": "jobs", "query": query, "valueLocation": "hits.total.value", "targetValue": 5, **more}


def test_value_and_activation(elasticsearch):
    for limit, active in ((1, True), (3, False)):
        seen = ask("elasticsearch", parts(elasticsearch.url, activationTargetValue=limit), LOGIN)
        assert (seen["value"], seen["active"], seen["target"]) == (2, active, 5)


def test_aggregation_and_several_indices(elasticsearch):
    elasticsearch.put("jobs-2", {"state": "waiting", "size": 4.5})
    total = json.dumps({"size": 0, "aggs": {"s": {"sum": {"field": "size"}}}})
    assert value("elasticsearch", parts(elasticsearch.url, total, valueLocation="aggregations.s.value"), LOGIN) == 6
    assert value("elasticsearch", parts(elasticsearch.url, total, index="jobs;jobs-2", valueLocation="aggregations.s.value"), LOGIN) == 10.5
    first = json.dumps({"size": 1, "sort": [{"size": "desc"}]})
    assert value("elasticsearch", parts(elasticsearch.url, first, index="jobs*", valueLocation="hits.hits.0._source.size"), LOGIN) == 4.5


def test_template(elasticsearch):
    elasticsearch.template("by-state", {"query": {"term": {"state.keyword": "{{state}}"}}, "size": 0})
    named = {**parts(elasticsearch.url), "searchTemplateName": "by-state", "parameters": "state:done"}
    del named["query"]
    assert value("elasticsearch", named, LOGIN) == 1
    assert failed("elasticsearch", {**named, "searchTemplateName": "no-such"}, LOGIN)


def test_an_index_that_is_not_there(elasticsearch):
    for ignore in (True, False):
        why = failed("elasticsearch", parts(elasticsearch.url, index="nothing", ignoreNullValues=ignore), LOGIN)
        assert "index_not_found" in why or "404" in why
    assert "400" in failed("elasticsearch", parts(elasticsearch.url, '{"query":{"no":{}}}', ignoreNullValues=True), LOGIN)


def test_nothing_at_the_place(elasticsearch):
    assert "nothing at" in failed("elasticsearch", parts(elasticsearch.url, valueLocation="hits.none"), LOGIN)
    assert value("elasticsearch", parts(elasticsearch.url, valueLocation="hits.none", ignoreNullValues=True), LOGIN) == 0


def test_login_and_tls(elasticsearch, nginx):
    front = nginx(elasticsearch.url)
    assert value("elasticsearch", parts(front.plain + "/basic"), LOGIN) == 2
    assert "401" in failed("elasticsearch", parts(front.plain + "/basic"), {**LOGIN, "password": "wrong"})
    assert value("elasticsearch", parts(front.plain.replace("//", "//user:pw@") + "/basic"), {**LOGIN, "password": "wrong"}) == 2
    assert "certificate" in failed("elasticsearch", parts(front.tls), LOGIN)
    assert value("elasticsearch", parts(front.tls + "/basic", unsafeSsl=True), LOGIN) == 2
    front.login("other")
    assert "401" in failed("elasticsearch", parts(front.plain + "/basic"), LOGIN)
    assert value("elasticsearch", parts(front.plain + "/basic"), {**LOGIN, "password": "other"}) == 2


def test_the_next_node_is_asked(elasticsearch):
    nobody = f"http://127.0.0.1:{free_port()}"
    assert value("elasticsearch", parts(f"{nobody},{elasticsearch.url}"), LOGIN) == 2
    assert failed("elasticsearch", parts(nobody), LOGIN)


def test_the_search_of_a_forecast(elasticsearch, nginx, place):
    """The jobs themselves are not in this edition: what they write is written by us, and their call is refused."""
    elasticsearch.call("PUT", "/.ml-anomalies-x", {"mappings": {"properties": {
        "timestamp": {"type": "date"}, **{name: {"type": "keyword"} for name in ("job_id", "forecast_id", "result_type")}}}})
    elasticsearch.put(".ml-anomalies-x", {"job_id": "j", "forecast_id": "f1", "result_type": "model_forecast",
                                          "timestamp": int(time.time() * 1000), "forecast_prediction": 42.5})
    named = {"addresses": elasticsearch.url, "jobID": "j", "targetValue": 10}
    assert "400" in failed("elastic-forecast", named, LOGIN)
    assert forecast_value(elasticsearch, place) == 42.5


def forecast_value(elasticsearch, place):
    """Asked through a server that answers the one call of the jobs and passes the rest on."""
    from server import Server
    port = free_port()
    folder = place("forecast")
    (folder / "nginx.conf").write_text(f"""user root; worker_processes 1; pid {folder}/master.pid; error_log {folder}/error.log; events {{ }}
http {{ access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
 uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {elasticsearch.url}; }}
  location /_ml/ {{ default_type application/json; return 200 '{{"acknowledged":true,"forecast_id":"f1"}}'; }} }} }}""")
    with Server(folder, "forecast", ["nginx", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"], ready=port):
        return value("elastic-forecast", {"addresses": f"http://127.0.0.1:{port}", "jobID": "j", "targetValue": 10}, LOGIN)


def test_stopped_and_back(elasticsearch):
    elasticsearch.kill()
    assert str(elasticsearch.port) in failed("elasticsearch", parts(elasticsearch.url), LOGIN)
    elasticsearch.start()
    wait_for(lambda: ask("elasticsearch", parts(elasticsearch.url), LOGIN).get("value") == 2, 30)  # its shards come back after its port
