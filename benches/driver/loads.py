"""The loads: each works on a server for some seconds and says how many units of work were done.

They run on the core of the driver. wrk and h2load send plain requests; what they cannot do is done here, with few and large
system calls, so that a load costs less than the server that it measures.
"""

import collections
import multiprocessing
import os
import re
import selectors
import socket
import ssl
import subprocess
import threading
import time

from driver import requests

CONNECTIONS = 64
# Pipelined requests: so many connections, each with so many requests in a segment.
PIPELINES, DEPTH = 32, 16
BULK_TUNNELS = 4
RATE_TUNNELS = 16
HANDSHAKES = 4
TIMEOUT = 20


def wrk(port, seconds, path="/", fields=None, script=None, scheme="http"):
    """Requests over keep-alive connections, one at a time on each."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    for name, value in (fields or {}).items():
        command += ["--header", f"{name}: {value}"]
    if script:
        command += ["--script", script]
    command.append(f"{scheme}://127.0.0.1:{port}{path}")
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + TIMEOUT).stdout
    if re.search(r"Non-2xx|Socket errors", output):
        raise RuntimeError(output)
    return int(re.search(r"(\d+) requests in ", output)[1])


def h2load(port, connections, streams, path="/", scheme="http", seconds=None, count=None):
    """Requests over HTTP/2, so many at a time on each connection, for so long or until so many are done."""
    command = ["h2load", "--clients", str(connections), "--max-concurrent-streams", str(streams)]
    command += ["--duration", str(seconds), "--warm-up-time", "0"] if seconds else ["--requests", str(count)]
    command.append(f"{scheme}://127.0.0.1:{port}{path}")
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=(seconds or 300) + TIMEOUT
    ).stdout
    succeeded, failed, errored = map(int, re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", output).groups())
    # Frames that are under way when the time is up count as nothing; that is no failure.
    if failed or errored or (count and succeeded != count) or "Application protocol: h2" not in output:
        raise RuntimeError(output[-600:])
    return succeeded


def far_h2load(far, port, connections, streams, path, count):
    """The same to a server that is 100 ms away."""
    with Target(lambda listener: hold_up(listener, port), far):
        return h2load(far, connections, streams, path, count=count)


def handshakes(port, resumed, seconds=float("inf"), count=float("inf")):
    """Connections with TLS 1.3 that carry one request each, a few at a time; each begins with a ticket of the one before it,
    if that is asked for."""
    def work(_):
        done, taken_up, session = 0, 0, None
        while time.monotonic() < end and done < count / HANDSHAKES:
            with context.wrap_socket(connect(port), session=session) as connection:
                connection.sendall(request)
                # Tickets have come once the answer is there.
                requests.receive(connection)
                session = connection.session if resumed else None
                taken_up += connection.session_reused
            done += 1
        return done, taken_up

    request, context, end = requests.get(f"127.0.0.1:{port}"), client_context(), time.monotonic() + seconds
    done, taken_up = map(sum, zip(*in_threads(work, HANDSHAKES)))
    # The first ones have no ticket.
    if taken_up < 0.99 * (done - HANDSHAKES) if resumed else taken_up:
        fail(f"{taken_up} of {done} handshakes were resumed")
    return done


def client_context():
    """TLS 1.3 to a server whose certificate is its own, with HTTP/1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def pipelined(port, seconds):
    """Requests in batches."""
    batch = requests.get(f"127.0.0.1:{port}") * DEPTH
    connections = [connect(port) for _ in range(PIPELINES)]
    for connection in connections:
        connection.sendall(batch)
    # Answers differ in nothing but their date, so those that follow are as long.
    length = max(len(requests.receive(connection, DEPTH)) for connection in connections)
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for connection in connections:
            connection.sendall(batch)
        for connection in connections:
            answers = exactly(connection, length)
            if not answers.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"not {DEPTH} answers: {answers!r}")
        done += PIPELINES * DEPTH
    return done


def uploads(port, seconds):
    """Chunked uploads, one at a time on each connection."""
    batch = requests.upload(f"127.0.0.1:{port}")
    connections = [connect(port) for _ in range(CONNECTIONS)]
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for connection in connections:
            connection.sendall(batch)
        for connection in connections:
            requests.receive(connection)
        done += CONNECTIONS
    return done


def tunnel_bulk(opening, port, target, seconds):
    """Bytes through a few tunnels, towards the client."""
    with Target(pour, target):
        tunnels = [open_tunnel(opening, port, target) for _ in range(BULK_TUNNELS)]
        end = time.monotonic() + seconds
        counts = in_threads(lambda number: drain(tunnels[number], end), BULK_TUNNELS)
        for tunnel in tunnels:
            tunnel.close()
    return sum(counts)


def tunnel_peak(server, opening, port, target, bytes_each):
    """KiB of memory for each of a few tunnels at the worst moment, while so many bytes pass through each."""
    def work(number):
        if number < BULK_TUNNELS:
            drain(tunnels[number], most=bytes_each)
            ended.release()
            return 0
        peak = 0
        while not ended.acquire(timeout=0.01):
            peak = max(peak, server.memory())
        return peak

    with Target(pour, target):
        before = server.memory()
        tunnels = [open_tunnel(opening, port, target) for _ in range(BULK_TUNNELS)]
        ended = threading.Semaphore(0)
        peak = max(in_threads(work, BULK_TUNNELS + 1))
        for tunnel in tunnels:
            tunnel.close()
    return (peak - before) / BULK_TUNNELS


def drain(tunnel, end=float("inf"), most=float("inf")):
    """Reads until the end of the time, or at most so many bytes. With MSG_TRUNC, TCP throws away what was received without copying it."""
    tunnel.sendall(b"!")
    room, count = bytearray(1 << 20), 0
    while time.monotonic() < end and count < most:
        received = tunnel.recv_into(room, len(room), socket.MSG_TRUNC)
        if received == 0:
            raise RuntimeError(f"the tunnel ended after {count} bytes")
        count += received
    return count


def tunnel_rate(opening, port, target, seconds):
    """Tunnels that are opened, carry one byte there and back, and are closed."""
    def work(_):
        done = 0
        while time.monotonic() < end:
            with open_tunnel(opening, port, target) as tunnel:
                exchange_byte(tunnel)
            done += 1
        return done

    with Target(echo, target):
        end = time.monotonic() + seconds
        return sum(in_threads(work, RATE_TUNNELS))


def idle_connections(server, port, number, tls=False):
    """KiB of memory for each of so many connections that have had an answer and wait."""
    request, context = requests.get(f"127.0.0.1:{port}"), client_context()

    def opened():
        connection = context.wrap_socket(connect(port)) if tls else connect(port)
        connection.sendall(request)
        requests.receive(connection)
        return connection

    return idle(server, opened, number)


def idle_tunnels(server, opening, port, target, number):
    """KiB of memory for each of so many tunnels that have carried a byte there and back, and wait."""
    def opened():
        tunnel = open_tunnel(opening, port, target)
        exchange_byte(tunnel)
        return tunnel

    with Target(echo, target):
        return idle(server, opened, number)


def idle(server, opened, number):
    # The first connections pay for what the server keeps.
    for connection in [opened() for _ in range(50)]:
        connection.close()
    time.sleep(0.5)
    before = server.memory()
    connections = [opened() for _ in range(number)]
    time.sleep(1)
    after = server.memory()
    for connection in connections:
        connection.close()
    return (after - before) / number


def open_tunnel(opening, port, target):
    """A connection to the target through the proxy on `port`."""
    tunnel = connect(port)
    if opening == "connect":
        tunnel.sendall(f"CONNECT 127.0.0.1:{target} HTTP/1.1\r\nHost: 127.0.0.1:{target}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += tunnel.recv(4096) or fail(f"no answer but {head!r}")
        if head.split()[1] != b"200":
            fail(f"no tunnel: {head!r}")
    elif opening == "socks5":
        tunnel.sendall(b"\x05\x01\x00")
        exactly(tunnel, 2)
        tunnel.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.to_bytes(2, "big"))
        answer = exactly(tunnel, 10)
        if answer[:4] != b"\x05\x00\x00\x01":
            fail(f"no tunnel: {answer!r}")
    return tunnel


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exactly(connection, length):
    """So many bytes, and no more. A socket with a time limit does not wait for all of them by itself."""
    held = b""
    while len(held) < length:
        held += connection.recv(length - len(held)) or fail(f"the connection was closed after {held!r}")
    return held


def exchange_byte(tunnel):
    tunnel.sendall(b"!")
    if exactly(tunnel, 1) != b"!":
        fail("the byte did not come back")


def fail(reason):
    raise RuntimeError(reason)


def in_threads(work, number):
    """What `work` returned in each of so many threads; its error, if one failed."""
    results = [None] * number

    def run(place):
        try:
            results[place] = work(place)
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


class Target:
    """The server behind a tunnel, in a process of its own."""

    def __init__(self, serve, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.process = multiprocessing.get_context("fork").Process(target=serve, args=(self.listener,), daemon=True)

    def __enter__(self):
        self.process.start()
        self.listener.close()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()


def echo(listener):
    """Sends back what it receives."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                continue
            try:
                received = key.fileobj.recv(4096)
                key.fileobj.sendall(received)
            except OSError:
                received = b""
            if not received:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def hold_up(listener, port):
    """Relays to `port` what it receives, both ways, each byte after 50 ms: what netem does where the kernel has it.

    All bytes wait equally long, so one queue serves all connections. It has no bound: neither has a long cable.
    """
    selector, queue, other = selectors.DefaultSelector(), collections.deque(), {}
    selector.register(listener, selectors.EVENT_READ)
    while True:
        ready = selector.select(max(0, queue[0][0] - time.monotonic()) if queue else None)
        while queue and queue[0][0] <= time.monotonic():
            _, receiver, piece = queue.popleft()
            try:
                receiver.sendall(piece) if piece else receiver.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        for key, _ in ready:
            if key.fileobj is listener:
                near, _ = listener.accept()
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                distant = connect(port)
                other[near], other[distant] = distant, near
                selector.register(near, selectors.EVENT_READ)
                selector.register(distant, selectors.EVENT_READ)
                continue
            try:
                piece = key.fileobj.recv(1 << 18)
            except OSError:
                piece = b""
            queue.append((time.monotonic() + 0.05, other[key.fileobj], piece))
            if not piece:
                selector.unregister(key.fileobj)


def pour(listener):
    """Waits for a byte and then sends for as long as somebody reads, out of the page cache."""
    file = os.memfd_create("bench")
    size = os.write(file, b"x" * (1 << 20))

    def serve(connection):
        try:
            connection.recv(1)
            while True:
                os.sendfile(connection.fileno(), file, 0, size)
        except OSError:
            connection.close()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
