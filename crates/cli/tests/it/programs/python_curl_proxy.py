# A curl of today as the client of a proxy to which it speaks HTTP/2 over TLS: tunnels, and requests with an absolute http URI.
#
# Arguments: the proxy's port, those of an origin in clear and over TLS, the origin's certificate and the proxy's.
import sys
from io import BytesIO

from curl_cffi import Curl, CurlError, CurlInfo, CurlOpt

PROXY, HTTP, HTTPS, CERT, PROXY_CERT = sys.argv[1:]
# CURLPROXY_HTTPS2: TLS, with HTTP/2 if the proxy agrees to it.
HTTPS2 = 3
LARGE = bytes(range(256)) * 12_000


def get(curl, url, user="ana:se@cret", body=None):
    text = BytesIO()
    curl.setopt(CurlOpt.URL, url.encode())
    curl.setopt(CurlOpt.PROXY, f"localhost:{PROXY}".encode())
    curl.setopt(CurlOpt.PROXYTYPE, HTTPS2)
    curl.setopt(CurlOpt.PROXYUSERPWD, user.encode())
    curl.setopt(CurlOpt.PROXY_CAINFO, PROXY_CERT.encode())
    curl.setopt(CurlOpt.CAINFO, CERT.encode())
    curl.setopt(CurlOpt.TIMEOUT, 60)
    curl.setopt(CurlOpt.WRITEDATA, text)
    if body is not None:
        curl.setopt(CurlOpt.POSTFIELDS, body)
        curl.setopt(CurlOpt.POSTFIELDSIZE, len(body))
    curl.perform()
    return curl.getinfo(CurlInfo.RESPONSE_CODE), text.getvalue()


def refused(url, user="ana:se@cret"):
    try:
        get(Curl(), url, user)
    except CurlError:
        return True


curl = Curl()
for _ in range(2):
    assert get(curl, f"https://localhost:{HTTPS}/a") == (200, b"content")
assert curl.getinfo(CurlInfo.NUM_CONNECTS) == 0, "the second one goes by the same tunnel"
assert get(curl, f"https://localhost:{HTTPS}/large") == (200, LARGE)
sent = get(curl, f"https://localhost:{HTTPS}/upload", body=LARGE)
assert sent == (200, f"POST {len(LARGE)} \n".encode()), sent

curl = Curl()
assert get(curl, f"http://localhost:{HTTP}/a") == (200, b"content")
status, seen = get(curl, f"http://localhost:{HTTP}/headers")
assert status == 200 and b"auth= " in seen and b"via=2" in seen, seen

assert get(Curl(), f"http://localhost:{HTTP}/a", user="ana:wrong")[0] == 407
assert refused(f"https://localhost:{HTTPS}/a", user="ana:wrong")
# Nobody listens there.
assert refused("https://localhost:1/")
print("ok")
