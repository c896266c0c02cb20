"""postgresql on a real PostgreSQL: what a query may give, logins, TLS, a server that goes and comes, connections that are shared."""
import time

import pytest

from conftest import ask, failed, scaled_object, trigger, value, wait_for
from postgresql_server import postgresql  # noqa: F401
from test_redis import seen_value

PASSWORD = {"password": "apppw"}


@pytest.fixture(autouse=True)
def filled(postgresql):
    if not postgresql.pid:
        postgresql.start()
    postgresql.sql("DROP TABLE IF EXISTS jobs; CREATE TABLE jobs (n int); GRANT ALL ON jobs TO app; "
                   "INSERT INTO jobs SELECT generate_series(1, 7)", "shop")


def asking(postgresql, query="SELECT count(*) FROM jobs", **more):
    return postgresql.parts(query=query, targetQueryValue=2, **more)


# ---- values

@pytest.mark.parametrize("query, expected", [
    ("SELECT count(*) FROM jobs", 7), ("SELECT 2.5", 2.5), ("SELECT '12'", 12), ("SELECT -3", -3), ("SELECT n FROM jobs ORDER BY n DESC", 7),
    ("SELECT 1e3::float8", 1000), ("SELECT generate_series(1, 100000000)", 1), ("SELECT count(*)::int2 FROM jobs WHERE n > 5;", 2)])
def test_values(postgresql, query, expected):
    assert value("postgresql", asking(postgresql, query), PASSWORD) == expected


@pytest.mark.parametrize("threshold, active", [(6, True), (7, False), (7.5, False)])
def test_activation_is_strict(postgresql, threshold, active):
    seen = ask("postgresql", asking(postgresql, activationTargetQueryValue=threshold), PASSWORD)
    assert (seen["value"], seen["active"], seen["target"]) == (7, active, 2)


@pytest.mark.parametrize("query, words", [
    ("SELECT n FROM jobs WHERE n > 100", "no row"), ("SELECT NULL", "NULL"), ("SELECT 1, 2", "has to give one"),
    ("SELECT 'many'", "not a number"), ("SELECT count(*) FROM absent", "absent"), ("SELEC", "syntax"), ("SELECT true", "not a number"),
    ("SELECT 1; SELECT 2", "multiple commands"), ("INSERT INTO jobs VALUES (8)", "refuses")])
def test_what_is_no_value(postgresql, query, words):
    assert words in failed("postgresql", asking(postgresql, query), PASSWORD)


def test_no_number_at_all(postgresql):
    assert ask("postgresql", asking(postgresql, "SELECT 'NaN'::float8"), PASSWORD)["state"] == "missing"


# ---- logins, TLS

def test_who_may_not(postgresql):
    said = failed("postgresql", asking(postgresql), {"password": "wrong-pw"})
    assert "authentication failed" in said and "wrong-pw" not in said
    assert "does not exist" in failed("postgresql", asking(postgresql, dbName="absent"), PASSWORD)
    assert "permission denied" in failed("postgresql", asking(postgresql, userName="other"), {"password": "otherpw"})


def test_a_connection_text(postgresql, pki):
    place = f"host=127.0.0.1 port={postgresql.port} user=app dbname=shop"
    url = f"postgresql://app:apppw@127.0.0.1:{postgresql.port}/shop?sslmode=require"
    query = {"query": "SELECT count(*) FROM jobs", "targetQueryValue": 2}
    assert value("postgresql", query, {"connection": f"{place} password=apppw"}) == 7
    assert value("postgresql", query, {"connection": url}) == 7
    tls = {"connection": f"{place} password=apppw sslmode=verify-full"}
    assert value("postgresql", query, {**tls, "ca": pki.text("ca.crt")}) == 7
    assert "certificate" in failed("postgresql", query, {**tls, "ca": pki.text("wrong-ca.crt")})
    assert "certificate" in failed("postgresql", query, tls)  # the system does not know our authority
    identity = {"cert": pki.text("client.crt"), "key": pki.text("client.key")}
    assert value("postgresql", query, {"connection": f"{place} password=apppw sslmode=require", **identity}) == 7
    encrypted = {**identity, "key": pki.text("client-encrypted.key"), "keyPassword": "key-password"}
    assert value("postgresql", query, {"connection": f"{place} password=apppw sslmode=require", **encrypted}) == 7
    assert "key" in failed("postgresql", query, {"connection": f"{place} password=apppw sslmode=require",
                                                 **identity, "key": pki.text("wrong-client.key")})
    assert "apppw" not in failed("postgresql", query, {"connection": url.replace("/shop", "/absent")})


def test_nothing_of_the_machine_speaks_for_a_manifest(postgresql, monkeypatch, tmp_path, pki):
    """Weir's own environment and files: a password for who gave none, another server, other ways to speak."""
    query = {"query": "SELECT count(*) FROM jobs", "targetQueryValue": 2}
    place = f"host=127.0.0.1 port={postgresql.port} user=app dbname=shop"
    passwords, services = tmp_path / "passwords", tmp_path / "services"
    passwords.write_text("*:*:*:*:apppw\n")
    passwords.chmod(0o600)
    services.write_text("[production]\nhostaddr=127.0.0.9\npassword=apppw\nsslmode=verify-full\n")
    for name, word in {"PGPASSWORD": "apppw", "PGPASSFILE": passwords, "PGSERVICEFILE": services, "PGSERVICE": "production",
                       "PGHOSTADDR": "127.0.0.9", "PGPORT": 1, "PGUSER": "postgres", "PGDATABASE": "absent", "PGSSLMODE": "verify-full",
                       "PGSSLROOTCERT": pki.path("wrong-ca.crt"), "PGOPTIONS": "-c search_path=nowhere", "PGGSSENCMODE": "require",
                       "PGCHANNELBINDING": "require", "PGTARGETSESSIONATTRS": "standby", "PGCLIENTENCODING": "nonsense"}.items():
        monkeypatch.setenv(name, str(word))
    assert "no password supplied" in failed("postgresql", query, {"connection": place})
    assert value("postgresql", query, {"connection": f"{place} password=apppw"}) == 7
    assert value("postgresql", asking(postgresql), PASSWORD) == 7


# ---- time

def test_a_slow_query(postgresql):
    began = time.monotonic()
    assert "statement timeout" in failed("postgresql", asking(postgresql, "SELECT 1 FROM pg_sleep(60)"), PASSWORD)
    assert time.monotonic() - began < 15


def objects(postgresql, count, auth=PASSWORD, **more):
    return "".join(scaled_object(trigger("postgresql", asking(postgresql, f"SELECT count(*) + {number} FROM jobs", **more), auth),
                                 name=f"app-{number}", pollingInterval=1) for number in range(count))


def test_connections_are_shared_and_kept(postgresql, weir):
    running = weir(objects(postgresql, 20))
    wait_for(lambda: all(seen_value(running, f"app-{number}") == (7 + number, "ok") for number in range(20)), 20, 0.5)
    before = postgresql.sql("SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'app'")
    assert 1 <= postgresql.connections("app") <= 2
    time.sleep(3)
    assert postgresql.sql("SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'app'") == before
    running.stop()
    wait_for(lambda: postgresql.connections("app") == 0, 10)


def test_what_a_query_sets_is_not_the_next_ones(postgresql, weir):
    """One of two objects on the same connection parameters would hide the other's table."""
    mischief = scaled_object(trigger("postgresql", asking(postgresql, "SELECT length(set_config('search_path', 'nowhere', false))"), PASSWORD),
                             name="mischief", pollingInterval=1)
    running = weir(objects(postgresql, 3) + mischief)
    wait_for(lambda: seen_value(running, "mischief") == (7, "ok"), 20)
    for _ in range(20):
        time.sleep(0.2)
        assert seen_value(running, "app-0")[1] in ("ok", None)
    assert seen_value(running, "app-0") == (7, "ok")


def test_server_stops_and_comes_back(postgresql, weir):
    running = weir(objects(postgresql, 10))
    wait_for(lambda: seen_value(running, "app-9") == (16, "ok"), 20)
    postgresql.stop()
    wait_for(lambda: all(seen_value(running, f"app-{number}")[1] == "failed" for number in range(10)), 20)
    postgresql.start()
    wait_for(lambda: all(seen_value(running, f"app-{number}") == (7 + number, "ok") for number in range(10)), 20)


def test_password_is_rotated(postgresql, weir):
    running = weir(objects(postgresql, 3))
    try:
        wait_for(lambda: seen_value(running, "app-2") == (9, "ok"), 20)
        postgresql.sql("ALTER USER app PASSWORD 'new'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
        wait_for(lambda: seen_value(running, "app-2")[1] == "failed", 20)
        (running.arguments[0] / "app.yaml").write_text(objects(postgresql, 3, {"password": "new"}))
        wait_for(lambda: all(seen_value(running, f"app-{number}") == (7 + number, "ok") for number in range(3)), 20)
    finally:
        postgresql.sql("ALTER USER app PASSWORD 'apppw'")
