"""requests through a proxy that asks for a password.

Arguments: the proxy's port, the origin's port, the port of its TLS side, its certificate.
"""
import sys

import requests

proxy, origin, tls, cert = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def session(user):
    made = requests.Session()
    made.trust_env = False
    made.verify = cert
    made.proxies = {scheme: f"http://{user}127.0.0.1:{proxy}" for scheme in ("http", "https")}
    return made


plain, secure = f"http://127.0.0.1:{origin}", f"https://localhost:{tls}"
known = session("ana:se%40cret@")
for _ in range(3):
    for url in (plain, secure):
        assert known.get(f"{url}/a", timeout=60).content == b"content"
assert known.get(f"{plain}/a", headers={"Range": "bytes=1-3"}, timeout=60).content == b"ont"
assert known.post(f"{plain}/upload", data=(b"x" * 1000 for _ in range(70)), timeout=60).text == "POST 70000 \n"
with known.get(f"{plain}/large", stream=True, timeout=60) as answer:
    assert sum(len(part) for part in answer.iter_content(10_000)) == 3_000_000
# A body that is left half-read costs its connection, and not the session.
with known.get(f"{plain}/large", stream=True, timeout=60) as answer:
    next(answer.iter_content(1000))
assert known.get(f"{plain}/a", timeout=60).content == b"content"
assert "ana" not in known.get(f"{plain}/headers", timeout=60).text

for user in ("", "ana:wrong@"):
    stranger = session(user)
    answer = stranger.get(f"{plain}/a", timeout=60)
    assert answer.status_code == 407 and answer.headers["proxy-authenticate"].startswith("Basic "), answer
    try:
        stranger.get(f"{secure}/a", timeout=60)
    except requests.exceptions.ProxyError as error:
        assert "407" in str(error), error
    else:
        raise AssertionError("a tunnel for a stranger")
print("ok")
