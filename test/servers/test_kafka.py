"""kafka and apache-kafka on a real broker: lag, its policies and bounds, logins, tokens, TLS, what is not there, a broker that goes and comes."""
import json
import time

import pytest

from conftest import ask, failed, probe, scaled_object, trigger, value, wait_for
from issuer_server import CLIENT, SECRET
from kafka_server import issuer, kafka, kafka_3  # noqa: F401
from pki import PASSWORD

pytestmark = pytest.mark.heavy
BOTH = pytest.mark.parametrize("type_", ["kafka", "apache-kafka"])


@pytest.fixture(scope="module", autouse=True)
def filled(kafka):
    """orders: partitions of 10, 20 and 0 messages; billing has read 4 of the first and all of the second."""
    kafka.do(["topics", ["orders", "returns", "gone"], 3], ["produce", "orders", 0, 10], ["produce", "orders", 1, 20],
             ["produce", "returns", 0, 5], ["commit", "billing", "orders", 0, 4], ["commit", "billing", "orders", 1, 20],
             ["commit", "billing", "orders", 2, 0], ["commit", "billing", "returns", 0, 3], ["commit", "billing", "returns", 1, 0],
             ["commit", "billing", "returns", 2, 0])


def asking(kafka, address=None, **more):
    return {"bootstrapServers": address or kafka.plain, "consumerGroup": "billing", "topic": "orders", **more}


# ---- values

@BOTH
def test_lag_is_end_less_commit(kafka, type_):
    seen = ask(type_, asking(kafka))
    assert (seen["state"], seen["value"], seen["active"], seen["target"]) == ("ok", 6, True, 10)


@BOTH
@pytest.mark.parametrize("threshold, active", [(5, True), (6, False), (7, False)])
def test_activation_is_strict(kafka, type_, threshold, active):
    assert ask(type_, asking(kafka, activationLagThreshold=threshold))["active"] is active


@BOTH
def test_a_group_that_read_everything_has_no_lag(kafka, type_):
    kafka.do(["commit", "done", "orders", 0, 10], ["commit", "done", "orders", 1, 20], ["commit", "done", "orders", 2, 0])
    seen = ask(type_, asking(kafka, consumerGroup="done"))
    assert (seen["state"], seen["value"], seen["active"]) == ("ok", 0, False)


@BOTH
@pytest.mark.parametrize("more, expected", [
    ({}, 3), ({"offsetResetPolicy": "earliest"}, 30), ({"scaleToZeroOnInvalidOffset": True}, 0),
    ({"offsetResetPolicy": "earliest", "partitionLimitation": "1-2"}, 20)])
def test_a_group_that_never_committed(kafka, type_, more, expected):
    assert value(type_, asking(kafka, consumerGroup="newcomers", **more)) == expected


@BOTH
@pytest.mark.parametrize("more, expected", [
    ({"lagThreshold": 1}, 3),                                                             # three partitions
    ({"lagThreshold": 1, "allowIdleConsumers": True}, 6),
    ({"lagThreshold": 1, "limitToPartitionsWithLag": True}, 1),
    ({"lagThreshold": 4, "ensureEvenDistributionOfPartitions": True}, 12),                # 2 do not share 3 evenly
    ({"partitionLimitation": "1,2"}, 0)])
def test_bounds(kafka, type_, more, expected):
    assert value(type_, asking(kafka, **more)) == expected


@BOTH
def test_without_a_topic_all_topics_of_the_group(kafka, type_):
    metadata = asking(kafka)
    del metadata["topic"]
    assert value(type_, metadata) == 6 + 2


def test_several_topics(kafka):
    assert value("apache-kafka", asking(kafka, topic="orders,returns")) == 8


# ---- what is not there

@BOTH
def test_a_topic_that_is_not_there_is_an_error_and_stays_away(kafka, type_):
    assert "nowhere" in failed(type_, asking(kafka, topic="nowhere"))
    assert "nowhere" not in json.loads(kafka.do(["list"]))


@BOTH
def test_a_topic_that_was_deleted(kafka, type_):
    name = f"short-{type_}"
    kafka.do(["topic", name, 1], ["produce", name, 0, 3])
    assert value(type_, asking(kafka, topic=name, offsetResetPolicy="earliest")) == 3
    kafka.do(["delete", name])
    wait_for(lambda: ask(type_, asking(kafka, topic=name))["state"] == "failed")


@BOTH
def test_partitions_that_are_not_there(kafka, type_):
    assert "partitionLimitation" in failed(type_, asking(kafka, partitionLimitation="7-9"))


@BOTH
def test_a_group_without_commits_and_no_topic(kafka, type_):
    metadata = asking(kafka, consumerGroup="nobody")
    del metadata["topic"]
    assert "nobody" in failed(type_, metadata)


@BOTH
def test_nobody_listens(kafka, type_):
    began = time.monotonic()
    assert "cannot be reached" in failed(type_, asking(kafka, address="localhost:1"))
    assert time.monotonic() - began < 5


# ---- logins

def refused(type_, metadata, user, password):
    """The error of a login with this password, which comes soon and does not show it."""
    began = time.monotonic()
    error = failed(type_, metadata, {"username": user, "password": password})
    assert "refuses the login" in error and password not in error
    assert time.monotonic() - began < 5, "a refusal need not be waited for"
    return error


@BOTH
def test_plain_login(kafka, type_):
    metadata = asking(kafka, address=kafka.sasl, sasl="plaintext")
    assert value(type_, metadata, {"username": "alice", "password": "alicepw"}) == 6
    refused(type_, metadata, "alice", "wrong-one")


def test_login_demanded(kafka):
    failed("kafka", asking(kafka, address=kafka.sasl))


def test_scram_with_kafka_4(kafka):
    """It works, or the library is too old for it and the error says so, and what to do instead."""
    seen = ask("kafka", asking(kafka, address=kafka.sasl, sasl="scram_sha256"), {"username": "bob", "password": "bobpw"})
    assert seen.get("value") == 6 or ("librdkafka before 2.6.1" in seen["error"] and "use sasl: plaintext" in seen["error"]), seen


@pytest.fixture(scope="module")
def with_users(kafka_3):
    kafka_3.do(["topic", "orders", 1], ["produce", "orders", 0, 7], ["commit", "billing", "orders", 0, 2])
    return kafka_3


@BOTH
@pytest.mark.parametrize("sasl", ["scram_sha256", "scram_sha512"])
def test_scram(with_users, type_, sasl):
    metadata = asking(with_users, address=with_users.sasl, sasl=sasl)
    assert value(type_, metadata, {"username": "bob", "password": "bobpw"}) == 5
    refused(type_, metadata, "bob", "wrong-one")


def test_rotated_password(with_users, weir):
    def manifest(password):
        return scaled_object(trigger("kafka", asking(with_users, address=with_users.sasl, sasl="scram_sha256"),
                                     {"username": "bob", "password": password}), pollingInterval=1)

    running = weir(manifest("bobpw"))
    path = running.folder / "manifests" / "app.yaml"
    try:
        wait_for(lambda: seen(running).get("state") == "ok")
        with_users.do(["password", "bob", "bobnew"])
        path.write_text(manifest("bobold"))
        wait_for(lambda: "refuses the login" in seen(running).get("why", ""))
        path.write_text(manifest("bobnew"))
        wait_for(lambda: seen(running).get("state") == "ok")
    finally:
        with_users.do(["password", "bob", "bobpw"])


# ---- tokens

def with_token(kafka, **more):
    return asking(kafka, address=kafka.tokens, sasl="oauthbearer", **more)


def client_of(tokens, **more):
    return {"username": CLIENT, "password": SECRET, "oauthTokenEndpointUri": tokens.token_url, **more}


@pytest.fixture(scope="module")
def used_to_tokens(kafka, issuer):  # noqa: F811
    """The first token takes the broker long: classes are loaded, keys are fetched."""
    wait_for(lambda: ask("kafka", with_token(kafka), client_of(issuer))["state"] == "ok", 120)
    return issuer


@pytest.fixture
def tokens(used_to_tokens):
    used_to_tokens.behave()
    yield used_to_tokens
    used_to_tokens.behave()


def test_token(kafka, tokens):
    metadata = with_token(kafka)
    assert value("kafka", metadata, client_of(tokens, scopes="lag, offsets", oauthExtensions="logicalCluster=lkc-1,tenant=a b")) == 6
    assert [form["scope"] for form in tokens.asked] == ["lag offsets"]
    assert value("kafka", metadata, client_of(tokens)) == 6
    assert "scope" not in tokens.asked[-1]


def test_no_token_for_a_wrong_secret(kafka, tokens):
    error = failed("kafka", with_token(kafka), client_of(tokens, password="wr0ng-s3cret"))
    assert "invalid_client" in error and "wr0ng" not in error and tokens.asked == []


def test_no_server_of_tokens(kafka, tokens):
    assert "127.0.0.1:1" in failed("kafka", with_token(kafka), client_of(tokens, oauthTokenEndpointUri="http://127.0.0.1:1/token"))


def test_token_that_is_refused(kafka, tokens):
    tokens.spoilt = True
    error = failed("kafka", with_token(kafka), client_of(tokens))
    assert "refuses the login" in error and SECRET not in error and "eyJ" not in error
    assert len(tokens.asked) == 1, "a token made just now is not made again"


def test_another_token_after_a_refusal(kafka, tokens, weir):
    tokens.spoilt = True
    running = weir(scaled_object(trigger("kafka", with_token(kafka), client_of(tokens)), pollingInterval=1))
    wait_for(lambda: "refuses the login" in seen(running).get("why", ""))
    tokens.spoilt = False
    wait_for(lambda: seen(running).get("state") == "ok")
    assert len(tokens.asked) >= 2, "the first one, good for an hour, was not used again"


def test_tokens_are_renewed(kafka, tokens, weir):
    """The broker sends us away with each token that ends, and the next login is with another one."""
    tokens.life_s = 6
    running = weir(scaled_object(trigger("kafka", with_token(kafka), client_of(tokens)), pollingInterval=1))
    wait_for(lambda: seen(running).get("value") == 6)
    kafka.do(["commit", "billing", "orders", 0, 3])
    try:
        wait_for(lambda: len(tokens.asked) >= 3, 60)
        wait_for(lambda: seen(running).get("value") == 7)
    finally:
        kafka.do(["commit", "billing", "orders", 0, 4])


# ---- TLS

@BOTH
def test_tls_with_our_authority(kafka, pki, type_):
    assert value(type_, asking(kafka, address=kafka.tls, tls="enable"), {"ca": pki.text("ca.crt")}) == 6


@BOTH
@pytest.mark.parametrize("auth", [{}, {"ca": "wrong-ca.crt"}])
def test_tls_with_another_authority(kafka, pki, type_, auth):
    error = failed(type_, asking(kafka, address=kafka.tls, tls="enable"), {key: pki.text(file) for key, file in auth.items()})
    assert "certificate verify failed" in error


def test_unsafe_tls(kafka):
    assert value("kafka", asking(kafka, address=kafka.tls, tls="enable", unsafeSsl=True)) == 6


@BOTH
def test_client_certificate(kafka, pki, type_):
    metadata = asking(kafka, address=kafka.mutual, tls="enable")
    assert value(type_, metadata, pki.client()) == 6
    encrypted = {**pki.client(), "key": pki.text("client-encrypted.key"), "keyPassword": PASSWORD}
    assert value(type_, metadata, encrypted) == 6
    failed(type_, metadata, {"ca": pki.text("ca.crt")})
    failed(type_, metadata, pki.client("wrong-client"))


def test_plain_to_a_port_with_tls(kafka):
    failed("kafka", asking(kafka, address=kafka.tls))


# ---- going and coming

def seen(running):
    """The trigger of the one object, as a running Weir shows it."""
    return (running.object().get("triggers") or [{}])[0]


def test_lag_that_does_not_move(kafka, weir):
    """excludePersistentLag: from the second poll on it wants no replicas, and still keeps the object active."""
    running = weir(scaled_object(trigger("kafka", asking(kafka, excludePersistentLag=True)), pollingInterval=1))
    wait_for(lambda: seen(running).get("value") == 0)
    assert running.object()["active"] is True


def test_new_messages_are_seen(kafka, weir):
    kafka.do(["topic", "flow", 2], ["commit", "billing", "flow", 0, 0], ["commit", "billing", "flow", 1, 0])
    running = weir(scaled_object(trigger("kafka", asking(kafka, topic="flow")), pollingInterval=1))
    wait_for(lambda: seen(running).get("value") == 0)
    kafka.do(["produce", "flow", 0, 7], ["produce", "flow", 1, 5])
    wait_for(lambda: seen(running).get("value") == 12)


def test_paused_and_restarted(kafka, weir):
    running = weir(scaled_object(trigger("kafka", asking(kafka)), pollingInterval=1))
    wait_for(lambda: seen(running).get("state") == "ok")
    kafka.pause()
    wait_for(lambda: "did not answer" in seen(running).get("why", ""))
    kafka.resume()
    wait_for(lambda: seen(running).get("state") == "ok")
    kafka.stop()
    wait_for(lambda: "cannot be reached" in seen(running).get("why", ""))
    kafka.start()
    wait_for(lambda: seen(running).get("state") == "ok", 60)


def test_probe_tells_what_it_would_do(kafka):
    answer = probe(scaled_object(trigger("kafka", asking(kafka, lagThreshold=2)), maxReplicaCount=10))
    assert answer["objects"][0]["wants"] == 3
