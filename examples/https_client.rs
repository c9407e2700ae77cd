//! An HTTPS client with settings of its own: an authority that it trusts, and a proxy that it goes through.
//!
//! ```sh
//! cargo run -p chaski-examples --bin https-client -- https://localhost:8443/ authority.pem [http://user:password@proxy:3128]
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use chaski::{
    BoxError, Route, Service, display_chain,
    http::{Body, Request},
    proxy::HttpProxy,
    stacks::HttpClientConfig,
    tls::{ClientConfig, Roots},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, authority, proxy @ ..] = args.as_slice() else {
        return Err("usage: https-client URL AUTHORITY.pem [PROXY]".into());
    };
    // Besides the public authorities.
    let roots = Roots::bundled().with(&Roots::from_file(authority)?);
    let client = HttpClientConfig::default().with_tls(ClientConfig::new(roots)).build()?;

    let mut request = Request::get(url).body(Body::empty())?;
    if let [proxy] = proxy {
        // What is chosen for a dial travels with the request, and is part of the key under which connections are kept.
        request
            .extensions_mut()
            .insert(Route::default().with(proxy.parse::<HttpProxy>().map_err(|error| error.to_string())?));
    }
    // As text: what `main` returns is printed with all that is inside.
    let response = client.serve(request).await.map_err(|error| display_chain(&error).to_string())?;
    let version = response.version();
    let body = response.into_body().collect(1 << 20).await?;
    println!("{version:?}: {}", String::from_utf8_lossy(&body).trim_end());
    Ok(())
}
