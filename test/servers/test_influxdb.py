"""influxdb: Flux, and InfluxQL by the older API, on InfluxDB 1.8."""
import pytest

from conftest import ask, failed, value
from influxdb_server import influxdb, open_influxdb  # noqa: F401

pytestmark = pytest.mark.heavy  # it is built from source: a minute


def flux(measurement, more="|> last()"):
    return f'from(bucket: "shop/autogen") |> range(start: -1h) |> filter(fn: (r) => r._measurement == "{measurement}") {more}'


def parts(server, query, **more):
    return {"serverURL": server.url, "organizationName": "any", "query": query, "thresholdValue": 5, **more}


def v3(server, query, **more):
    return {"serverURL": server.url, "influxVersion": 3, "database": "shop", "metricKey": "length", "query": query, "thresholdValue": 5,
            **more}


def auth(server):
    return {"authToken": server.token}


def test_value_and_activation(influxdb):
    influxdb.write("queue length=12.5")
    for limit, active in ((12, True), (13, False)):
        seen = ask("influxdb", parts(influxdb, flux("queue"), activationThresholdValue=limit), auth(influxdb))
        assert (seen["value"], seen["active"]) == (12.5, active)


def test_types(influxdb):
    influxdb.write('types whole=7i,words="abc",yes=true,null=1')
    of = 'filter(fn: (r) => r._field == "{}") |> last()'
    assert value("influxdb", parts(influxdb, flux("types", "|> " + of.format("whole"))), auth(influxdb)) == 7
    assert "string" in failed("influxdb", parts(influxdb, flux("types", "|> " + of.format("words"))), auth(influxdb))
    assert "boolean" in failed("influxdb", parts(influxdb, flux("types", "|> " + of.format("yes"))), auth(influxdb))
    assert "unsignedLong" in failed("influxdb", parts(influxdb, flux("types", "|> " + of.format("whole") + "|> toUInt()")), auth(influxdb))
    assert "no column _value" in failed("influxdb", parts(influxdb, flux("types", '|> drop(columns: ["_value"])')), auth(influxdb))


def test_no_rows(influxdb):
    assert ask("influxdb", parts(influxdb, flux("nothing")), auth(influxdb))["state"] == "missing"


def test_bad_query_and_bucket(influxdb):
    assert failed("influxdb", parts(influxdb, "from(bucket:"), auth(influxdb))
    assert failed("influxdb", parts(influxdb, 'from(bucket: "other/x") |> range(start: -1h)'), auth(influxdb))


def test_influxql_of_an_older_server(open_influxdb):
    """It has the API of version 1 alone, and there the token of version 3 would be none: this one asks nobody who he is."""
    open_influxdb.write("lines length=3 1")
    open_influxdb.write("lines length=4 2")
    assert value("influxdb", v3(open_influxdb, "SELECT length FROM lines")) == 4
    assert ask("influxdb", v3(open_influxdb, "SELECT length FROM nothing"))["state"] == "missing"
    assert "no column other" in failed("influxdb", v3(open_influxdb, "SELECT length FROM lines", metricKey="other"))
    assert "database not found" in failed("influxdb", v3(open_influxdb, "SELECT length FROM lines", database="no"))
    assert failed("influxdb", v3(open_influxdb, "SELECT length FRM lines"))
    assert "404" in failed("influxdb", v3(open_influxdb, "SELECT 1", queryType="FlightSQL"))


def test_rotated(influxdb):
    influxdb.write("turn length=2")
    old = auth(influxdb)
    influxdb.password("other")
    assert "401" in failed("influxdb", parts(influxdb, flux("turn")), old)
    assert value("influxdb", parts(influxdb, flux("turn")), auth(influxdb)) == 2


def test_tls(influxdb, nginx):
    influxdb.write("tls length=9")
    front = nginx(influxdb.url)
    there = {**parts(influxdb, flux("tls")), "serverURL": front.tls}
    assert "certificate" in failed("influxdb", there, auth(influxdb))
    assert value("influxdb", {**there, "unsafeSsl": True}, auth(influxdb)) == 9


def test_stopped_and_back(influxdb):
    influxdb.write("back length=8")
    influxdb.kill()
    assert str(influxdb.port) in failed("influxdb", parts(influxdb, flux("back")), auth(influxdb))
    influxdb.start()
    assert value("influxdb", parts(influxdb, flux("back")), auth(influxdb)) == 8
