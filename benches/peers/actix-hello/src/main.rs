//! `actix-hello PORT THREADS`: `Hello, World!` on actix-web.

use std::{error::Error, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: actix-hello PORT THREADS".into());
    };
    let server = HttpServer::new(|| App::new().route("/", web::get().to(hello)))
        .workers(threads.parse()?)
        // Idle connections are kept for 5 seconds unless told otherwise, which a measurement of many outlasts.
        .keep_alive(Duration::from_secs(600))
        .max_connections(30_000)
        .bind(("127.0.0.1", port.parse()?))?;
    server.run().await?;
    Ok(())
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok().insert_header(("content-type", "text/plain")).body("Hello, World!")
}
