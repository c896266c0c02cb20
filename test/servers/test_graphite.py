"""graphite on carbon and graphite-web."""
from conftest import ask, failed, value, wait_for
from graphite_server import graphite  # noqa: F401


def parts(url, query="jobs.waiting", **more):
    return {"serverAddress": url, "query": query, "queryTime": "-30s", "threshold": 5, **more}


def seen(graphite, name, number, **more):
    """Written, and what is read of it once Graphite has it."""
    graphite.write(name, number)
    wait_for(lambda: ask("graphite", parts(graphite.url, name))["state"] == "ok", 10)
    return ask("graphite", parts(graphite.url, name, **more))


def test_value_and_activation(graphite):
    graphite.write("jobs.waiting", 12.5)
    wait_for(lambda: ask("graphite", parts(graphite.url))["state"] == "ok", 10)
    for limit, active in ((12, True), (13, False)):
        answer = ask("graphite", parts(graphite.url, activationThreshold=limit))
        assert (answer["value"], answer["target"], answer["active"]) == (12.5, 5, active)


def test_the_newest_point_counts(graphite):
    assert seen(graphite, "jobs.some", 1)["value"] == 1
    graphite.write("jobs.some", 7)
    wait_for(lambda: value("graphite", parts(graphite.url, "jobs.some")) == 7, 10)


def test_functions_and_several_series(graphite):
    seen(graphite, "shop.a.n", 3)
    seen(graphite, "shop.b.n", 4)
    assert "2 series" in failed("graphite", parts(graphite.url, "shop.*.n"))
    assert value("graphite", parts(graphite.url, "keepLastValue(sumSeries(keepLastValue(shop.*.n)))")) == 7


def test_what_is_not_there(graphite):
    assert ask("graphite", parts(graphite.url, "no.such.series"))["state"] == "missing"
    assert ask("graphite", parts(graphite.url, "noSuchFunction("))["state"] == "missing"  # Graphite answers it as no series


def test_login_by_tls(graphite, nginx, pki):
    seen(graphite, "jobs.login", 5)
    front = nginx(graphite.url)
    named = parts(front.plain + "/basic", "jobs.login", authMode="basic")
    assert value("graphite", named, {"username": "user", "password": "pw"}) == 5
    assert "401" in failed("graphite", named, {"username": "user", "password": "wrong"})
    front.login("other")
    assert "401" in failed("graphite", named, {"username": "user", "password": "pw"})
    assert value("graphite", named, {"username": "user", "password": "other"}) == 5
    # No parameter of this type brings an authority of its own.
    assert "certificate" in failed("graphite", parts(front.tls, "jobs.login"))


def test_stopped_and_back(graphite):
    seen(graphite, "jobs.back", 6)
    port = graphite.port
    graphite.kill()
    assert str(port) in failed("graphite", parts(graphite.url, "jobs.back"))
    graphite.start()
    assert value("graphite", parts(graphite.url, "jobs.back", queryTime="-10min")) == 6
