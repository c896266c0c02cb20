"""clickhouse on a real server: native protocol, the same over TLS, and HTTP."""
import pytest

from clickhouse_server import clickhouse  # noqa: F401
from conftest import ask, failed, scaled_object, trigger, value, wait_for

COUNT = "SELECT count() FROM jobs WHERE state = 'waiting'"


def parts(server, query=COUNT, **more):
    return {"host": "127.0.0.1", "port": server.native, "username": "weir", "query": query, "targetQueryValue": 5, **more}


def by_string(scheme, server, query=COUNT, options="", user="weir:s3cret", auth=None):
    port = {"clickhouse": server.native, "http": server.http}[scheme]
    return ask("clickhouse", {"query": query, "targetQueryValue": 5},
               {"connectionString": f"{scheme}://{user}@127.0.0.1:{port}/default{options}", **(auth or {})})


def test_count_and_activation(clickhouse):
    clickhouse.sql("INSERT INTO jobs VALUES ('waiting'), ('waiting'), ('waiting'), ('done')")
    seen = [ask("clickhouse", parts(clickhouse, activationTargetQueryValue=limit), {"password": "s3cret"}) for limit in (2, 3, 4)]
    assert [one["value"] for one in seen] == [3, 3, 3]
    assert seen[0]["active"] and not seen[2]["active"]
    assert by_string("clickhouse", clickhouse)["value"] == by_string("http", clickhouse)["value"] == 3


NUMBERS = [("toUInt8(7)", 7), ("toInt64(-5)", -5), ("toFloat64(2.5)", 2.5), ("toFloat32(0.5)", 0.5), ("'12.5'", 12.5),
           ("toDecimal64(1.25, 3)", 1.25), ("toDecimal128(-7.5, 2)", -7.5), ("toUInt64(18446744073709551615)", 18446744073709551615),
           ("toNullable(4)", 4), ("toFixedString('31', 8)", 31), ("number FROM system.numbers LIMIT 100000", 0)]


@pytest.mark.parametrize("expression, expected", NUMBERS)
def test_numbers(clickhouse, expression, expected):
    assert value("clickhouse", parts(clickhouse, f"SELECT {expression}"), {"password": "s3cret"}) == pytest.approx(expected)


@pytest.mark.parametrize("expression, expected", [pair for pair in NUMBERS if "Fixed" not in pair[0]])
def test_numbers_over_http(clickhouse, expression, expected):
    seen = by_string("http", clickhouse, f"SELECT {expression}")
    assert (seen["state"], seen["value"]) == ("ok", pytest.approx(expected)), seen


NOT_NUMBERS = [("SELECT NULL", "NULL"), ("SELECT 1, 2", "2 columns"), ("SELECT 'many'", "not a number"), ("SELECT today()", ""),
               ("SELECT count() FROM nowhere", "nowhere"), ("SELEKT 1", "yntax"), ("SELECT [1]", "")]


@pytest.mark.parametrize("scheme", ["clickhouse", "http"])
@pytest.mark.parametrize("query, words", NOT_NUMBERS)
def test_what_is_no_number(clickhouse, scheme, query, words):
    seen = by_string(scheme, clickhouse, query)
    assert seen["state"] == "failed" and words in seen["error"], seen


@pytest.mark.parametrize("scheme", ["clickhouse", "http"])
def test_no_row_and_nan_are_missing(clickhouse, scheme):
    assert by_string(scheme, clickhouse, "SELECT 1 WHERE 0")["state"] == "missing"
    assert by_string("clickhouse", clickhouse, "SELECT 0 / 0")["state"] == "missing"


def test_wrong_password(clickhouse):
    assert "code 19" in failed("clickhouse", parts(clickhouse), {"password": "other"})
    assert by_string("http", clickhouse, user="weir:other")["state"] == "failed"
    assert "no-such-secret" not in by_string("clickhouse", clickhouse, user="weir:no-such-secret")["error"]


def test_a_user_who_may_only_read(clickhouse):
    assert by_string("clickhouse", clickhouse, "SELECT 6", user="reader:r")["value"] == 6
    assert by_string("http", clickhouse, "SELECT 6", user="reader:r")["value"] == 6


def test_settings_of_the_string(clickhouse):
    for scheme in ("clickhouse", "http"):
        seen = by_string(scheme, clickhouse, "SELECT toUInt64(value) FROM system.settings WHERE name = 'max_threads'", "?max_threads=3")
        assert seen["value"] == 3, seen
    assert by_string("clickhouse", clickhouse, "SELECT 1", "?no_such_setting=1")["state"] == "failed"


def test_tls(clickhouse, pki):
    there = {**parts(clickhouse, "SELECT 8"), "port": clickhouse.tls, "host": "localhost"}
    auth = {"password": "s3cret", "tls": True}
    assert value("clickhouse", there, {**auth, "ca": pki.text("ca.crt")}) == 8
    assert value("clickhouse", there, {**auth, "unsafeSsl": True}) == 8
    assert "certificate" in failed("clickhouse", there, {**auth, "ca": pki.text("wrong-ca.crt")})
    assert failed("clickhouse", {**there, "port": clickhouse.native}, {**auth, "ca": pki.text("ca.crt")})
    assert failed("clickhouse", there, {"password": "s3cret"})  # plain, where TLS is spoken


def test_stopped_in_the_middle_and_back(clickhouse, weir):
    running = weir(scaled_object(trigger("clickhouse", parts(clickhouse, "SELECT 11"), {"password": "s3cret"}), pollingInterval=1,
                                 maxReplicaCount=3))

    def state():
        return running.object("app")["triggers"][0]

    wait_for(lambda: state().get("value") == 11, 20)
    clickhouse.stop()
    wait_for(lambda: state()["state"] == "failed", 30)
    clickhouse.start()
    wait_for(lambda: state()["state"] == "ok", 40)


def test_a_server_that_hangs(clickhouse):
    clickhouse.pause()
    try:
        assert "within" in failed("clickhouse", parts(clickhouse), {"password": "s3cret"})
    finally:
        clickhouse.resume()
    assert value("clickhouse", parts(clickhouse, "SELECT 1"), {"password": "s3cret"}) == 1


def test_rotated_password(clickhouse):
    clickhouse.password = "n3xt"
    clickhouse.restart()
    assert failed("clickhouse", parts(clickhouse, "SELECT 1"), {"password": "s3cret"})
    assert value("clickhouse", parts(clickhouse, "SELECT 1"), {"password": "n3xt"}) == 1
    clickhouse.password = "s3cret"
    clickhouse.restart()
