"""temporal on Temporal's own development server; what that cannot be made to answer is asked of a gRPC peer."""
import pytest
from conftest import ask, failed, scaled_object, trigger, wait_for
from grpc_server import message, peer  # noqa: F401 (a fixture)
from temporal_server import temporal  # noqa: F401 (a fixture)

SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"


def of(server, queue="orders", **more):
    return {"endpoint": server.address, "taskQueue": queue, **more}


def stats(backlog):
    return message((1, backlog))


# ---- the real one

@pytest.mark.heavy
def test_backlog_and_activation(temporal):
    temporal.begin("counted", 3)
    wait_for(lambda: ask("temporal", of(temporal, "counted"))["value"] == 3, 20)
    for activation, active in ((2, True), (3, False), (4, False)):
        assert ask("temporal", of(temporal, "counted", activationTargetQueueSize=activation))["active"] == active
    assert ask("temporal", of(temporal, "counted", queueTypes="workflow"))["value"] == 3
    assert ask("temporal", of(temporal, "counted", queueTypes="activity,nexus"))["value"] == 0
    assert ask("temporal", of(temporal, "counted", selectUnversioned=True))["value"] == 3


@pytest.mark.heavy
def test_a_queue_that_nobody_used_is_empty_and_a_namespace_that_is_not_there_a_failure(temporal):
    assert ask("temporal", of(temporal, "never"))["value"] == 0
    assert "elsewhere" in failed("temporal", of(temporal, namespace="elsewhere"))
    assert failed("temporal", of(temporal, workerDeploymentName="none", workerDeploymentBuildId="1"))


@pytest.mark.heavy
def test_workflows_that_run_keep_it_active(temporal):
    temporal.begin("running", 1)
    seen = wait_for(lambda: (seen := ask("temporal", of(temporal, "running", includeRunningWorkflowCount=True,
                                                        activationTargetQueueSize=100)))["active"] and seen, 20)
    assert seen["value"] == 1
    assert not ask("temporal", of(temporal, "running", activationTargetQueueSize=100))["active"]


@pytest.mark.heavy
def test_server_stopped_and_back(temporal, weir):
    running = weir(scaled_object(trigger("temporal", of(temporal, "stopped")), pollingInterval=1))
    wait_for(lambda: running.object().get("triggers", [{}])[0].get("state") == "ok", 20)
    temporal.kill()
    wait_for(lambda: running.object()["triggers"][0]["state"] == "failed", 20)
    temporal.start()
    wait_for(lambda: running.object()["triggers"][0]["state"] == "ok", 30)


# ---- the peer

def version(status, *queues):
    return message((1, message((14, status))), *((2, message((1, name), (2, kind), (3, stats(backlog)))) for name, kind, backlog in queues))


@pytest.mark.parametrize("status, running, active", [(4, None, True), (2, 1, True), (3, 0, False), (1, 5, False)])
def test_deployment(peer, status, running, active):
    peer.answer(SERVICE + "DescribeWorkerDeploymentVersion",
                version(status, ("orders", 1, 4), ("orders", 2, 3), ("orders", 3, 50), ("other", 1, 100)))
    if running is not None:
        peer.answer(SERVICE + "CountWorkflowExecutions", message((1, running)))
    seen = ask("temporal", of(peer, workerDeploymentName="shop", workerDeploymentBuildId="v1", queueTypes="workflow,activity",
                              includeRunningWorkflowCount=True, activationTargetQueueSize=7))
    assert (seen["state"], seen["value"], seen["active"]) == ("ok", 7, active)
    call = next(call for call in reversed(peer.seen()["calls"]) if call["method"].endswith("Version"))
    assert call["message"] == message((1, "default"), (3, message((1, "v1"), (2, "shop"))), (4, True))
    assert call["metadata"]["temporal-namespace"] == "default"


def test_builds(peer):
    def types(*figures):
        return message(*((1, message((1, kind), (2, message((2, stats(backlog)))))) for kind, backlog in figures))
    peer.answer(SERVICE + "DescribeTaskQueue", message((3, message((1, ""), (2, types((1, 2), (2, 3))))), (3, message((1, "b"), (2, types((1, 5)))))))
    assert ask("temporal", of(peer, buildId="b"))["value"] == 10
    call = next(call for call in reversed(peer.seen()["calls"]) if call["method"].endswith("TaskQueue"))
    assert call["message"] == message((1, "default"), (2, message((1, "orders"))), (5, 1), (6, message((1, "b"), (2, False), (3, False))),
                                      (7, 1), (7, 2), (7, 3), (8, True))
    peer.answer(SERVICE + "DescribeTaskQueue", message((1, b"")))
    assert "too old" in failed("temporal", of(peer, buildId="b"))


def test_a_count_that_fails_says_nothing_and_a_part_that_fails_everything(peer):
    peer.answer(SERVICE + "DescribeTaskQueue", message((5, stats(2))))
    peer.refuse(SERVICE + "CountWorkflowExecutions", "INVALID_ARGUMENT", "no")
    seen = ask("temporal", of(peer, includeRunningWorkflowCount=True, activationTargetQueueSize=10))
    assert (seen["value"], seen["active"]) == (6, False)
    peer.refuse(SERVICE + "DescribeTaskQueue", "PERMISSION_DENIED", "not you")
    assert "not you" in failed("temporal", of(peer, includeRunningWorkflowCount=True))


def test_tls_and_key(peer, pki):
    peer.answer(SERVICE + "DescribeTaskQueue", message((5, stats(1))))
    there = {"endpoint": peer.tls_address, "taskQueue": "orders"}
    assert ask("temporal", there, {**pki.client(), "apiKey": "abc"})["value"] == 3
    assert peer.seen()["calls"][-1]["metadata"]["authorization"] == "Bearer abc"
    address = {**there, "endpoint": f"127.0.0.1:{peer.tls_port}", "tlsServerName": "localhost"}
    assert ask("temporal", address, {**pki.client("client"), "key": pki.text("client-encrypted.key"), "keyPassword": "key-password"})["value"] == 3
    assert "elsewhere" in failed("temporal", {**there, "tlsServerName": "elsewhere.example"}, pki.client())
    assert "TLS" in failed("temporal", there, pki.client(ca="wrong-ca"))
    assert "client certificate" in failed("temporal", there, pki.client("wrong-client"))
