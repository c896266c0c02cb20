"""A fake: as much of a Kafka broker as it takes to refuse a group's offsets, which a real one does for moments only. One node, one topic."""
import socket
import struct
import threading

NOT_COORDINATOR, UNSUPPORTED_VERSION = 16, 35
METADATA, OFFSET_FETCH, FIND_COORDINATOR, API_VERSIONS = 3, 9, 10, 18
SPOKEN = {METADATA: (0, 1), OFFSET_FETCH: (0, 2), FIND_COORDINATOR: (0, 0), API_VERSIONS: (0, 0)}  # the oldest, which are the simplest


def text(words):
    return struct.pack(">h", len(words)) + words.encode()


class KafkaFake:
    """Answers every OffsetFetch by that error code."""

    def __init__(self, error=NOT_COORDINATOR, topic="orders"):
        self.error, self.topic, self.refused = error, topic, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rb") as asked:
            while len(size := asked.read(4)) == 4:
                request = asked.read(struct.unpack(">i", size)[0])
                api, version, correlation = struct.unpack(">hhi", request[:8])
                answer = struct.pack(">i", correlation) + self.answer(api, version)
                connection.sendall(struct.pack(">i", len(answer)) + answer)

    def answer(self, api, version):
        here = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">i", self.port)
        if api == API_VERSIONS:
            spoken = b"".join(struct.pack(">hhh", key, *versions) for key, versions in SPOKEN.items())
            return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(SPOKEN)) + spoken
        if api == METADATA and version == 1:
            partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
            return (struct.pack(">i", 1) + here + struct.pack(">hii", -1, 1, 1) + struct.pack(">h", 0) + text(self.topic) +
                    struct.pack(">?i", False, 1) + partition)
        if api == FIND_COORDINATOR:
            return struct.pack(">h", 0) + here
        if api == OFFSET_FETCH and version == 2:
            self.refused += 1
            return struct.pack(">ih", 0, self.error)
        raise ValueError(f"the fake broker does not speak version {version} of {api}")
