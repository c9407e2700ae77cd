//! `chaski serve echo`: every request comes back as JSON.

use std::{convert::Infallible, process::ExitCode};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chaski_core::{
    Shutdown, SocketAddrs, display_chain,
    http::{Body, Message, Request, Response},
    service_fn,
};
use chaski_http_core::{Http1Server, Http1ServerConfig};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{
    args::EchoArgs,
    descriptors,
    listen::Listeners,
    run::{self, Failure, Signals},
};

/// The largest body that comes back: 1 MiB. JSON makes it larger still.
const MAX_BODY: usize = 1024 * 1024;

pub(crate) fn run(args: EchoArgs) -> Result<ExitCode, Failure> {
    run::run(&args.listen, async |workers| {
        let signals = Signals::new()?;
        let listeners = Listeners::bind(&args.bind, &args.listen).await?;
        run::announce("serve echo", &listeners);
        descriptors::check(1, args.bind.len(), &args.listen);
        let shutdown = Shutdown::new();
        let config = Http1ServerConfig::default();
        let config = args.listen.client_timeout.map_or(config, |limit| config.with_client_timeout(limit));
        let stack = Http1Server::new(service_fn(echo)).with_config(config);
        run::serve(listeners, workers, stack, &shutdown, signals, &args.listen).await
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
            "body": text,
            "body_base64": if text.is_none() { Some(STANDARD.encode(&body)) } else { None },
            "body_bytes": body.len(),
            "client": addrs.map(|addrs| addrs.peer.to_string()),
            "server": addrs.map(|addrs| addrs.local.to_string()),
        }),
    ))
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
