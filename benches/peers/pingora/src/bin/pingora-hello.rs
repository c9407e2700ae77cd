//! `pingora-hello PORT THREADS`: `Hello, World!` on pingora.

use std::error::Error;

use async_trait::async_trait;
use http::{
    HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use pingora_core::{
    apps::http_app::{HttpServer, ServeHttp},
    protocols::http::ServerSession,
    server::Server,
    services::listening::Service,
};

struct Hello;

#[async_trait]
impl ServeHttp for Hello {
    async fn response(&self, _: &mut ServerSession) -> Response<Vec<u8>> {
        let body = b"Hello, World!".to_vec();
        let length = HeaderValue::from(body.len());
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().insert(CONTENT_LENGTH, length);
        response
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: pingora-hello PORT THREADS".into());
    };
    let mut server = Server::new_with_opt_and_conf(None, pingora_peers::config(threads.parse()?));
    server.bootstrap();
    let mut service = Service::new("hello".to_owned(), HttpServer::new_app(Hello));
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
