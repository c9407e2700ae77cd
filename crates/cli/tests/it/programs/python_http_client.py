"""http.client through a proxy: absolute-form and a tunnel, several requests on each connection.

Arguments: the proxy's port, the origin's port, the port of its TLS side, its certificate.
"""
import http.client
import ssl
import sys

proxy, origin, tls, cert = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

# Absolute-form, on one connection to the proxy.
connection = http.client.HTTPConnection("127.0.0.1", proxy, timeout=60)
for _ in range(3):
    connection.request("GET", f"http://127.0.0.1:{origin}/a")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"content"), answer.status
socket = connection.sock
connection.request("HEAD", f"http://127.0.0.1:{origin}/a")
answer = connection.getresponse()
assert (answer.status, answer.getheader("content-length"), answer.read()) == (200, "7", b"")

# An upload of unknown length, in chunks, and one of known length.
connection.request("POST", f"http://127.0.0.1:{origin}/upload", body=iter([b"x" * 1000] * 50), encode_chunked=True)
assert connection.getresponse().read() == b"POST 50000 \n"
connection.request("PUT", f"http://127.0.0.1:{origin}/upload", body=b"y" * 300000)
assert connection.getresponse().read() == b"PUT 300000 \n"
assert connection.sock is socket, "the proxy kept the connection all the time"

# What it cannot do is told, and the connection lives.
connection.request("GET", "http://127.0.0.1:1/")
answer = connection.getresponse()
assert answer.status == 502, answer.status
assert ";error=connection_refused;" in answer.getheader("proxy-status"), answer.getheaders()
answer.read()
connection.request("GET", f"http://127.0.0.1:{origin}/a")
assert connection.getresponse().read() == b"content"

# A tunnel, with TLS in it.
context = ssl.create_default_context(cafile=cert)
secure = http.client.HTTPSConnection("127.0.0.1", proxy, timeout=60, context=context)
secure.set_tunnel("localhost", tls)
for _ in range(2):
    secure.request("GET", "/a")
    assert secure.getresponse().read() == b"content"
print("ok")
