"""What it would take, and what would be decided if, asked of a running Weir: the dashboard's box and sentences, through the API."""
import json

import pytest

from conftest import manifest, wait_for
from support.weir import UnixConnection

FORMULA = """    scalingModifiers: {formula: load * 2, target: "20"}
"""


def ask(weir, body, name="app", content_type="application/json", query=""):
    connection = UnixConnection(weir.data / "weir.sock")
    try:
        headers = {"Content-Type": content_type} if content_type else {}
        connection.request("POST", f"/api/v1/objects/default/{name}/what-if{query}", body if isinstance(body, str) else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture
def running(weir, source):
    w = weir()
    source.value = 25
    w.write("app.yaml", manifest(source.url, spec=FORMULA))
    w.start()
    w.wait_ready(3)
    return w


def test_what_if(running):
    w = running
    status, answer = ask(w, {})
    assert (status, answer["decision"]["after"]) == (200, 3)
    for change, after in (({"values": {"load": 41}}, 5), ({"formula": "load", "target": 6.25}, 4), ({"values": {"load": "failed"}}, 3),
                          ({"values": {"s0": 12}, "laterSeconds": 2}, 2), ({"replicas": 0, "values": {"load": 0}}, 0)):
        status, answer = ask(w, change)
        assert (status, answer["decision"]["after"]) == (200, after), (change, answer)
    status, answer = ask(w, {"formula": "load * 3 + 1"})
    assert answer["decision"]["formula"]["text"] == "load * 3 + 1", answer["decision"]["formula"]
    assert w.object()["specReplicas"] == 3


@pytest.mark.parametrize("body, status, words", [
    ("", 400, "not JSON"), ("[]", 400, "a list"), ('{"values": 1}', 400, "values"), ('{"values": {"load": true}}', 400, "values.load"),
    ('{"replicas": 1.5}', 400, "whole"), ('{"replicas": -1}', 400, "replicas"), ('{"laterSeconds": 1e99}', 400, "laterSeconds"),
    ('{"target": 0}', 400, "target"), ('{"formula": 5}', 400, "formula"), ('{"formula": "load +"}', 400, "formula 1:"),
    ('{"formula": "laod"}', 400, "load"), ('{"values": {"laod": 1}}', 400, "is load meant?"), ('{"value": {}}', 400, "value is not known"),
    ('{"replicas": 1, "replicas": 2}', 400, "twice"), ('{"values": {"load": 1e999}}', 400, "values.load")])
def test_what_is_wrong_with_a_question_is_said(running, body, status, words):
    answer = ask(running, body)
    assert answer[0] == status and words in answer[1]["error"], answer


def test_other_refusals(running):
    assert ask(running, {}, content_type="text/plain")[0] == 415
    assert ask(running, {}, content_type=None)[0] == 415
    assert ask(running, {}, content_type="application/json; charset=utf-8")[0] == 200
    assert ask(running, {}, name="none")[0] == 404
    assert ask(running, {}, query="?kind=Pod")[0] == 400


def test_what_it_would_take(running, source):
    w = running
    wait_for(lambda: w.object()["reason"] == "steady")
    outlook = json.loads(w.get("/api/v1/objects/default/app/outlook"))
    (load,) = outlook["triggers"]
    assert outlook["now"] == 3 and load["name"] == "load"
    assert load["up"] == {"value": 33, "above": True, "inclusive": False, "replicas": 4, "afterSeconds": 0}
    assert load["down"]["value"] == 20 and load["down"]["replicas"] == 2 and 0 < load["down"]["afterSeconds"] < 2
    assert "load above 33 would make it 4 (now 3)" in outlook["sentences"]
    source.value = 33  # the edge itself does not
    wait_for(lambda: w.object()["triggers"][0]["value"] == 33)
    w.wait_ready(3)
    source.value = 33.01
    w.wait_ready(4)
    source.value = 0
    w.wait_ready(0)
    wait_for(lambda: w.object()["reason"] == "inactive")
    outlook = json.loads(w.get("/api/v1/objects/default/app/outlook"))
    assert outlook["sentences"] == ["load above 0 would make it 1 (now 0)"], outlook


def test_what_is_shown_of_an_object(running, source):
    w = running
    shown = w.object()
    assert shown["formula"] == "load * 2" and shown["formulaTarget"] == 20 and shown["cooldownSeconds"] == 2
    assert shown["triggers"][0]["sharedWith"] == 0 and shown["triggers"][0]["failures"] == 0
    source.value = 0
    assert wait_for(lambda: w.object()["cooldownEndsAt"]).endswith("Z")
    source.status = 500
    wait_for(lambda: w.object()["triggers"][0]["failures"] > 0)


SECRET = """---
apiVersion: v1
kind: Secret
metadata: {{name: token}}
stringData: {{token: {token}}}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {{name: source}}
spec:
  secretTargetRef: [{{parameter: token, name: token, key: token}}]
"""


def test_credentials_have_an_age(weir, source):
    w = weir()
    source.value = 25
    trigger = f"""  - type: metrics-api
    name: load
    metadata: {{url: "{source.url}", valueLocation: value, targetValue: "10", authMode: bearer}}
    authenticationRef: {{name: source}}
"""
    w.write("app.yaml", manifest(source.url, trigger=trigger) + SECRET.format(token="first-secret"))
    w.start()
    w.wait_ready(3)

    def ages():
        text = w.get("/api/v1/objects/default/app")
        assert "secret" not in text.replace("Secret", ""), text
        return {c["kind"] + "/" + c["name"]: c["ageSeconds"] for c in json.loads(text)["triggers"][0]["credentials"]}

    wait_for(lambda: ages()["Secret/token"] > 1.5)
    assert set(ages()) == {"TriggerAuthentication/source", "Secret/token"}
    w.write("app.yaml", manifest(source.url, trigger=trigger).replace("maxReplicaCount: 5", "maxReplicaCount: 6") + SECRET.format(token="first-secret"))
    wait_for(lambda: w.object()["maxReplicas"] == 6)
    assert ages()["Secret/token"] > 1.5
    w.write("app.yaml", manifest(source.url, trigger=trigger) + SECRET.format(token="second-secret"))
    wait_for(lambda: ages()["Secret/token"] < 1.5)
    wait_for(lambda: "Bearer second-secret" in [h.get("Authorization") for h in source.headers])
