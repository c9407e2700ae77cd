//! `chaski proxy`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use chaski_core::Shutdown;
use chaski_net::Workers;
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, forward_proxy};
use chaski_telemetry::{AccessLogGuard, AccessLogSink, Metrics};

use crate::{
    args::ProxyArgs,
    descriptors,
    listen::{self, Bind, Listeners},
    reload::Reloading,
    run::{self, Failure, Signals},
    tls, users,
};

pub(crate) fn run(args: ProxyArgs) -> Result<ExitCode, Failure> {
    refuse_open(&args)?;
    let listen = args.listen.clone();
    run::run(&listen, |workers| serve(args, workers))
}

/// A proxy that strangers can reach serves strangers: that is not done unasked.
fn refuse_open(args: &ProxyArgs) -> Result<(), Failure> {
    if args.users.asks() || args.open {
        return Ok(());
    }
    match args.bind.iter().find(|bind| bind.is_for_others()) {
        None => Ok(()),
        Some(bind) => Err(Failure::Usage(format!(
            "--bind {bind}: others can reach this address, and without --user (or CHASKI_PROXY_USER) or --users-file they can \
             use the proxy; --open allows that"
        ))),
    }
}

async fn serve(args: ProxyArgs, workers: Option<Workers>) -> Result<ExitCode, Failure> {
    let signals = Signals::new()?;
    let users_file = args.users.load()?;
    // Bound before anything is printed or served; to explain the stack, nothing has to be free.
    let listeners = if args.explain { None } else { Some(Listeners::bind(&args.bind, &args.listen).await?) };
    let own = listeners.iter().flat_map(Listeners::addresses).filter_map(|bind| match bind {
        Bind::Tcp(addr) => Some(addr),
        Bind::Unix(_) => None,
    });
    let rules = args.rules.0.into_iter().collect::<Rules>().with_own_addresses(own);
    let metrics = Metrics::new();
    let mut config = ForwardProxyConfig::default()
        .with_rules(rules)
        .with_connect_timeout(args.connect_timeout)
        .with_idle_timeout(args.idle_timeout)
        .with_metrics(metrics.clone());
    if let Some(limit) = args.listen.client_timeout {
        config = config.with_client_timeout(limit);
    }
    config = args.users.apply(users_file.as_ref(), config);
    if let Some(workers) = &workers {
        config = config.with_workers(workers.count());
    }
    let mut log = None;
    if let Some(format) = args.access_log.of_lines() {
        let (sink, guard) =
            AccessLogSink::stdout().map_err(|error| Failure::system("cannot start the access log", &error))?;
        config = config.with_access_log(sink.clone().with_format(format));
        log = Some((sink, guard));
    }
    let binds: Vec<_> =
        listeners.as_ref().map_or_else(|| args.bind.clone(), |listeners| listeners.addresses().collect());
    let tls = args.tls.load(&binds, false)?;
    let stack = tls::below(tls.as_ref(), forward_proxy(config));
    let Some(listeners) = listeners else {
        return print(&listen::describe("chaski proxy", &args.bind, &args.listen, &stack).to_string());
    };
    let mut reloading = Reloading::default();
    if let Some(file) = users_file {
        users::reload_with(&mut reloading, file);
    }
    if let Some(tls) = tls {
        tls.reload_with(&mut reloading);
    }
    let reloading = reloading.listen()?;
    run::announce("proxy", &listeners);
    // A tunnel, or a request under way, has two ends.
    descriptors::check(2, args.bind.len(), &args.listen);
    let shutdown = Shutdown::new();
    let serving = run::serve(listeners, workers, stack, &shutdown, signals, &args.listen);
    let code = match reloading {
        Some(reloading) => tokio::select! {
            code = serving => code,
            never = reloading.run() => match never {},
        },
        None => serving.await,
    };
    if let Some((sink, guard)) = log {
        end(&sink, guard);
    }
    run::tell(format_args!("chaski: {}", metrics.snapshot()));
    code
}

/// Writes the lines of the access log that are still queued, and tells what of the log is missing.
fn end(sink: &AccessLogSink, guard: AccessLogGuard) {
    let complete = guard.finish();
    match sink.dropped() {
        0 => {}
        lost => run::tell(format_args!("chaski: access log: {lost} lines lost")),
    }
    if !complete {
        run::tell(format_args!("chaski: access log: nobody takes its last lines, they are lost too"));
    }
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::system("cannot write to standard output", &error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
