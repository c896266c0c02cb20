"""Sources over gRPC, on gRPC's own C core as the peer: external, external-push, liiklus, and temporal where Temporal itself cannot be made to
answer so. Values and activity, refusals, TLS in both directions, a server that goes and comes back, streams that push."""
import time

import pytest
from conftest import ask, failed, probe, scaled_object, trigger, wait_for
from grpc_server import EXTERNAL, message, peer  # noqa: F401 (a fixture)

LIIKLUS = "/com.github.bsideup.liiklus.LiiklusService/"


def external(peer, **more):
    return {"scalerAddress": peer.address, "queue": "orders", **more}


def tls(pki, ca="ca", name="client"):
    return {"caCert": pki.text(f"{ca}.crt"), "tlsClientCert": pki.text(f"{name}.crt"), "tlsClientKey": pki.text(f"{name}.key")}


# ---- external

@pytest.mark.parametrize("value, active", [(17, True), (0, False), (0, True), (2.5, False)])
def test_external_value_target_and_activity_are_the_servers(peer, value, active):
    peer.scaler(value, target=5, active=active)
    seen = ask("external", external(peer))
    assert seen["state"] == "ok", seen
    assert (seen["value"], seen["target"], seen["active"]) == (value, 5, active)


def test_external_is_sent_the_object_and_all_metadata(peer):
    peer.scaler(1)
    probe(scaled_object(trigger("external", external(peer, enableTLS="false", regionFromEnv="REGION", emptyFromEnv="NONE")), name="shop",
                        env={"REGION": "eu"}))
    call = next(call for call in reversed(peer.seen()["calls"]) if call["method"] == EXTERNAL + "IsActive")
    assert call["message"] == message((1, "shop"), (2, "default"), *(
        (3, message((1, key), (2, value))) for key, value in (("scalerAddress", peer.address), ("queue", "orders"), ("enableTLS", "false"),
                                                              ("regionFromEnv", "eu"))))


def test_external_of_several_metrics_the_one_that_asks_for_most_counts(peer):
    peer.answer(EXTERNAL + "GetMetricSpec", message((1, message((1, "few"), (3, 1000.0))), (1, message((1, "many"), (2, 10)))))
    peer.answer(EXTERNAL + "GetMetrics", message((1, message((1, "any"), (2, 30))), (1, message((1, "any"), (2, 12)))))
    peer.answer(EXTERNAL + "IsActive", message((1, True)))
    seen = ask("external", external(peer))
    assert (seen["value"], seen["target"], seen["wants"]) == (42, 10, 5)


def test_external_without_a_value_is_missing(peer):
    peer.scaler(1)
    peer.answer(EXTERNAL + "GetMetrics", b"")
    assert ask("external", external(peer))["state"] == "missing"


@pytest.mark.parametrize("method", ["GetMetricSpec", "GetMetrics", "IsActive"])
@pytest.mark.parametrize("status, word", [("UNAVAILABLE", "UNAVAILABLE"), ("PERMISSION_DENIED", "check the credentials"),
                                          ("UNAUTHENTICATED", "check the credentials"), ("NOT_FOUND", "no such queue"),
                                          ("UNIMPLEMENTED", "does not have this service")])
def test_external_a_refused_call_is_a_failure(peer, method, status, word):
    peer.scaler(1)
    peer.refuse(EXTERNAL + method, status, "no such queue: naïve")
    error = failed("external", external(peer))
    assert word in error and "no such queue: naïve" in error


def test_external_answers_that_are_none(peer):
    peer.scaler(1)
    peer.answer(EXTERNAL + "GetMetricSpec", b"")
    assert "names no metric" in failed("external", external(peer))
    peer.answer(EXTERNAL + "GetMetricSpec", message((1, message((1, "jobs")))))
    assert "has to be more than 0" in failed("external", external(peer))
    peer.answer(EXTERNAL + "GetMetricSpec", b"\x0a\xff\xff\xff")
    assert "cannot be read" in failed("external", external(peer))
    peer.scaler(1)
    peer.answer(EXTERNAL + "GetMetrics", b"<html>")
    assert "cannot be read" in failed("external", external(peer))


def test_external_an_answer_of_five_megabytes_is_refused(peer):
    peer.scaler(1)
    peer.answer(EXTERNAL + "GetMetrics", message((9, b"x" * (5 << 20))))
    assert "HTTP_BODY_MAX_BYTES" in failed("external", external(peer))


def test_external_a_call_that_hangs_ends_with_its_time(peer):
    peer.scaler(1)
    peer.tell("delay", EXTERNAL + "IsActive", seconds=20)
    try:
        began = time.monotonic()
        assert "timed out after 3 s" in failed("external", external(peer))
        assert time.monotonic() - began < 8
    finally:
        peer.tell("delay", EXTERNAL + "IsActive", seconds=0)


def test_external_over_tls_in_both_directions(peer, pki):
    peer.scaler(17)
    there = external(peer, scalerAddress=peer.tls_address)
    assert ask("external", there, tls(pki))["value"] == 17
    assert ask("external", {**there, "unsafeSsl": True}, tls(pki, ca="wrong-ca"))["value"] == 17
    assert "TLS" in failed("external", there, tls(pki, ca="wrong-ca"))
    for auth in (tls(pki, name="wrong-client"), {"caCert": pki.text("ca.crt")}):
        error = failed("external", there, auth)
        assert "client certificate" in error, error
    assert "failed" == ask("external", external(peer, enableTLS=True))["state"]  # TLS to a port without


def test_external_what_is_no_grpc_server(peer):
    error = failed("external", external(peer, scalerAddress=f"127.0.0.1:{peer.control}"))  # HTTP/1.1 and nothing else
    assert "HTTP/2" in error
    assert "connection refused" in failed("external", external(peer, scalerAddress="127.0.0.1:1"))


def test_external_server_stopped_in_the_middle_and_back(peer, weir):
    peer.scaler(8, target=2)
    running = weir(scaled_object(trigger("external", external(peer)), maxReplicaCount=10, pollingInterval=1))
    wait_for(lambda: running.object().get("specReplicas") == 4, 20)
    peer.kill()
    wait_for(lambda: running.object()["triggers"][0]["state"] == "failed", 20)
    assert running.object()["specReplicas"] == 4
    peer.start()
    peer.scaler(12, target=2)
    wait_for(lambda: running.object()["specReplicas"] == 6, 30)


def test_external_objects_share_one_connection(peer, weir):
    peer.restart()
    peer.scaler(1)
    running = weir("".join(scaled_object(trigger("external", external(peer)), name=f"app-{i}", pollingInterval=1, minReplicaCount=0,
                                         maxReplicaCount=1) for i in range(40)))
    wait_for(lambda: sum(call["method"].endswith("IsActive") for call in peer.seen()["calls"]) > 150, 30)
    assert peer.seen()["peers"] <= 2 and running.object("app-7")["triggers"][0]["state"] == "ok"


# ---- external-push

def pushed(peer, weir, **spec):
    peer.restart()
    peer.scaler(0, target=1, active=False)
    running = weir(scaled_object(trigger("external-push", external(peer)), **{
        "minReplicaCount": 0, "maxReplicaCount": 5, "pollingInterval": 300, "cooldownPeriod": 300, **spec}))
    wait_for(lambda: peer.seen()["open"].get(EXTERNAL + "StreamIsActive") == 1, 20)
    return running


def sleeping(peer, weir):
    running = pushed(peer, weir, cooldownPeriod=1, pollingInterval=1)
    wait_for(lambda: running.object().get("specReplicas") == 0, 30)
    return running


def test_push_wakes_an_object_at_once(peer, weir):
    running = sleeping(peer, weir)
    peer.scaler(3, target=1)
    began = time.monotonic()
    peer.push(EXTERNAL + "StreamIsActive", message((1, True)))
    wait_for(lambda: running.object()["specReplicas"] == 3, 10, 0.01)
    assert time.monotonic() - began < 1


def test_push_of_false_means_nothing_and_does_not_take_away(peer, weir):
    running = pushed(peer, weir)
    wait_for(lambda: running.object().get("polls", 0) >= 1, 20)
    polls = running.object()["polls"]
    peer.push(EXTERNAL + "StreamIsActive", b"")
    time.sleep(1)
    assert running.object()["polls"] == polls and running.object()["specReplicas"] == 0


def test_push_a_thousand_words_are_a_few_polls(peer, weir):
    running = pushed(peer, weir)
    wait_for(lambda: running.object().get("polls", 0) >= 1, 20)
    polls, began = running.object()["polls"], time.monotonic()
    for _ in range(1000):
        peer.push(EXTERNAL + "StreamIsActive", message((1, True)))
    took = time.monotonic() - began
    time.sleep(0.5)
    assert 1 <= running.object()["polls"] - polls <= (took + 0.5) * 10 + 2


def test_push_new_targets_are_asked_for(peer, weir):
    running = pushed(peer, weir)
    peer.scaler(6, target=2)
    wait_for(lambda: peer.seen()["open"].get(EXTERNAL + "StreamMetricSpec") == 1, 20)
    peer.push(EXTERNAL + "StreamMetricSpec", message((1, message((1, "jobs"), (3, 2.0)))))
    wait_for(lambda: running.object()["specReplicas"] == 3, 10)


@pytest.mark.parametrize("status", ["OK", "UNAVAILABLE"])
def test_push_a_stream_that_ends_is_opened_anew(peer, weir, status):
    pushed(peer, weir)
    began = time.monotonic()
    peer.end(EXTERNAL + "StreamIsActive", status)
    wait_for(lambda: peer.seen()["opened"][EXTERNAL + "StreamIsActive"] == 2, 10)
    assert 1 < time.monotonic() - began < 5


def test_push_a_server_without_metric_specs_is_left_alone_about_them(peer, weir):
    peer.restart()
    peer.scaler(1)
    peer.refuse(EXTERNAL + "StreamMetricSpec", "UNIMPLEMENTED")
    weir(scaled_object(trigger("external-push", external(peer))))
    time.sleep(6)
    asked = [call["method"] for call in peer.seen()["calls"] if "Stream" in call["method"]]
    assert sorted(asked) == [EXTERNAL + "StreamIsActive", EXTERNAL + "StreamMetricSpec"]


def test_push_server_killed_and_back(peer, weir):
    running = pushed(peer, weir)
    peer.kill()
    time.sleep(3)
    peer.start()
    peer.scaler(4, target=1)
    wait_for(lambda: peer.seen()["open"].get(EXTERNAL + "StreamIsActive") == 1, 20)
    peer.push(EXTERNAL + "StreamIsActive", message((1, True)))
    wait_for(lambda: running.object()["specReplicas"] == 4, 10)


def test_push_streams_end_with_their_object(peer, weir):
    running = pushed(peer, weir)
    (running.folder / "manifests" / "app.yaml").unlink()
    wait_for(lambda: peer.seen()["open"].get(EXTERNAL + "StreamIsActive") == 0, 20)


def test_push_streams_end_with_their_object_where_the_connection_goes_on(peer, weir):
    running = pushed(peer, weir, pollingInterval=1)
    other = running.folder / "manifests" / "other.yaml"
    other.write_text(scaled_object(trigger("external-push", external(peer)), name="other"))
    wait_for(lambda: peer.seen()["open"][EXTERNAL + "StreamIsActive"] == 2, 20)
    other.unlink()
    wait_for(lambda: peer.seen()["open"][EXTERNAL + "StreamIsActive"] == 1, 20)


# ---- liiklus

def offsets(pairs):
    return message(*((1, message((1, partition), (2, at))) for partition, at in pairs.items()))


@pytest.mark.parametrize("committed, ends, lag", [
    ({0: 10, 1: 20}, {0: 10, 1: 20}, 0), ({0: 10, 1: 15}, {0: 12, 1: 20}, 7), ({}, {0: 4}, 4), ({0: 100}, {0: 1}, 0),
    ({0: 0, 1: 0}, {0: 1000, 1: 1000}, 20), ({7: 5}, {}, 0), ({3: 1, 1: 1}, {1: 2, 2: 3, 3: 4}, 7)])
def test_liiklus_lag(peer, committed, ends, lag):
    peer.answer(LIIKLUS + "GetOffsets", offsets(committed))
    peer.answer(LIIKLUS + "GetEndOffsets", offsets(ends))
    where = {"address": peer.address, "topic": "orders", "group": "billing", "groupVersion": 3, "lagThreshold": 10,
             "activationLagThreshold": 6}
    seen = ask("liiklus", where)
    assert (seen["state"], seen["value"], seen["active"]) == ("ok", lag, lag > 6)
    call = next(call for call in reversed(peer.seen()["calls"]) if call["method"] == LIIKLUS + "GetOffsets")
    assert call["message"] == message((1, "orders"), (2, "billing"), (3, 3))


def test_liiklus_refusals(peer):
    where = {"address": peer.address, "topic": "orders", "group": "billing"}
    peer.answer(LIIKLUS + "GetOffsets", offsets({}))
    peer.refuse(LIIKLUS + "GetEndOffsets", "NOT_FOUND", "no topic orders")
    assert "no topic orders" in failed("liiklus", where)
    peer.answer(LIIKLUS + "GetEndOffsets", b"\x0a\x7f")
    assert "cannot be read" in failed("liiklus", where)


# ---- many

@pytest.mark.heavy
def test_a_server_that_restarts_is_not_stormed_by_hundreds_of_streams(peer, weir):
    peer.restart()
    peer.scaler(1)
    weir("".join(scaled_object(trigger("external-push", external(peer)), name=f"app-{i}", pollingInterval=300, minReplicaCount=0,
                                         maxReplicaCount=1) for i in range(300)))
    streams = EXTERNAL + "StreamIsActive"
    wait_for(lambda: peer.seen()["open"].get(streams) == 300, 60)
    peer.kill()
    time.sleep(5)
    peer.start()
    peer.scaler(1)
    wait_for(lambda: peer.seen()["open"].get(streams) == 300, 90)
    assert peer.seen()["peers"] <= 8
