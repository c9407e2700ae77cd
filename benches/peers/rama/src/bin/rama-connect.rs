//! `rama-connect PORT THREADS`: a proxy for CONNECT on rama.

use std::{convert::Infallible, error::Error, sync::Arc};

use rama::{
    Layer,
    http::{
        Request, StatusCode,
        layer::upgrade::{EagerHttpProxyConnector, UpgradeLayer},
        matcher::MethodMatcher,
        server::HttpServer,
        service::web::response::IntoResponse,
    },
    net::proxy::IoForwardService,
    rt::Executor,
    service::service_fn,
    tcp::client::service::TcpConnector,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args = rama_peers::arguments("rama-connect PORT THREADS")?;
    let connect = EagerHttpProxyConnector::new(TcpConnector::new(), IoForwardService::new(Executor::default()));
    let other = service_fn(async |_: Request| Ok::<_, Infallible>(StatusCode::METHOD_NOT_ALLOWED.into_response()));
    let service = UpgradeLayer::new(Executor::default(), MethodMatcher::CONNECT, connect).into_layer(other);
    let server = HttpServer::new_http1(Executor::default()).service(Arc::new(service));
    rama_peers::run(&args[0], &args[1], server)
}
