"""The engine keda-hpa of `weir simulate` against the real thing (live_hpa.py). The controller's phase is its own, so moments may lie a
sync, a poll and a start apart; which counts follow each other may not differ."""
from live_hpa import POLL_S, SYNC_S

APART_S = SYNC_S + POLL_S + 5


def test_engine_is_as_the_controller(live_hpa):
    told = live_hpa.result()
    assert len(told) == 4
    for name, (real, said) in told.items():
        assert [count for _, count in real] == [count for _, count in said], (name, real, said)
        assert all(abs(a - b) <= APART_S for (a, _), (b, _) in zip(real, said)), (name, real, said)
