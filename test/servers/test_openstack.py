"""openstack-swift against a real Swift and a real Keystone."""
import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from openstack_server import cloud  # noqa: F401

pytestmark = pytest.mark.heavy


def test_objects_of_a_container(cloud):
    cloud.put("jobs", "a", "b", "c")
    seen = ask("openstack-swift", {"containerName": "jobs", "objectCount": 2, "activationObjectCount": 2}, cloud.password())
    assert (seen["state"], seen["value"], seen["active"], seen["target"]) == ("ok", 3, True, 2)
    for above in (3, 4):
        seen = ask("openstack-swift", {"containerName": "jobs", "activationObjectCount": above}, cloud.password())
        assert (seen["value"], seen["active"]) == (3, False)
    cloud.make("empty")
    assert value("openstack-swift", {"containerName": "empty"}, cloud.password()) == 0


def test_what_names_say(cloud):
    cloud.put("names", "new/a", "new/b", "new/c/", "old/a")
    count = lambda **filters: value("openstack-swift", {"containerName": "names", **filters}, cloud.password())  # noqa: E731
    assert count(objectPrefix="new/") == 3
    assert count(objectPrefix="new/", onlyFiles=True) == 2
    assert count(objectDelimiter="/") == 2
    assert count(objectLimit=3) == 3
    assert count(objectPrefix="none/") == 0


@pytest.mark.parametrize("url", ["keystone", "base", "slash"])
def test_addresses(cloud, url):
    cloud.put("addresses", "a")
    url = {"keystone": cloud.keystone.url, "base": cloud.keystone.url.removesuffix("/v3"), "slash": cloud.keystone.url + "/"}[url]
    assert value("openstack-swift", {"containerName": "addresses"}, cloud.password(authURL=url)) == 1
    assert value("openstack-swift", {"containerName": "addresses", "swiftURL": cloud.storage}, cloud.password(authURL=url)) == 1


def test_application_credential(cloud):
    cloud.put("application", "a", "b")
    credential = cloud.application()
    assert value("openstack-swift", {"containerName": "application"}, credential) == 2
    assert "401" in failed("openstack-swift", {"containerName": "application"}, {**credential, "appCredentialSecret": "other"})


def test_no_failure_is_a_number(cloud):
    cloud.put("there", "a")
    asked = {"containerName": "there"}
    assert "404" in failed("openstack-swift", {"containerName": "not-there"}, cloud.password())
    assert "404" in failed("openstack-swift", {"containerName": "not-there", "objectPrefix": "a"}, cloud.password())
    assert "401" in failed("openstack-swift", asked, cloud.password(password="other"))
    assert "401" in failed("openstack-swift", asked, cloud.password(projectID="nobody"))
    assert "in region nowhere" in failed("openstack-swift", asked, cloud.password(regionName="nowhere"))
    assert "127.0.0.1:9" in failed("openstack-swift", asked, cloud.password(regionName="elsewhere"))
    assert "403" in failed("openstack-swift", {**asked, "swiftURL": cloud.storage + "0"}, cloud.password())


def test_away_and_back(cloud, weir):
    cloud.put("away", "a", "b")
    running = weir(scaled_object(trigger("openstack-swift", {"containerName": "away"}, cloud.password()), pollingInterval=1))
    seen = lambda: running.object("app")["triggers"][0]  # noqa: E731
    wait_for(lambda: seen().get("value") == 2, 20)
    cloud.swift.stop()
    wait_for(lambda: seen()["state"] == "failed", 20)
    cloud.swift.start()
    wait_for(lambda: seen()["state"] == "ok", 20)
    assert seen()["value"] == 2


def test_tokens_that_are_not_good_any_more(cloud, weir):
    cloud.put("tokens", "a")
    running = weir(scaled_object(trigger("openstack-swift", {"containerName": "tokens"}, cloud.password()), pollingInterval=1))
    seen = lambda: running.object("app")["triggers"][0]  # noqa: E731
    wait_for(lambda: seen().get("value") == 1, 20)
    cloud.keystone.forget_tokens()
    cloud.put("tokens", "b")
    wait_for(lambda: seen()["state"] == "ok" and seen()["value"] == 2, 20)


def test_changed_password(cloud):
    cloud.put("password", "a")
    before = cloud.password()
    cloud.change_password("another")
    assert "401" in failed("openstack-swift", {"containerName": "password"}, before)
    assert value("openstack-swift", {"containerName": "password"}, cloud.password()) == 1
