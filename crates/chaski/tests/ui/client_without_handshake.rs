//! A client over a dialer: the HTTP handshake between them is missing.

use chaski::{client::Client, net::Dialer};

fn main() {
    let _ = Client::new(Dialer::new());
}
