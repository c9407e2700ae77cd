//! `may-hello PORT THREADS`: `Hello, World!` on may_minihttp, coroutines with stacks of their own.

use std::{error::Error, io};

use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Clone)]
struct Hello;

impl HttpService for Hello {
    fn call(&mut self, _: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        response.header("Content-Type: text/plain").body("Hello, World!");
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: may-hello PORT THREADS".into());
    };
    may::config().set_workers(threads.parse()?);
    HttpServer(Hello).start(format!("127.0.0.1:{port}"))?.join().map_err(|_| "the server has panicked")?;
    Ok(())
}
