"""Credentials that only a cluster has: tokens of service accounts, given to an API as they are, or to Vault (a stand-in) to log in with. The
tokens are the control plane's own, and it is asked whose they are."""
import sys
from pathlib import Path

import pytest

from namespace import deployment
from support.source import Source
from support.waiting import wait_for

sys.path.append(str(Path(__file__).resolve().parent.parent / "servers"))
from vault_stand_in import VaultStandIn  # noqa: E402

ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}


class Guarded(Source):
    """Says its number to who has a bearer token that `lets_in` takes."""

    def __init__(self, lets_in):
        super().__init__()
        self.lets_in, self.tokens, self.value = lets_in, [], 30

    def answer(self, path):
        self.tokens.append(self.headers[-1].get("Authorization", "").removeprefix("Bearer "))
        self.status = 200 if self.lets_in(self.tokens[-1]) else 401
        return super().answer(path)


@pytest.fixture
def guarded():
    made = []

    def make(lets_in):
        made.append(Guarded(lets_in))
        return made[-1]

    yield make
    for one in made:
        one.close()


def whose(namespace, token):
    review = namespace.api.post("/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}})
    return review["status"].get("user", {}).get("username", "")


def scaled(namespace, source, spec):
    namespace.create("deployments", deployment("app", 1))
    namespace.create("triggerauthentications", {"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
                                                "metadata": {"name": "auth"}, "spec": spec})
    namespace.create("scaledobjects", {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "app"}, "spec": {
        "scaleTargetRef": {"name": "app"}, "pollingInterval": 2, "triggers": [{
            "type": "metrics-api", "authenticationRef": {"name": "auth"},
            "metadata": {"url": source.url, "valueLocation": "value", "targetValue": "10", "authMode": "bearer"}}]}})


def test_token_of_an_account(namespace, weir, guarded):
    mine = f"system:serviceaccount:{namespace.name}:reader"
    source = guarded(lambda token: whose(namespace, token) == mine)
    scaled(namespace, source, {"boundServiceAccountToken": [{"parameter": "token", "serviceAccountName": "reader"}]})
    running = weir("--watch-namespace", namespace.name, "--allow-egress", "loopback")
    wait_for(lambda: "there is no ServiceAccount" in running.get(f"/api/v1/objects/{namespace.name}/app"), 30)
    assert namespace.replicas("app") == 1 and source.tokens == []
    namespace.api.post(f"/api/v1/namespaces/{namespace.name}/serviceaccounts", ACCOUNT)
    wait_for(lambda: namespace.replicas("app") == 3, 60)
    assert len(set(source.tokens)) == 1
    # the account is made anew: its tokens are nobody's, the refusal has another one made
    namespace.api.delete(f"/api/v1/namespaces/{namespace.name}/serviceaccounts/reader")
    namespace.api.post(f"/api/v1/namespaces/{namespace.name}/serviceaccounts", ACCOUNT)
    source.value = 50
    wait_for(lambda: namespace.replicas("app") == 5, 60)
    assert all(token not in running.log_text() for token in set(source.tokens))


def test_vault_by_an_account(namespace, weir, guarded):
    vault = VaultStandIn()
    try:
        vault.secrets["secret/data/api"] = {"data": {"token": "s3cret"}, "metadata": {}}
        namespace.api.post(f"/api/v1/namespaces/{namespace.name}/serviceaccounts", ACCOUNT)
        scaled(namespace, guarded(lambda token: token == "s3cret"), {"hashiCorpVault": {
            "address": vault.address, "authentication": "kubernetes", "mount": "kubernetes", "role": "weir",
            "credential": {"serviceAccountName": "reader"}, "secrets": [{"parameter": "token", "path": "secret/data/api", "key": "token"}]}})
        weir("--watch-namespace", namespace.name, "--allow-egress", "loopback")
        wait_for(lambda: namespace.replicas("app") == 3, 30)
        assert [whose(namespace, jwt) for jwt in vault.jwts] == [f"system:serviceaccount:{namespace.name}:reader"]
    finally:
        vault.stop()
