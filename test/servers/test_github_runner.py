"""github-runner against a stand-in for GitHub's API (github_stub.py): pages, tokens of an App with a real signature, ETags."""
import subprocess

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from github_stub import github  # noqa: F401


def parts(github, **more):
    return {"githubApiURL": github.url, "owner": "acme", "runnerScope": "org", "labels": "large", **more}


def app(github, **more):
    return {**parts(github), "applicationID": github.app, "installationID": github.installation, **more}


def test_all_repositories(github):
    github.jobs = [["large", "self-hosted"], ["LARGE"], ["windows"], []]
    seen = ask("github-runner", parts(github, targetWorkflowQueueLength=3), {"personalAccessToken": "personal"})
    assert (seen["value"], seen["active"], seen["target"]) == (3, True, 3)
    assert "/orgs/acme/repos?page=2" in github.asked and "/orgs/acme/repos?page=3" not in github.asked
    seen = ask("github-runner", parts(github, targetWorkflowQueueLength=4), {"personalAccessToken": "personal"})
    assert (seen["value"], seen["active"]) == (3, False)


def test_app(github):
    github.jobs = [["large"]]
    assert value("github-runner", app(github, repos="r30"), {"appKey": github.key.read_text()}) == 1
    pkcs8 = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", github.key], capture_output=True, text=True, check=True).stdout
    assert "BEGIN PRIVATE KEY" in pkcs8
    assert value("github-runner", app(github, repos="r30"), {"appKey": pkcs8}) == 1


def test_app_with_another_key(github, pki):
    other = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True).stdout
    assert "401" in failed("github-runner", app(github, repos="r30"), {"appKey": other})
    assert "no RSA key" in failed("github-runner", app(github, repos="r30"), {"appKey": pki.text("client.key")})
    assert "appKey" in failed("github-runner", app(github, repos="r30"), {"appKey": "no key at all"})


def test_wrong_token_and_owner(github):
    assert "Bad credentials" in failed("github-runner", parts(github), {"personalAccessToken": "other"})
    assert "404" in failed("github-runner", parts(github, owner="nobody"), {"personalAccessToken": "personal"})


def test_unchanged_answers_are_not_sent_again(github, weir):
    github.jobs = [["large"], ["large"]]
    running = weir(scaled_object(trigger("github-runner", parts(github, repos="r30", enableEtags=True), {"personalAccessToken": "personal"}),
                                 pollingInterval=1, maxReplicaCount=4))
    wait_for(lambda: running.object("app")["triggers"][0].get("value") == 2, 20)
    wait_for(lambda: github.unchanged >= 3, 20)
    github.jobs = [["large"]]
    wait_for(lambda: running.object("app")["triggers"][0].get("value") == 1, 20)
