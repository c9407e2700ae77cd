//! `rama-socks5 PORT THREADS`: a SOCKS5 proxy on rama.

use std::error::Error;

use rama::{proxy::socks5::Socks5Acceptor, rt::Executor};

fn main() -> Result<(), Box<dyn Error>> {
    let args = rama_peers::arguments("rama-socks5 PORT THREADS")?;
    rama_peers::run(&args[0], &args[1], Socks5Acceptor::new(Executor::default()).with_default_connector())
}
