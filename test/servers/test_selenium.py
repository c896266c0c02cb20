"""selenium-grid on the hub of a Selenium Grid 4: requests that wait; nodes and sessions are in the exchanges and vectors."""
import pytest

from conftest import ask, failed, value
from selenium_server import selenium  # noqa: F401

pytestmark = pytest.mark.heavy


def parts(url, **more):
    return {"url": url, "browserName": "chrome", **more}


def test_an_empty_grid(selenium):
    seen = ask("selenium-grid", parts(selenium.url))
    assert (seen["value"], seen["active"], seen["target"]) == (0, False, 1)


def test_requests_that_wait(selenium):
    chrome = {"browserName": "chrome"}
    with selenium.waiting(chrome, {**chrome, "platformName": "linux"}, {**chrome, "platformName": "Windows 11"},
                          {"browserName": "firefox"}, {**chrome, "browserVersion": "121"}, {**chrome, "app:tier": "a"}):
        # The one for another platform, the one for a version and the one for firefox are not for these nodes.
        assert value("selenium-grid", parts(selenium.url, platformName="linux")) == 1
        assert value("selenium-grid", parts(selenium.url)) == 2
        assert value("selenium-grid", parts(selenium.url, nodeMaxSessions=2)) == 1
        assert value("selenium-grid", parts(selenium.url, platformName="WIN10")) == 1
        assert value("selenium-grid", parts(selenium.url, browserVersion="121.0")) == 1
        assert value("selenium-grid", parts(selenium.url, capabilities='{"app:tier": "a"}')) == 1
        assert value("selenium-grid", parts(selenium.url, browserName="firefox")) == 1
        for limit, active in ((1, True), (3, False)):
            assert ask("selenium-grid", parts(selenium.url, activationThreshold=limit))["active"] is active


def test_not_the_address_of_the_questions(selenium):
    assert failed("selenium-grid", parts(selenium.root + "/nothing"))
    assert failed("selenium-grid", parts(selenium.root + "/status"))


def test_login_and_tls(selenium, nginx):
    front = nginx(selenium.root)
    basic = parts(front.plain + "/basic/graphql")
    assert value("selenium-grid", basic, {"username": "user", "password": "pw"}) == 0
    assert "401" in failed("selenium-grid", basic, {"username": "user", "password": "wrong"})
    bearer = parts(front.plain + "/bearer/graphql")
    assert value("selenium-grid", bearer, {"authType": "Bearer", "accessToken": "token"}) == 0
    assert "401" in failed("selenium-grid", bearer, {"authType": "Bearer", "accessToken": "wrong"})
    assert "certificate" in failed("selenium-grid", parts(front.tls + "/graphql"))
    assert value("selenium-grid", parts(front.tls + "/graphql", unsafeSsl=True)) == 0
    front.login("other")
    assert "401" in failed("selenium-grid", basic, {"username": "user", "password": "pw"})
    assert value("selenium-grid", basic, {"username": "user", "password": "other"}) == 0


def test_stopped_and_back(selenium):
    selenium.kill()
    assert str(selenium.port) in failed("selenium-grid", parts(selenium.url))
    selenium.start()
    assert value("selenium-grid", parts(selenium.url)) == 0
