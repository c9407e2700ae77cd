"""Who takes part in which scenario, and how each is started."""

import dataclasses
import os
import shlex
import shutil
import subprocess

NGINX = """daemon off; master_process off; worker_processes 1; pid {work}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
  access_log off; server_tokens off; default_type text/plain; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
"""

HAPROXY = """global
  nbthread 1
  maxconn {half_of_files}
defaults
  timeout connect 5s
  timeout client 600s
  timeout server 600s
"""

FILES = {
    "nginx-hello.conf": NGINX + """
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {work};
    location = / {{ return 200 'Hello, World!'; }}
  }}
}}
""",
    "nginx-h2c.conf": NGINX + """
  server {{
    listen 127.0.0.1:{port} backlog=4096 http2;
    http2_max_concurrent_streams 256;
    root {work};
    location = / {{ return 200 'Hello, World!'; }}
    location = /0 {{ return 200; }}
  }}
}}
""",
    "nginx-tls.conf": NGINX + """
  ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{port} backlog=4096 ssl http2;
    location = / {{ return 200 'Hello, World!'; }}
  }}
}}
""",
    "nginx-reverse.conf": NGINX + """
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
""",
    "haproxy-hello.cfg": HAPROXY + """  mode http
frontend front
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "Hello, World!"
""",
    "haproxy-tls.cfg": HAPROXY + """  mode http
frontend front
  bind 127.0.0.1:{port} ssl crt {work}/both.pem alpn h2,http/1.1
  http-request return status 200 content-type text/plain string "Hello, World!"
""",
    "haproxy-reverse.cfg": HAPROXY + """  mode http
  option forwardfor
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server origin 127.0.0.1:{origin} maxconn 4096 pool-max-conn 4096
""",
    "haproxy-forward.cfg": HAPROXY + """  mode http
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  http-request set-dst url_ip
  http-request set-dst-port url_port
  server any 0.0.0.0:0 pool-max-conn 4096
""",
    "haproxy-tcp.cfg": HAPROXY + """  mode tcp
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server target 127.0.0.1:{target}
""",
    "tinyproxy.conf": """Port {port}
Listen 127.0.0.1
MaxClients 1000
Timeout 600
LogLevel Critical
LogFile "{work}/tinyproxy.log"
""",
    "danted.conf": """internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}
""",
}


@dataclasses.dataclass(frozen=True)
class Peer:
    """A server that takes part in some scenarios; `{..}` in its command are filled in by `Place`."""

    name: str
    scenarios: str
    command: str
    note: str = ""
    # How a client asks for a tunnel: connect, socks5, or tcp where there is only one place to go.
    opening: str = "connect"


H1 = "h1-hello h1-browser h1-pipelined h1-idle"
SIZES = "h1-1k h1-64k h1-1m"
H2C = "h2c-hello"
TLS = "tls-h1-hello tls-h2-hello tls-full tls-resumed tls-idle"
# Connections and streams on each, by the path that is asked for. Far away is 100 ms there and back.
SHAPES = [(1, 1), (1, 8), (1, 64), (16, 16)]
CELLS = {f"h2c-{shape[0]}x{shape[1]}-{path}": (*shape, path) for shape in SHAPES for path in ("0", "1k", "64k", "1m")}
FAR_CELLS = {f"{name}-far": cell for name, cell in CELLS.items()}
MATRIX = " ".join([*CELLS, *FAR_CELLS])
TUNNELS = "tunnel-bulk tunnel-rate tunnel-idle tunnel-peak"
CHASKI = "chaski"
CHASKI_PROXY = "{chaski}/chaski proxy --bind 127.0.0.1:{port} --threads 1 --allow 127.0.0.0/8 --access-log off"

PEERS = [
    Peer(CHASKI, f"{H1} {SIZES} h1-upload", "{chaski}/bench-h1 {port} 1"),
    Peer("chaski-no-facts", H1, "{chaski}/bench-h1 {port} 1 without-facts", "the listener records none"),
    Peer("chaski-per-core", H1, "{chaski}/bench-h1 {port} 1 per-core", "a runtime for each thread"),
    Peer("limit-epoll", H1, "{peers}/limit-epoll {port}", "a limit: no parsing"),
    Peer("limit-tokio", H1, "{peers}/limit-tokio {port} 1", "a limit: no parsing"),
    Peer("hyper", f"{H1} {SIZES} h1-upload", "{peers}/hyper-hello {port} 1"),
    Peer("hyper-flush", "h1-pipelined", "{peers}/hyper-hello {port} 1 pipeline", "pipeline_flush(true)"),
    Peer("axum", H1, "{peers}/axum-hello {port} 1"),
    Peer("actix-web", H1, "{peers}/actix-hello {port} 1"),
    Peer("may", "h1-hello h1-pipelined", "{peers}/may-hello {port} 1", "coroutines"),
    Peer("rama", H1, "{peers}/rama-hello {port} 1"),
    Peer("pingora", "h1-hello h1-browser h1-idle", "{peers}/pingora-hello {port} 1"),
    Peer("nginx", f"{H1} {SIZES}", "nginx -c {work}/nginx-hello.conf -e /dev/null", "sizes from files"),
    Peer("haproxy", "h1-hello h1-pipelined h1-idle", "haproxy -db -f {work}/haproxy-hello.cfg", "sends no date"),
    Peer(CHASKI, f"{H2C} {MATRIX}", "{chaski}/bench-auto {port} 1"),
    Peer("hyper", f"{H2C} {MATRIX}", "{peers}/hyper-auto {port} 1"),
    Peer("nginx", H2C, "nginx -c {work}/nginx-h2c.conf -e /dev/null"),
    Peer("haproxy", H2C, "haproxy -db -f {work}/haproxy-hello.cfg", "sends no date"),
    Peer(CHASKI, TLS, "{chaski}/bench-auto {port} 1 {work}"),
    Peer("hyper", TLS, "{peers}/hyper-auto {port} 1 {work}"),
    Peer("nginx", TLS, "nginx -c {work}/nginx-tls.conf -e /dev/null"),
    Peer("haproxy", TLS, "haproxy -db -f {work}/haproxy-tls.cfg", "sends no date"),
    Peer(CHASKI, "reverse", "{chaski}/bench-revproxy {port} 1 127.0.0.1:{origin}"),
    Peer("hyper", "reverse", "{peers}/hyper-proxy {port} 1 127.0.0.1:{origin}"),
    Peer("rama", "reverse", "{peers}/rama-proxy {port} 1 127.0.0.1:{origin}"),
    Peer("pingora", "reverse", "{peers}/pingora-proxy {port} 1 127.0.0.1:{origin}"),
    Peer("nginx", "reverse", "nginx -c {work}/nginx-reverse.conf -e /dev/null"),
    Peer("haproxy", "reverse", "haproxy -db -f {work}/haproxy-reverse.cfg"),
    Peer(CHASKI, "forward", CHASKI_PROXY),
    Peer("hyper", "forward", "{peers}/hyper-proxy {port} 1"),
    Peer("rama", "forward", "{peers}/rama-proxy {port} 1"),
    Peer("haproxy", "forward", "haproxy -db -f {work}/haproxy-forward.cfg", "to IP addresses alone"),
    Peer(CHASKI, TUNNELS, CHASKI_PROXY),
    Peer("chaski-per-core", f"forward {TUNNELS}", CHASKI_PROXY + " --per-core", "a runtime for each thread"),
    Peer("limit-splice", "tunnel-bulk tunnel-rate", "{peers}/relay-splice {port} 1 connect 262144", "a limit"),
    Peer("limit-copy-256k", "tunnel-bulk", "{peers}/relay-copy {port} 1 connect 262144", "a limit: no splice"),
    Peer("limit-copy-64k", TUNNELS, "{peers}/relay-copy {port} 1 connect 65536", "a limit: no splice"),
    Peer("hyper", TUNNELS, "{peers}/hyper-proxy {port} 1"),
    Peer("rama", TUNNELS, "{peers}/rama-connect {port} 1"),
    Peer("rama-socks5", TUNNELS, "{peers}/rama-socks5 {port} 1", opening="socks5"),
    Peer("haproxy", TUNNELS, "haproxy -db -f {work}/haproxy-tcp.cfg", "one fixed target", opening="tcp"),
    Peer("tinyproxy", "tunnel-bulk tunnel-rate", "tinyproxy -d -c {work}/tinyproxy.conf"),
    Peer("microsocks", TUNNELS, "microsocks -i 127.0.0.1 -p {port}", "a thread for each", opening="socks5"),
    Peer("danted", "tunnel-bulk tunnel-rate", "danted -f {work}/danted.conf -p {work}/danted.pid -N 1", opening="socks5"),
]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where programs and files are, and which ports are whose."""

    chaski: str
    peers: str
    work: str
    port: int
    origin: int
    target: int
    half_of_files: int

    def fill(self, text):
        return text.format(**dataclasses.asdict(self))

    def is_there(self, peer):
        """Whether the peer is built or installed."""
        program = shlex.split(self.fill(peer.command))[0]
        return shutil.which(program) is not None

    def write_files(self):
        """Configurations, a certificate, and the files that nginx serves where others have a body in memory."""
        for name, text in FILES.items():
            with open(os.path.join(self.work, name), "w") as file:
                file.write(self.fill(text))
        self.write_certificate()
        for name, size in (("1k", 1 << 10), ("64k", 1 << 16), ("1m", 1 << 20)):
            with open(os.path.join(self.work, name), "wb") as file:
                file.write(b"x" * size)

    def write_certificate(self):
        """One of its own for 127.0.0.1, with the kind of key that handshakes cost least with."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=self.work, check=True, capture_output=True,
        )
        # haproxy wants both in one file.
        with open(os.path.join(self.work, "both.pem"), "w") as both:
            for name in ("cert.pem", "key.pem"):
                with open(os.path.join(self.work, name)) as part:
                    both.write(part.read())
