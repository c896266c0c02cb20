"""Pause, resume and refresh by hand on a running Weir: what they do, what a kill -9 leaves of them, and what is written about them."""
import json

from conftest import free_port, manifest, wait_for
from test_access import JSON, ask, bearer, tokens_in


def started(weir, source, *options, text=None):
    w = weir("--allow-actions", *options)
    w.write("app.yaml", text or manifest(source.url))
    w.listen = f"127.0.0.1:{free_port()}"
    return w.start()


def act(w, action, headers=(), name="app"):
    status, _, body = ask(w.listen, f"/api/v1/objects/default/{name}/actions/{action}", "POST", None, {**JSON, **dict(headers)})
    return status, json.loads(body)


def paused(w):
    return w.object().get("paused")


def test_pause_and_resume(weir, source):
    source.value = 20
    w = started(weir, source)
    w.wait_ready(2)
    assert json.loads(w.get("/api/v1/session"))["canAct"] is True
    assert act(w, "pause") == (200, {"done": True})
    wait_for(lambda: paused(w))
    source.value = 40
    asked = source.requests
    assert act(w, "refresh")[0] == 409
    for _ in range(3):
        w.kill()
        w.start()
        wait_for(lambda: paused(w) is not None)
        assert paused(w) is True, "found in the journal"
    assert source.requests == asked and w.ready() == 2
    assert act(w, "resume") == (200, {"done": True})
    w.wait_ready(4)
    assert paused(w) is False


def test_the_manifest_ends_it(weir, source):
    w = started(weir, source)
    wait_for(lambda: paused(w) is False)
    act(w, "pause")
    wait_for(lambda: paused(w))
    w.write("app.yaml", manifest(source.url, target="11"))
    wait_for(lambda: '"11"' in w.get("/api/v1/objects/default/app") or w.object()["triggers"][0]["target"] == 11)
    assert paused(w) is True, "another change leaves it"
    w.write("app.yaml", manifest(source.url, annotations=", autoscaling.keda.sh/paused: 'true'"))
    wait_for(lambda: "the manifest says now itself" in w.log_text())
    w.write("app.yaml", manifest(source.url))
    wait_for(lambda: paused(w) is False)


def test_refresh_asks_now(weir, source):
    w = started(weir, source, text=manifest(source.url).replace("polling-interval: 200ms", "polling-interval: 1h"))
    wait_for(lambda: source.requests == 1)
    assert act(w, "refresh")[0] == 200
    wait_for(lambda: source.requests == 2)


def test_who_acted_stands_in_the_log(weir, source, tmp_path):
    path, (alice, ) = tokens_in(tmp_path, "alice")
    w = started(weir, source, "--token-file", path)
    wait_for(lambda: paused(w) is False)
    assert act(w, "pause")[0] == 401
    assert act(w, "pause", bearer(alice))[0] == 200
    line = wait_for(lambda: [line for line in w.log_text().splitlines() if "msg=action" in line])
    assert len(line) == 1
    assert "action=pause object=ScaledObject/default/app who=alice from=127.0.0.1:" in line[0]


def test_what_is_no_action(weir, source):
    w = started(weir, source)
    wait_for(lambda: paused(w) is False)
    assert act(w, "explode")[0] == 400
    assert act(w, "pause", name="nothing")[0] == 404
    assert act(w, "pause", {"Content-Type": "text/plain"})[0] == 415
    assert act(w, "pause", {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert paused(w) is False
