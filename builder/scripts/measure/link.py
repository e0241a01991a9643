"""A slow line to a server on this machine: all that a client sends and gets goes through here, at a bandwidth and with a latency.

In: the server's address, bytes a second in each direction, seconds of a round trip. Out: an address of our own, and the bytes that passed.
All connections share the line, in turn. Half a round trip goes by before anything arrives at the other end, and a whole one while
a connection is made, as with TCP. No packet is lost, and no connection starts slowly. Knows nothing of HTTP.
"""

import asyncio
import contextlib
import selectors
import socket
import threading

PIECE = 64 << 10  # what one connection sends before it is another's turn
WAITING = 0.004  # seconds of work in front of the line, so that it never idles because a timer was late
IN_FLIGHT = 8 << 20  # bytes of one connection on the way, as a receive window allows them: 20 ms at 400 MB/s


class Direction:
    """One direction of the line. Two of them do not slow each other down."""

    def __init__(self, bytes_per_second, seconds):
        self.bytes = 0
        self._rate, self._latency = bytes_per_second, seconds
        self._free_at = 0.0

    def carry(self, tasks, source, sink, opened_at=0.0):
        """Moves all that `source` gives, until its end, to `sink`."""
        on_the_way = asyncio.Queue(IN_FLIGHT // PIECE)
        tasks.create_task(self._send(source, on_the_way, opened_at))
        tasks.create_task(self._arrive(on_the_way, sink))

    async def _send(self, source, on_the_way, opened_at):
        loop = asyncio.get_running_loop()
        piece = b"first"
        while piece:
            piece = await loop.sock_recv(source, PIECE)
            self.bytes += len(piece)
            self._free_at = max(self._free_at, loop.time()) + len(piece) / self._rate
            await on_the_way.put((max(self._free_at, opened_at) + self._latency, piece))
            await asyncio.sleep(self._free_at - WAITING - loop.time())

    async def _arrive(self, on_the_way, sink):
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await on_the_way.get()
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            if not piece:
                sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, piece)


class Link:
    """The line, while it is used in a `with`. Clients connect to `host`."""

    def __init__(self, server, bytes_per_second, round_trip):
        name, _, port = server.rpartition(":")
        self._server, self._round_trip = (name, int(port)), round_trip
        self._up, self._down = (Direction(bytes_per_second, round_trip / 2) for _ in range(2))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.host = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        # select() and not epoll(), whose timers are of whole milliseconds.
        self._loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._accepting = self._loop.create_task(self._accept())
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def received(self):
        """Bytes that clients were sent so far, headers included."""
        return self._down.bytes

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()
        self._listener.close()

    def _run(self):
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)
        self._loop.close()

    async def _accept(self):
        async with asyncio.TaskGroup() as connections:
            while True:
                client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                connections.create_task(self._connect(client))

    async def _connect(self, client):
        loop = asyncio.get_running_loop()
        opened_at = loop.time() + self._round_trip
        with client, socket.socket() as server:
            try:
                for each in client, server:
                    each.setblocking(False)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(server, self._server)
                async with asyncio.TaskGroup() as tasks:
                    self._up.carry(tasks, client, server, opened_at)
                    self._down.carry(tasks, server, client)
            except* OSError:
                pass  # one side has gone; both sockets are closed now, and the other side sees it
