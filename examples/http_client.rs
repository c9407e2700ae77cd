//! An HTTP client: one request, its answer to standard output.
//!
//! ```sh
//! cargo run -p chaski-examples --bin http-client -- http://127.0.0.1:8080/
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks on its terminal")]

use chaski::{
    Service, display_chain,
    http::{Body, Request},
    stacks::http_client,
};
use tokio::io::AsyncWriteExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chaski::BoxError> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("usage: http-client URL".into());
    };
    let client = http_client();
    let request = Request::get(url).body(Body::empty())?;
    // As text: what `main` returns is printed with all that is inside.
    let response = client.serve(request).await.map_err(|error| display_chain(&error).to_string())?;
    eprintln!("{} {:?}", response.status(), response.headers());

    let mut body = response.into_body();
    let mut stdout = tokio::io::stdout();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            stdout.write_all(&data).await?;
        }
    }
    stdout.flush().await?;
    println!();
    Ok(())
}
