"""A server that means harm, or is broken: for every connection it does one thing, whatever is asked.

    with Hostile(hang) as server: ...      server.port; server.accepted: connections so far; server.open: now
    Hostile(says(b"HTTP/1.1 200 OK\r\n..."))    answers the first bytes with these and keeps quiet
    Hostile(says(b"...", end=True))             and closes
    Hostile(trickles(head, b"x"))               head, then one x after the other, for ever
    Hostile(floods(head, 10 << 20))             head, then so many zero bytes as fast as they are taken
    Hostile(hang), Hostile(deaf), Hostile(closes), Hostile(resets)
"""
import asyncio
import socket
import struct
import threading

TRICKLE_S = 0.1


async def hang(reader, writer):
    while await reader.read(65536):
        pass


async def deaf(reader, writer):
    writer.transport.pause_reading()
    await asyncio.sleep(3600)


async def closes(reader, writer):
    pass


async def resets(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says(*answers, end=False):
    async def act(reader, writer):
        for answer in answers:
            if not await reader.read(65536):
                return
            writer.write(answer)
            await writer.drain()
        if not end:
            await hang(reader, writer)
    return act


def always(answer):
    """To all that comes: a friendly one."""
    async def act(reader, writer):
        while await reader.read(65536):
            writer.write(answer)
            await writer.drain()
    return act


def trickles(head, piece):
    async def act(reader, writer):
        await reader.read(65536)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(TRICKLE_S)
    return act


def floods(head, count, piece=b"0" * 65536):
    async def act(reader, writer):
        await reader.read(65536)
        writer.write(head)
        for _ in range(0, count, len(piece)):
            writer.write(piece)
            await writer.drain()
        await hang(reader, writer)
    return act


class Hostile:
    def __init__(self, act, port=0):
        self.act, self.port, self.accepted, self.open = act, port, 0, 0
        self.loop = asyncio.new_event_loop()
        self.tasks = set()

    async def serve(self, reader, writer):
        self.accepted += 1
        self.open += 1
        self.tasks.add(asyncio.current_task())
        try:
            await self.act(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(asyncio.current_task())
            writer.transport.abort() if self.act is resets else writer.close()

    def __enter__(self):
        async def listen():
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1024)
            self.port = self.server.sockets[0].getsockname()[1]

        self.loop.run_until_complete(listen())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        async def end():
            self.server.close()
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
