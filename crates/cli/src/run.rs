//! What all commands share: logs, the runtime, signals, and how they end.

use std::{
    fmt,
    future::Future,
    io::{self, Write},
    num::NonZeroUsize,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use chaski_core::{BoxIo, Conn, IntoBoxError, Service, Shutdown, display_chain};
use chaski_net::Workers;
use chaski_telemetry::LogConfig;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use crate::{args::ListenArgs, descriptors, listen::Listeners};

/// Tells the status of a command, one line on standard error. Where nobody reads it any more, the line is lost: that is no
/// reason to stop serving, as the panic of `eprintln!` would.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    // In one piece, so that lines of several threads do not mix.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Why a command ends before it has begun to serve.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for what cannot be.
    Usage(String),
    /// The system refused.
    System(String),
}

impl Failure {
    pub(crate) fn system(what: impl fmt::Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::System(format!("{what}: {}", display_chain(error)))
    }

    /// Tells, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Usage(message) => (message, 2),
            Self::System(message) => (message, 1),
        };
        tell(format_args!("chaski: {message}"));
        ExitCode::from(code)
    }
}

/// Sets up logging to standard error.
pub(crate) fn logs(filter: &str) -> Result<(), Failure> {
    chaski_telemetry::init(LogConfig::default().with_filter(filter))
        .map_err(|error| Failure::Usage(format!("--log-level: {}", display_chain(&error))))
}

/// Runs a command to its end: on one thread without hand-overs, or on as many as asked for. With `--per-core` these serve
/// connections, and the command itself has one more, which waits for signals.
///
/// What blocks a thread then is left behind. The system's resolver can take minutes for a name whose servers are silent, and
/// cannot be interrupted; the program would have drained its connections, and still not end.
pub(crate) fn run<F>(args: &ListenArgs, command: impl FnOnce(Option<Workers>) -> F) -> Result<ExitCode, Failure>
where
    F: Future<Output = Result<ExitCode, Failure>>,
{
    descriptors::raise();
    let (runtime, workers) = match args.per_core {
        true => (runtime(Some(1))?, Some(workers(args.threads)?)),
        false => (runtime(args.threads)?, None),
    };
    let outcome = runtime.block_on(command(workers));
    runtime.shutdown_background();
    outcome
}

fn runtime(threads: Option<u64>) -> Result<Runtime, Failure> {
    let mut builder = match threads {
        Some(1) => Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(bounded(threads).get());
            builder
        }
        None => Builder::new_multi_thread(),
    };
    builder.enable_all().build().map_err(|error| Failure::system("cannot start the runtime", &error))
}

fn workers(threads: Option<u64>) -> Result<Workers, Failure> {
    let started = threads.map_or_else(Workers::per_core, |threads| Workers::new(bounded(threads)));
    started.map_err(|error| Failure::system("cannot start the threads", &error))
}

/// More than any machine has cores. The command line lets no zero through.
fn bounded(threads: u64) -> NonZeroUsize {
    usize::try_from(threads.min(1024)).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::system("cannot listen for signals", &error));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next signal's name. Cancel safe.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Serves until a signal, drains, and tells what became of the connections.
pub(crate) async fn serve<S>(
    listeners: Listeners,
    workers: Option<Workers>,
    service: S,
    shutdown: &Shutdown,
    mut signals: Signals,
    args: &ListenArgs,
) -> Result<ExitCode, Failure>
where
    S: Service<Conn<BoxIo>, Error: IntoBoxError>,
{
    let name = {
        let mut serving = pin!(listeners.serve(workers.as_ref(), service, shutdown));
        let (name, ended) = tokio::select! {
            name = signals.next() => {
                shutdown.begin();
                // New connections are refused from here on. Workers come to it in their own time, and what they accept until
                // then is drained too.
                (name, timeout(args.drain_timeout, &mut serving).await.unwrap_or(Ok(())))
            }
            ended = &mut serving => ("shutdown", ended),
        };
        ended.map_err(|error| Failure::system("cannot listen on all threads", &error))?;
        name
    };
    let open = shutdown.open();
    if open > 0 {
        let limit = humantime::format_duration(args.drain_timeout);
        tell(format_args!("chaski: {name}: draining {open} connections, at most {limit}"));
    }
    let report = tokio::select! {
        report = shutdown.drain(args.drain_timeout) => report,
        _ = signals.next() => {
            shutdown.cut();
            shutdown.drain(Duration::ZERO).await
        }
    };
    tell(format_args!("chaski: stopped: {} connections drained, {} cut", report.drained, report.cut));
    Ok(if report.cut == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says where a server listens: the lines that scripts wait for, one for each listener.
pub(crate) fn announce(what: &str, listeners: &Listeners) {
    for addr in listeners.addresses() {
        tell(format_args!("chaski {what}: listening on {addr}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command, Serve};

    /// As a look-up of a name does whose servers are silent.
    #[test]
    fn a_command_ends_though_a_thread_is_blocked() {
        for threads in [&["--threads", "1"][..], &["--threads", "2"], &["--per-core"], &[]] {
            let args = Args::parse_from([&["chaski", "serve", "echo"], threads].concat());
            let Command::Serve(Serve::Echo(args)) = args.command else { panic!("another command") };
            let (hold, held) = mpsc::channel::<()>();
            let (done, ended) = mpsc::channel();
            std::thread::spawn(move || {
                let code = run(&args.listen, async |_| {
                    let (begun, begins) = tokio::sync::oneshot::channel();
                    tokio::task::spawn_blocking(move || {
                        let _ = begun.send(());
                        let _ = held.recv();
                    });
                    let _ = begins.await;
                    Ok(ExitCode::SUCCESS)
                });
                let _ = done.send(code.is_ok());
            });
            // Only a guard against hanging.
            assert_eq!(ended.recv_timeout(Duration::from_secs(30)), Ok(true), "{threads:?}");
            drop(hold);
        }
    }
}
