"""The requests that servers are measured with, and how their answers are read."""

# What Chrome sends with a first visit, 13 fields.
BROWSER = {
    "Connection": "keep-alive",
    "sec-ch-ua": '"Not)A;Brand";v="8", "Chromium";v="138", "Google Chrome";v="138"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
}

CHUNK, CHUNKS = 1024, 8


def get(authority, target="/", fields=None):
    """A GET with Host and these fields."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {authority}", *(f"{name}: {value}" for name, value in (fields or {}).items())]
    return "".join(line + "\r\n" for line in [*lines, ""]).encode()


def upload(authority):
    """A chunked POST of 8 KiB."""
    head = f"POST /upload HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n%s\r\n" % (CHUNK, b"x" * CHUNK)
    return head + chunk * CHUNKS + b"0\r\n\r\n"


def receive(connection, answers=1):
    """Reads so many answers with a Content-Length, which all have to be 200, and returns their bytes."""
    held, at = b"", 0
    while answers:
        end = held.find(b"\r\n\r\n", at) + 4
        if end >= 4:
            head = held[at:end].lower()
            if not head.startswith(b"http/1.1 200 ") or b"\r\ncontent-length:" not in head:
                raise RuntimeError(f"not an answer to measure: {head!r}")
            length = int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
            if len(held) >= end + length:
                at, answers = end + length, answers - 1
                continue
        piece = connection.recv(1 << 20)
        if not piece:
            raise RuntimeError(f"the connection was closed after {held!r}")
        held += piece
    if at != len(held):
        raise RuntimeError(f"more than was asked for: {held[at:]!r}")
    return held
