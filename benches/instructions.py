#!/usr/bin/env python3
"""User-space instructions and heap allocations per request of an HTTP server on loopback, or per call of a function.

    benches/instructions.py [--workload NAME] [--tls] [--origin HOST:PORT] [--streams CxS] [--path PATH]
        [--profile FILE] PORT PROGRAM [ARGUMENT...]
    benches/instructions.py [--profile FILE] calls PROGRAM [ARGUMENT...]

Runs the program twice under callgrind, for two numbers of requests over 64 keep-alive connections; the difference is the
cost of a request, free of start-up and of noise. Needs valgrind. The program has to stop at SIGTERM. Build it with
CARGO_INCREMENTAL=0: an incremental release build costs 4 to 9% more instructions.

Workloads: `hello` is a GET with nothing but Host, `browser` one with 13 more fields of a real browser, `pipelined` 16 of
the first kind in one segment, `upload` a POST of 8 KiB in 8 chunks to /upload, `absolute` a GET in absolute-form for the
origin, which has to run already. Answers have a Content-Length. `tunnels` are asked for by CONNECT, carry a byte there and
back, and are closed, 16 at a time. `h2` is a GET over HTTP/2, by h2load: 32 at a time on each of 16 connections, or as
--streams says. `full` and `resumed` are handshakes of TLS 1.3, 4 at a time, each with one request, the latter with the
ticket of one before. --tls is for the requests of a server behind TLS.

With `calls` for a port, the program is no server: it is told the number as its last argument, and ends by itself.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from driver import loads, requests

CONNECTIONS = 64
FEW, MANY = 1280, 6400
# Handshakes, and bodies of 1 MiB, take as many instructions as hundreds of small requests.
FEW_LARGE, MANY_LARGE = 128, 640
# Calls of functions take few.
FEW_CALLS, MANY_CALLS = 12_800, 64_000
PIPELINED = 16
# Where tunnels lead to.
TARGET = 28099

# What is sent at once, and how many requests that is.
WORKLOADS = {
    "hello": lambda host, origin: (requests.get(host), 1),
    "browser": lambda host, origin: (requests.get(host, fields=requests.BROWSER), 1),
    "pipelined": lambda host, origin: (requests.get(host) * PIPELINED, PIPELINED),
    "upload": lambda host, origin: (requests.upload(host), 1),
    "absolute": lambda host, origin: (requests.get(origin, f"http://{origin}/"), 1),
}


def connect(port, server):
    """The first connection to a server that is still starting."""
    for _ in range(1200):
        if server.poll() is not None:
            raise SystemExit(f"the program stopped with {server.returncode}: {server.stderr.read().decode()[-2000:]}")
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def load(port, server, batch, size, tls, count):
    """Sends `count` requests, in batches of `size`, on all connections in turn."""
    connect(port, server).close()
    connections = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(CONNECTIONS)]
    if tls:
        context = loads.client_context()
        connections = [context.wrap_socket(connection) for connection in connections]
    for _ in range(count // CONNECTIONS // size):
        for connection in connections:
            connection.sendall(batch)
        for connection in connections:
            requests.receive(connection, size)


def tunnels(port, server, count):
    """Opens and closes `count` tunnels, so many at a time."""
    connect(port, server).close()
    with loads.Target(loads.echo, TARGET):
        for _ in range(count // loads.RATE_TUNNELS):
            opened = [loads.open_tunnel("connect", port, TARGET) for _ in range(loads.RATE_TUNNELS)]
            for tunnel in opened:
                loads.exchange_byte(tunnel)
            for tunnel in opened:
                tunnel.close()


def streams(port, server, args, count):
    """Requests over HTTP/2."""
    connect(port, server).close()
    connections, at_a_time = map(int, args.streams.split("x"))
    loads.h2load(port, connections, at_a_time, args.path, "https" if args.tls else "http", count=count)


def handshakes(port, server, resumed, count):
    """Handshakes of TLS."""
    connect(port, server).close()
    loads.handshakes(port, resumed, count=count)


def serve(port, program, work, count):
    """The whole run of a server."""
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        work(port, server, count)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate()


def call(program, count):
    """The whole run of a program that ends."""
    result = subprocess.run([*program, str(count)], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"the program failed: {result.stderr[-2000:]}")


def totals(text):
    """The instructions and allocations in a profile of callgrind."""
    instructions = int(re.findall(r"^(?:summary|totals): (\d+)", text, re.M)[-1])
    # callgrind names a function once and then refers to it by number.
    numbers = re.findall(r"^c?fn=\((\d+)\) (?:malloc|calloc|realloc|posix_memalign|aligned_alloc)$", text, re.M)
    calls = re.findall(r"^cfn=\((\d+)\).*\n(?:c(?:ob|fi|fl)=.*\n)*calls=(\d+)", text, re.M)
    return instructions, sum(int(count) for number, count in calls if number in numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=[*WORKLOADS, "tunnels", "h2", "full", "resumed"], default="hello")
    parser.add_argument("--tls", action="store_true", help="the server is behind TLS")
    parser.add_argument("--streams", default="16x32", help="connections and streams on each, of the h2 workload")
    parser.add_argument("--path", default="/", help="of the h2 workload")
    parser.add_argument("--origin", help="of the absolute workload", metavar="HOST:PORT")
    parser.add_argument("--profile", help="keep the longer run's profile, for callgrind_annotate", metavar="FILE")
    parser.add_argument("port", help="where the program listens; `calls` if it does not")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.program:
        parser.error("no program to run")
    if args.workload == "absolute" and not args.origin:
        parser.error("the absolute workload needs --origin")
    if not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed")
    calls = args.port == "calls"
    if not calls:
        port = int(args.port)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise SystemExit(f"port {port} is in use")
        if args.workload == "tunnels":
            work = tunnels
        elif args.workload == "h2":
            work = lambda port, server, count: streams(port, server, args, count)
        elif args.workload in ("full", "resumed"):
            work = lambda port, server, count: handshakes(port, server, args.workload == "resumed", count)
        else:
            batch, size = WORKLOADS[args.workload](f"127.0.0.1:{port}", args.origin)
            work = lambda port, server, count: load(port, server, batch, size, args.tls, count)
    few, many = (FEW_CALLS, MANY_CALLS) if calls else (FEW, MANY)
    if args.workload in ("full", "resumed") or args.path == "/1m":
        few, many = FEW_LARGE, MANY_LARGE
    results = []
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        program = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, *args.program]
        for count in (few, many):
            if calls:
                call(program, count)
            else:
                serve(port, program, work, count)
            with open(out) as file:
                results.append(totals(file.read()))
        if args.profile:
            shutil.copy(out, args.profile)
    instructions, allocations = ((more - less) / (many - few) for less, more in zip(*results))
    name, what, each = os.path.basename(args.program[0]), args.workload, "request"
    if args.workload == "h2":
        what += f" {args.streams} {args.path}"
    if args.tls:
        what += " tls"
    each = {"tunnels": "tunnel", "full": "handshake", "resumed": "handshake"}.get(args.workload, each)
    if calls:
        what, each = " ".join(args.program[1:]), "call"
    print(f"{name} {what}: {instructions:.0f} instructions, {allocations:.2f} allocations per {each}")


if __name__ == "__main__":
    sys.exit(main())
