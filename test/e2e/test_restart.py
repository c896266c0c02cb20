"""Weir is killed, stopped, started: no replica is lost or doubled because of it."""
import os
import signal
import time

from conftest import manifest, wait_for


def alive(pid):
    try:
        os.kill(int(pid), 0)
        return True
    except ProcessLookupError:
        return False


def test_kill_9_and_adoption(weir, source):
    w = weir()
    source.value = 30
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(3)
    before = w.pids()
    assert len(before) == 3
    for _ in range(3):
        w.kill()
        time.sleep(0.5)
        w.start()
        w.wait_ready(3)
        assert w.pids() == before, "adopted, not doubled"


def test_stop_stops_replicas_and_leave_running_keeps_them(weir, source):
    w = weir("--leave-running")
    source.value = 20
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(2)
    before = w.pids()
    w.stop()
    w.arguments = (w.manifests,)
    w.start()
    w.wait_ready(2)
    assert w.pids() == before
    w.stop()
    wait_for(lambda: not any(alive(p) for words in before.values() for p in words if p.isdigit() and int(p) > 1 and
                             os.path.exists(f"/proc/{p}/cmdline") and "sleep" in open(f"/proc/{p}/cmdline").read()))


def test_a_second_weir_on_the_same_data_dir_is_refused(weir, source):
    w = weir()
    w.write("app.yaml", manifest(source.url))
    w.start()
    second = w.cli("run", str(w.manifests), "--listen", "none")
    assert second.returncode == 1
    assert str(w.data) in second.stderr


def test_cooldown_survives_a_restart(weir, source):
    w = weir()
    source.value = 20
    w.write("app.yaml", manifest(source.url).replace("cooldownPeriod: 2", "cooldownPeriod: 3600"))
    w.start()
    w.wait_ready(2)
    w.kill()
    source.value = 0
    w.start()
    wait_for(lambda: w.object().get("decisions", 0) > 3)
    assert w.object()["specReplicas"] >= 1, "inactive, but the cooldown is not over"
    assert w.object()["reason"] in ("cooldown", "stabilized", "below-target", "at-min")


def test_sighup_looks_at_the_files(weir, source):
    w = weir()
    source.value = 10
    w.write("app.yaml", manifest(source.url))
    w.start()
    w.wait_ready(1)
    w.write("app.yaml", manifest(source.url, target="2"))
    w.process.send_signal(signal.SIGHUP)
    w.wait_ready(5)
