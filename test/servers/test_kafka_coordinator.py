"""kafka, where a group's coordinator says that it is none any more: as real brokers do for moments while they start, and a fake does for ever."""
from conftest import scaled_object, trigger, wait_for
from kafka_fake import KafkaFake


def test_a_coordinator_that_is_none_any_more_is_an_error(weir):
    """The library goes looking for another one; it once did so through a group that it did not have, and took the process down."""
    broker = KafkaFake()
    try:
        running = weir(scaled_object(trigger("kafka", {"bootstrapServers": broker.address, "consumerGroup": "billing", "topic": "orders"}),
                                     pollingInterval=1))
        seen = lambda: (running.object().get("triggers") or [{}])[0]  # noqa: E731
        wait_for(lambda: broker.refused >= 3 and seen().get("state") == "failed", 60)
        assert running.process.poll() is None
        assert "coordinator" in seen()["why"].lower()
    finally:
        broker.close()
