//! A forward proxy with a rule of its own. `chaski proxy` is this with a command line.
//!
//! ```sh
//! cargo run -p chaski-examples --bin forward-proxy -- 127.0.0.1:3128
//! curl -x http://127.0.0.1:3128 http://example.com/
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::time::Duration;

use chaski::{
    Shutdown,
    net::TcpListener,
    proxy::Rules,
    stacks::{ForwardProxyConfig, forward_proxy},
};

#[tokio::main]
async fn main() -> Result<(), chaski::BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    let own = listener.local_addr()?;
    println!("listening on {own}");

    // Public addresses, and what runs on this machine; never the proxy itself.
    let rules = Rules::public_only().with_rule("allow 127.0.0.0/8".parse()?).with_own_addresses([own]);
    let proxy = forward_proxy(ForwardProxyConfig::default().with_rules(rules));
    println!("{}", listener.describe(&proxy));

    let shutdown = Shutdown::new();
    tokio::select! {
        () = listener.serve(proxy, &shutdown) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    shutdown.drain(Duration::from_secs(10)).await;
    Ok(())
}
