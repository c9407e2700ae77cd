//! The `chaski` binary: proxies and servers without writing Rust.
//!
//! Exit codes: 0 when it stopped and everything was drained, 1 when it failed or connections were cut, 2 when the command
//! line is wrong.

mod args;
mod descriptors;
mod echo;
mod listen;
mod proxy;
mod reload;
mod rules;
mod run;
mod tls;
mod users;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, Serve};
use run::Failure;

fn main() -> ExitCode {
    // clap answers --help, --version and wrong arguments itself; the latter with 2.
    let args = Args::parse();
    match start(args) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn start(args: Args) -> Result<ExitCode, Failure> {
    run::logs(&args.log_level)?;
    match args.command {
        Command::Proxy(proxy) => proxy::run(*proxy),
        Command::Serve(Serve::Echo(echo)) => echo::run(echo),
    }
}
