"""A client of httpx: python3 client.py http://HOST:PORT"""

import asyncio
import sys

import httpx

BASE = sys.argv[1]
LARGE = bytes(range(256)) * (2 << 20 >> 8)


async def main():
    async with httpx.AsyncClient(http1=False, http2=True, base_url=BASE, timeout=60) as client:
        hello = await client.get("/hello")
        assert hello.http_version == "HTTP/2" and hello.status_code == 200, hello
        assert hello.text == "hello" and hello.headers["content-length"] == "5"

        many = await asyncio.gather(*(client.get("/hello") for _ in range(90)))
        assert all(one.text == "hello" for one in many)

        echo = await client.post("/echo", content=LARGE)
        assert echo.content == LARGE

        async def pieces():
            for start in range(0, len(LARGE), 10_000):
                yield LARGE[start : start + 10_000]

        large, counted = await asyncio.gather(client.get("/large"), client.post("/count", content=pieces()))
        assert len(large.content) == 8 << 20
        assert counted.text == f"{len(LARGE)} none", counted.text

        head = await client.head("/hello")
        assert head.headers["content-length"] == "5" and head.content == b""
        missing = await client.get("/missing")
        assert missing.status_code == 404

        # Cancelled, and the connection goes on.
        try:
            await client.get("/never", timeout=httpx.Timeout(60, read=0.2))
            raise AssertionError("it was answered")
        except httpx.ReadTimeout:
            pass
        assert (await client.get("/hello")).text == "hello"


asyncio.run(main())
print("fine")
