//! How the fields stand on the wire.

use chaski_core::{
    http::{Message, Request},
    service_fn,
};
use chaski_http_core::HeaderLayout;

use super::harness::*;

/// Answers with the names of the request's fields as they came, and in the layout `X-Late, Content-Length, X-EARLY`.
async fn told(request: Request) -> Handled {
    let names = request.fact::<HeaderLayout>().map(|layout| layout.names().collect::<Vec<_>>().join(" "));
    let mut response = ok(names.unwrap_or_else(|| "none".to_owned()));
    *response.headers_mut() = headers(&[("x-early", "1"), ("x-late", "2"), ("x-more", "3")]);
    response.scope().insert(HeaderLayout::from_names(["X-Late", "Content-Length", "X-EARLY"])?);
    Ok(response)
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_its_layout_if_it_is_recorded() {
    let request = "GET / HTTP/1.1\r\nX-b: 1\r\nHOST: a\r\nx-B: 2\r\n\r\n";
    for (record, facts, told_names) in
        [(true, true, "X-b HOST x-B"), (true, false, "X-b HOST x-B"), (false, true, "none"), (false, false, "none")]
    {
        let mut setup = Setup::new().config(|config| config.with_header_layout(record));
        if facts {
            setup = setup.facts();
        }
        let mut client = setup.serve(service_fn(told));
        for _ in 0..2 {
            client.send(request).await;
            let length = told_names.len();
            assert_eq!(
                client.head().await,
                format!("HTTP/1.1 200 OK\r\nX-Late: 2\r\nContent-Length: {length}\r\nX-EARLY: 1\r\nx-more: 3\r\n\r\n")
            );
            client.until(told_names).await;
        }
    }
}

/// Each request has its own, and a connection that was asked for none of its other facts does not grow.
#[tokio::test(start_paused = true)]
async fn the_layout_of_one_request_is_not_that_of_the_next() {
    let mut client = Setup::new().config(|config| config.with_header_layout(true)).serve(service_fn(told));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-1: 1\r\n\r\nGET / HTTP/1.1\r\nx-2: 2\r\nhost: a\r\n\r\n").await;
    client.until("Host X-1").await;
    client.until("x-2 host").await;
}

/// The head that ends HTTP on a connection has its layout too.
#[tokio::test(start_paused = true)]
async fn a_switch_is_written_in_its_layout() {
    let service = service_fn(async |_: Request| {
        let mut response = status(101);
        *response.headers_mut() = headers(&[("connection", "upgrade"), ("upgrade", "chat")]);
        response.scope().insert(HeaderLayout::from_names(["Date", "Upgrade", "Connection"])?);
        chaski_core::http::Upgrade::new(async |_| {}).attach(&mut response);
        Ok(response)
    });
    let mut client = serve(service);
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n").await;
    assert_eq!(client.rest().await, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n");
}

/// A tunnel's scope lasts as long as the tunnel, and the read buffer of its head would last with it.
#[tokio::test(start_paused = true)]
async fn the_scope_of_a_tunnel_does_not_hold_the_read_buffer() {
    let service = service_fn(async |request: Request| {
        let name = request.fact::<HeaderLayout>().and_then(|layout| layout.names().next()).ok_or("not recorded")?;
        // In one buffer the value stands behind `x: `.
        let in_place = request.headers()["x"].as_bytes().as_ptr() == name.as_ptr().wrapping_add(3);
        Ok(ok(format!("in place: {in_place};")))
    });
    let mut client = Setup::new().config(|config| config.with_header_layout(true)).serve(service);
    client.send("GET / HTTP/1.1\r\nx: 1\r\nhost: a\r\n\r\n").await;
    client.until("in place: true;").await;
    client.send("GET / HTTP/1.1\r\nx: 1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n").await;
    client.until("in place: false;").await;
}
