#!/usr/bin/env python3
"""User-space instructions and heap allocations per request of an HTTP server on loopback.

usage: benches/instructions.py PORT PROGRAM [ARGUMENT...]

Runs the program twice under callgrind, for two numbers of requests over 64 keep-alive connections; the difference is the
cost of a request, free of start-up and of noise. Needs valgrind. The program has to stop at SIGTERM.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 64
FEW, MANY = 1280, 6400


def load(port, requests):
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
    for _ in range(1200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for _ in range(requests // CONNECTIONS):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            answer = b""
            while not answer.endswith(b"Hello, World!"):
                piece = connection.recv(4096)
                if not piece:
                    raise SystemExit("the server closed a connection: " + repr(answer))
                answer += piece


def run(port, program, requests, folder):
    out = os.path.join(folder, "out")
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, *program]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        load(port, requests)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    with open(out) as file:
        text = file.read()
    total = int(re.findall(r"^(?:summary|totals): (\d+)", text, re.M)[-1])
    # callgrind names a function once and then refers to it by number.
    numbers = re.findall(r"^c?fn=\((\d+)\) (?:malloc|calloc|realloc|posix_memalign|aligned_alloc)$", text, re.M)
    calls = re.findall(r"^cfn=\((\d+)\).*\n(?:c(?:ob|fi|fl)=.*\n)*calls=(\d+)", text, re.M)
    allocations = sum(int(count) for number, count in calls if number in numbers)
    return total, allocations


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    port, program = int(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        few, many = (run(port, program, requests, folder) for requests in (FEW, MANY))
    instructions, allocations = ((b - a) / (MANY - FEW) for a, b in zip(few, many))
    print(f"{os.path.basename(program[0])}: {instructions:.0f} instructions, {allocations:.2f} allocations per request")


if __name__ == "__main__":
    main()
