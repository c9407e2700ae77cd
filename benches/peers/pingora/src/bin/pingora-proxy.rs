//! `pingora-proxy PORT THREADS UPSTREAM`: a reverse proxy on pingora.

use std::error::Error;

use async_trait::async_trait;
use pingora_core::{Result, server::Server, upstreams::peer::HttpPeer};
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Reverse {
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Reverse {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream.as_str(), false, String::new())))
    }

    async fn upstream_request_filter(&self, _: &mut Session, request: &mut RequestHeader, (): &mut ()) -> Result<()> {
        request.insert_header("x-forwarded-for", "127.0.0.1")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, threads, upstream] = args.as_slice() else {
        return Err("usage: pingora-proxy PORT THREADS UPSTREAM".into());
    };
    let mut server = Server::new_with_opt_and_conf(None, pingora_peers::config(threads.parse()?));
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Reverse { upstream: upstream.clone() });
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
