"""tds_peer.py PORT USER PASSWORD [CERTIFICATE KEY]: a stand-in that speaks TDS 7.4, as much of it as one query for one value needs. It is
not SQL Server: what it answers to a query stands in ANSWERS. With a certificate it asks for encryption, the handshake wrapped in packets."""
import socket
import ssl
import struct
import sys
import threading
import time
from decimal import Decimal

ANSWERS = {  # query: columns' types, rows
    "SELECT count(*) FROM jobs": (["int"], [[3]]),
    "SELECT big": (["bigint"], [[2 ** 53]]),
    "SELECT tiny": (["tinyint"], [[200]]),
    "SELECT float": (["float"], [[2.5]]),
    "SELECT decimal": (["decimal"], [[Decimal("-12.25")]]),
    "SELECT text": (["nvarchar"], [["12.5"]]),
    "SELECT padded": (["nvarchar"], [["7     "]]),
    "SELECT rows": (["int"], [[1], [2], [3]]),
    "SELECT many rows": (["int"], [[index] for index in range(5000)]),
    "SELECT none": (["int"], []),
    "SELECT null": (["int"], [[None]]),
    "SELECT two": (["int", "int"], [[1, 2]]),
    "SELECT word": (["nvarchar"], [["many"]]),
    "SELECT bit": (["bit"], [[1]]),
    "SELECT date": (["datetime"], [[0]]),
}
DONE, ERROR, LOGINACK, COLUMNS, ROW = 0xFD, 0xAA, 0xAD, 0x81, 0xD1


def short_text(text):
    return bytes([len(text)]) + text.encode("utf-16-le")


def done(status=0, rows=0):
    return struct.pack("<BHHQ", DONE, status, 0xC1, rows)


def error(number, text, severity=16):
    body = struct.pack("<IBBH", number, 1, severity, len(text)) + text.encode("utf-16-le") + short_text("peer") + short_text("")
    body += struct.pack("<I", 1)
    return struct.pack("<BH", ERROR, len(body)) + body + done(2)


def type_info(name):
    whole = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
    if name in whole:
        return bytes([0x26, whole[name]])
    return {"float": bytes([0x6D, 8]), "bit": bytes([0x68, 1]), "datetime": bytes([0x6F, 8]), "decimal": bytes([0x6A, 17, 20, 2]),
            "nvarchar": struct.pack("<BH", 0xE7, 200) + bytes([9, 4, 0xD0, 0, 0x34])}[name]


def cell(name, value):
    if name == "nvarchar":
        return b"\xff\xff" if value is None else struct.pack("<H", 2 * len(value)) + value.encode("utf-16-le")
    if value is None:
        return b"\0"
    if name == "decimal":
        return bytes([17, value >= 0]) + abs(int(value * 100)).to_bytes(16, "little")
    if name in ("float", "datetime"):
        return b"\x08" + (struct.pack("<d", value) if name == "float" else bytes(8))
    size = {"tinyint": 1, "bit": 1, "smallint": 2, "int": 4, "bigint": 8}[name]
    return bytes([size]) + value.to_bytes(size, "little", signed=name not in ("tinyint", "bit"))


def result(types, rows):
    out = struct.pack("<BH", COLUMNS, len(types))
    for index, name in enumerate(types):
        out += struct.pack("<IH", 0, 9) + type_info(name) + short_text(f"c{index}")
    for row in rows:
        out += bytes([ROW]) + b"".join(map(cell, types, row))
    return out + done(0x10, len(rows))


class Peer:
    def __init__(self, sock, user, password, context):
        self.sock, self.user, self.password, self.context = sock, user, password, context
        self.tls = self.incoming = self.outgoing = None

    def exactly(self, count, read):
        data = b""
        while len(data) < count:
            more = read(count - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def plain(self, count):
        return self.exactly(count, self.sock.recv)

    def secret(self, count):
        def read(wanted):
            while True:
                try:
                    return self.tls.read(wanted)
                except ssl.SSLWantReadError:
                    more = self.sock.recv(65536)
                    if not more:
                        return b""
                    self.incoming.write(more)
        return self.exactly(count, read)

    def packet(self):
        """(type, body) of the next message, its packets put together."""
        read = self.secret if self.tls else self.plain
        body = b""
        while True:
            kind, status, length = struct.unpack(">BBH4x", read(8))
            body += read(length - 8)
            if status & 1:
                return kind, body

    def send(self, body, kind=4):
        for at in range(0, max(len(body), 1), 4000):
            part = body[at:at + 4000]
            frame = struct.pack(">BBHHBB", kind, at + 4000 >= len(body), len(part) + 8, 0, 1, 0) + part
            if self.tls:
                self.tls.write(frame)
                frame = self.outgoing.read()
            self.sock.sendall(frame)

    def handshake(self):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            if self.outgoing.pending:
                self.send(self.outgoing.read(), 0x12)
            if finished:
                self.tls = tls
                return
            self.incoming.write(self.packet()[1])

    def login(self, body):
        def text(at):
            offset, count = struct.unpack_from("<HH", body, at)
            return body[offset:offset + 2 * count]
        hidden = bytes(((byte ^ 0xA5) << 4 & 0xF0) | (byte ^ 0xA5) >> 4 for byte in text(44))
        return text(40).decode("utf-16-le") == self.user and hidden.decode("utf-16-le") == self.password

    def serve(self):
        self.packet()  # what it would like
        self.send(struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes([16, 0, 0, 0, 0, 0]) + bytes([1 if self.context else 2]))
        if self.context:
            self.handshake()
        if not self.login(self.packet()[1]):
            self.send(error(18456, f"Login failed for user '{self.user}'.", 14))
            return
        ack = bytes([1]) + struct.pack(">I", 0x74000004) + short_text("peer") + bytes([16, 0, 0, 0])
        self.send(struct.pack("<BH", LOGINACK, len(ack)) + ack + done())
        while True:
            kind, body = self.packet()
            if kind != 1:
                self.send(done(0x20))
                continue
            query = body[struct.unpack_from("<I", body)[0]:].decode("utf-16-le").strip()
            if query == "WAITFOR DELAY '1:00'":
                time.sleep(60)
            if query == "HANG UP":
                return
            if query in ANSWERS:
                self.send(result(*ANSWERS[query]))
            elif query == "SELECT secret":
                self.send(error(229, "The SELECT permission was denied on the object 'secret'.", 14))
            elif query.startswith("SET"):
                self.send(done())
            else:
                self.send(error(208, f"Invalid object name '{query.split()[-1]}'."))


def serve(sock, *login):
    try:
        with sock:
            Peer(sock, *login).serve()
    except (OSError, ValueError, struct.error):
        pass


def main(port, user, password, certificate=None, key=None):
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # the records of 1.3 that come after the handshake have no packet to be in
        context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, user, password, context), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
