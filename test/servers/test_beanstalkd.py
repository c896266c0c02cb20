"""beanstalkd: jobs of a tube in their several states."""
import pytest

from beanstalkd_server import beanstalkd  # noqa: F401
from conftest import ask, failed, scaled_object, trigger, value, wait_for


@pytest.fixture(scope="module")
def mails(beanstalkd):  # noqa: F811
    """Two ready, one reserved, four delayed."""
    beanstalkd.put("mails", 3)
    beanstalkd.reserve("mails")
    beanstalkd.put("mails", 4, delay=1000)
    return beanstalkd


@pytest.mark.parametrize("threshold, active", [(2, True), (3, False), (4, False)])
def test_count_and_activation(mails, threshold, active):
    seen = ask("beanstalkd", {"server": mails.address, "tube": "mails", "value": 2, "activationValue": threshold})
    assert (seen["state"], seen["value"], seen["target"], seen["active"]) == ("ok", 3, 2, active)


def test_delayed(mails):
    assert value("beanstalkd", {"server": mails.address, "tube": "mails", "value": 2, "includeDelayed": True}) == 7


def test_a_tube_nobody_knows_is_empty(mails):
    assert value("beanstalkd", {"server": mails.address, "tube": "nothing", "value": 2}) == 0


def test_a_tube_that_cannot_be(mails):
    failed("beanstalkd", {"server": mails.address, "tube": "a b", "value": 2})
    failed("beanstalkd", {"server": mails.address, "tube": "-begins-so", "value": 2})  # says beanstalkd itself


def test_nobody_listens(mails):
    failed("beanstalkd", {"server": "127.0.0.1:1", "tube": "mails", "value": 2})


def watched(running):
    return (running.object().get("triggers") or [{}])[0]


def test_hangs_goes_away_and_comes_back(mails, weir):
    mails.put("lasting", 5)
    running = weir(scaled_object(trigger("beanstalkd", {"server": mails.address, "tube": "lasting", "value": 2}), pollingInterval=1,
                                 minReplicaCount=0))
    wait_for(lambda: watched(running).get("value") == 5)
    mails.pause()
    wait_for(lambda: watched(running).get("state") == "failed")
    mails.resume()
    wait_for(lambda: watched(running).get("state") == "ok")
    mails.kill()
    wait_for(lambda: watched(running).get("state") == "failed")
    mails.start()
    wait_for(lambda: watched(running).get("state") == "ok" and watched(running)["value"] == 5)
