//! `chaski serve echo`: every request comes back as JSON.

use std::{collections::HashMap, convert::Infallible, process::ExitCode};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chaski_core::{
    BoxIo, ServiceExt, Shutdown, SocketAddrs, display_chain,
    http::{Body, Message, Request, Response},
    service_fn,
};
use chaski_http_core::{HeaderLayout, Http1ServerConfig};
use chaski_http2::{FingerprintTap, Http2Fingerprint, Http2ServerConfig};
use chaski_stacks::HttpServer;
use chaski_tls::{Negotiated, hello::ClientHello};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    args::EchoArgs,
    descriptors,
    listen::Listeners,
    reload::Reloading,
    run::{self, Failure, Signals},
    tls,
};

/// The largest body that comes back: 1 MiB. JSON makes it larger still.
const MAX_BODY: usize = 1024 * 1024;

pub(crate) fn run(args: EchoArgs) -> Result<ExitCode, Failure> {
    run::run(&args.listen, async |workers| {
        let signals = Signals::new()?;
        let listeners = Listeners::bind(&args.bind, &args.listen).await?;
        let binds: Vec<_> = listeners.addresses().collect();
        let tls = args.tls.load(&binds, true)?;
        let (mut http1, mut http2) =
            (Http1ServerConfig::default().with_header_layout(true), Http2ServerConfig::default());
        if let Some(limit) = args.listen.client_timeout {
            (http1, http2) = (http1.with_client_timeout(limit), http2.with_client_timeout(limit));
        }
        let server = HttpServer::new(service_fn(echo)).with_http1(http1).with_http2(http2);
        // Right below TLS: what opens an HTTP/2 connection is looked at as it comes in clear.
        let stack = tls::below(tls.as_ref(), ServiceExt::map_input(server, FingerprintTap::<BoxIo>::tap));
        let mut reloading = Reloading::default();
        if let Some(tls) = tls {
            tls.reload_with(&mut reloading);
        }
        let reloading = reloading.listen()?;
        // Behind all that can fail, and behind the handlers of signals: whoever waits for this line may send them.
        run::announce("serve echo", &listeners);
        descriptors::check(1, args.bind.len(), &args.listen);
        let shutdown = Shutdown::new();
        let serving = run::serve(listeners, workers, stack, &shutdown, signals, &args.listen);
        match reloading {
            Some(reloading) => tokio::select! {
                code = serving => code,
                never = reloading.run() => match never {},
            },
            None => serving.await,
        }
    })
}

async fn echo(request: Request) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match body.collect(MAX_BODY).await {
        Ok(body) => body,
        Err(error) => {
            let status = if error.is::<chaski_core::http::BodyTooLarge>() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            return Ok(respond(status, &json!({ "error": display_chain(&*error).to_string() })));
        }
    };
    let addrs = parts.fact::<SocketAddrs>();
    let text = std::str::from_utf8(&body).ok();
    Ok(respond(
        StatusCode::OK,
        &json!({
            "method": parts.method.as_str(),
            "uri": parts.uri.to_string(),
            "version": format!("{:?}", parts.version),
            "headers": headers(&parts.headers),
            "fields": fields(&parts),
            "body": text,
            "body_base64": if text.is_none() { Some(STANDARD.encode(&body)) } else { None },
            "body_bytes": body.len(),
            "tls": handshake(&parts),
            "http2": parts.fact::<Http2Fingerprint>().map(|seen| {
                json!({ "akamai": seen.to_string(), "akamai_hash": seen.akamai_hash() })
            }),
            "client": addrs.map(|addrs| addrs.peer.to_string()),
            "server": addrs.map(|addrs| addrs.local.to_string()),
        }),
    ))
}

/// What the handshake told, and what the client's hello looks like; `null` in clear.
fn handshake(request: &Parts) -> Value {
    let Some(tls) = request.fact::<Negotiated>() else { return Value::Null };
    let hello = request.fact::<ClientHello>();
    json!({
        "version": tls.version().to_string(),
        "cipher_suite": tls.cipher_suite().to_string(),
        "group": tls.group().map(|group| group.to_string()),
        "alpn": tls.alpn().map(String::from_utf8_lossy),
        "server_name": tls.server_name().map(ToString::to_string),
        "resumed": tls.is_resumed(),
        "ja3": hello.map(ClientHello::ja3),
        "ja3_string": hello.map(ClientHello::ja3_string),
        "ja4": hello.map(ClientHello::ja4),
        "ja4_r": hello.map(ClientHello::ja4_r),
        "ja4_o": hello.map(ClientHello::ja4_o),
        "ja4_ro": hello.map(ClientHello::ja4_ro),
    })
}

/// The fields in the order of the wire, each a name and a value. In HTTP/1 names are in their own case; HTTP/2 has lower case
/// alone, and there several values of one name stand where the first one was.
fn fields(request: &Parts) -> Value {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let Some(layout) = request.fact::<HeaderLayout>() else {
        return request.headers.iter().map(|(name, value)| json!([name.as_str(), text(value)])).collect();
    };
    let mut seen = HashMap::new();
    let line = |name: &str| {
        let number = seen.entry(name.to_ascii_lowercase()).or_insert(0_usize);
        let value = request.headers.get_all(name).iter().nth(*number).map(text);
        *number += 1;
        json!([name, value])
    };
    layout.names().map(line).collect()
}

/// Names to lists of values, since a name may come more than once. Bytes beyond UTF-8 are shown as U+FFFD.
fn headers(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for (name, value) in headers {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        match map.entry(name.as_str()).or_insert_with(|| json!([])) {
            Value::Array(values) => values.push(value),
            other => *other = value,
        }
    }
    Value::Object(map)
}

fn respond(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::full(format!("{value:#}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
