"""A WebSocket through the proxy: the client asks for a tunnel and upgrades within it.

Argument: the proxy's port. Client and server are the same library; between them is nothing but the proxy.
"""
import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedOK

PROXY = f"http://127.0.0.1:{sys.argv[1]}"


async def echo(socket):
    async for message in socket:
        if message == "close":
            await socket.close(4001, "as asked")
        else:
            await socket.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/chat"
        async with connect(url, proxy=PROXY, max_size=None) as socket:
            assert socket.transport.get_extra_info("peername")[1] == int(sys.argv[1])
            for message in ("hello", "", os.urandom(1), os.urandom(3_000_000), "x" * 100_000):
                await socket.send(message)
                assert await socket.recv() == message
            pong = await socket.ping()
            await asyncio.wait_for(pong, 60)
            await socket.send("close")
            try:
                await socket.recv()
            except ConnectionClosedOK:
                raise AssertionError("4001 is no ordinary end")
            except Exception as error:
                assert error.rcvd.code == 4001 and error.rcvd.reason == "as asked", error
        # Many at once.
        async def one(n):
            async with connect(url, proxy=PROXY) as socket:
                await socket.send(f"{n}")
                assert await socket.recv() == f"{n}"
        await asyncio.gather(*(one(n) for n in range(50)))
    print("ok")


asyncio.run(asyncio.wait_for(main(), 60))
