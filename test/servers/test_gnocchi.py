"""openstack-metric against a real Gnocchi and a real Keystone."""
import uuid

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from gnocchi_server import gnocchi, postgresql  # noqa: F401

pytestmark = pytest.mark.heavy


def parts(gnocchi, metric, **more):
    return {"metricsURL": gnocchi.url, "metricID": metric, "aggregationMethod": "mean", "granularity": 86400, "threshold": 10, **more}


def test_last_measure(gnocchi):
    metric = gnocchi.metric({0: 3, -2880: 100})
    seen = ask("openstack-metric", parts(gnocchi, metric, activationThreshold=2.5), gnocchi.users.password())
    assert (seen["state"], seen["value"], seen["active"], seen["target"]) == ("ok", 3, True, 10)
    for above in (3, 4):
        seen = ask("openstack-metric", parts(gnocchi, metric, activationThreshold=above), gnocchi.users.password())
        assert (seen["value"], seen["active"]) == (3, False)
    assert value("openstack-metric", parts(gnocchi, metric, aggregationMethod="max"), gnocchi.users.application()) == 3


def test_no_measures_are_missing(gnocchi):
    for measures in ({}, {-4320: 7}):
        seen = ask("openstack-metric", parts(gnocchi, gnocchi.metric(measures)), gnocchi.users.password())
        assert (seen["state"], seen.get("value")) != ("ok", 0) and seen["state"] == "missing"


def test_no_failure_is_a_number(gnocchi):
    metric, sign_in = gnocchi.metric({0: 3}), gnocchi.users.password
    assert "404" in failed("openstack-metric", parts(gnocchi, uuid.uuid4()), sign_in())
    assert "401" in failed("openstack-metric", parts(gnocchi, metric), sign_in(password="other"))
    assert "40" in failed("openstack-metric", parts(gnocchi, metric, aggregationMethod="median"), sign_in())
    assert "40" in failed("openstack-metric", parts(gnocchi, metric, granularity=60), sign_in())


def test_away_and_back_and_tokens_that_are_not_good_any_more(gnocchi, weir):
    metric = gnocchi.metric({0: 3})
    running = weir(scaled_object(trigger("openstack-metric", parts(gnocchi, metric), gnocchi.users.password()), pollingInterval=1))
    seen = lambda: running.object("app")["triggers"][0]  # noqa: E731
    wait_for(lambda: seen().get("value") == 3, 20)
    gnocchi.stop()
    wait_for(lambda: seen()["state"] == "failed", 20)
    gnocchi.users.keystone.forget_tokens()
    gnocchi.start()
    wait_for(lambda: seen()["state"] == "ok" and seen()["value"] == 3, 20)
