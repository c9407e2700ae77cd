//! `rama-proxy PORT THREADS [UPSTREAM]`: rama's pooled client behind its server. With an upstream, an IP address and a port,
//! it hands every request on to that; without, it forwards requests in absolute-form.

use std::{convert::Infallible, error::Error, net::SocketAddr, sync::Arc};

use rama::{
    Layer, Service,
    http::{
        HeaderValue, Request, Response, StatusCode,
        client::{EasyHttpWebClient, HttpPooledConnectorConfig},
        layer::remove_header::{RemoveRequestHeaderLayer, RemoveResponseHeaderLayer},
        server::HttpServer,
        service::web::response::IntoResponse,
    },
    net::Protocol,
    rt::Executor,
    service::service_fn,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args = rama_peers::arguments("rama-proxy PORT THREADS [UPSTREAM]")?;
    let upstream: Option<SocketAddr> = args.get(2).map(|upstream| upstream.parse()).transpose()?;
    let mut pool = HttpPooledConnectorConfig::default();
    pool.max_total = 1024;
    let client = EasyHttpWebClient::connector_builder()
        .with_default_transport_connector()
        .without_dns_connector()
        .without_tls_proxy_support()
        .without_proxy_support()
        .without_tls_support()
        .with_default_http_connector(Executor::default())
        .try_with_connection_pool(pool)
        .map_err(|error| error.to_string())?
        .build_client();
    let client = Arc::new(client);
    let forward = service_fn(move |mut request: Request| {
        let client = Arc::clone(&client);
        async move {
            if let Some(upstream) = upstream {
                request.uri_mut().set_scheme(Protocol::HTTP);
                request.uri_mut().set_host(upstream.ip());
                request.uri_mut().set_port(upstream.port());
                request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
            }
            let answer = client.serve(request).await;
            Ok::<Response, Infallible>(answer.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response()))
        }
    });
    let layers = (RemoveResponseHeaderLayer::hop_by_hop(), RemoveRequestHeaderLayer::hop_by_hop());
    let server = HttpServer::new_http1(Executor::default()).service(Arc::new(layers.into_layer(forward)));
    rama_peers::run(&args[0], &args[1], server)
}
