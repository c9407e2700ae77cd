//! `bench-streams PORT TASKS THREADS COUNT`: makes so many requests to a server on 127.0.0.1 that speaks HTTP/2 in clear, from so
//! many tasks that share one connection, on so many threads, and prints how many there were in a second, and the CPU time and
//! the changes of context that one took.

use std::{io::Write, sync::Arc, time::Instant};

use chaski::{
    BoxError, Connect, HostPort, Service,
    http::{Body, Request},
    http2::{Http2ClientConfig, Http2Connector},
    net::Dialer,
};
use http::Uri;
use tokio::task::JoinSet;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, tasks, threads, count] = args.as_slice() else {
        return Err("usage: bench-streams PORT TASKS THREADS COUNT".into());
    };
    let (port, tasks, threads, count): (u16, usize, usize, usize) =
        (port.parse()?, tasks.parse()?, threads.parse()?, count.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(requests(port, tasks, count))?;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let (cpu, changes) = spent()?;
    let each = |spent: f64| spent / count as f64;
    writeln!(
        std::io::stdout(),
        "{tasks} tasks, {threads} threads: {rate:.0} requests/s, {:.2} us of CPU and {:.2} changes of context for each",
        each(cpu * 1e6),
        each(changes),
    )?;
    Ok(())
}

async fn requests(port: u16, tasks: usize, count: usize) -> Result<(), BoxError> {
    let connector = Http2Connector::new(Dialer::new(), Http2ClientConfig::default());
    let host: HostPort = format!("127.0.0.1:{port}").parse()?;
    let session = Arc::new(connector.serve(Connect::new(host)).await?);
    let uri: Uri = format!("http://127.0.0.1:{port}/").parse()?;
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (session, uri) = (Arc::clone(&session), uri.clone());
        running.spawn(async move {
            for _ in 0..count / tasks {
                let response = session.serve(Request::get(uri.clone()).body(Body::empty())?).await?;
                response.into_body().collect(100).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// Seconds of CPU time of all threads, and how often they let go of the processor or lost it.
fn spent() -> Result<(f64, f64), BoxError> {
    let (mut cpu, mut changes) = (0.0, 0.0);
    for thread in std::fs::read_dir("/proc/self/task")? {
        let folder = thread?.path();
        let figures = std::fs::read_to_string(folder.join("schedstat"))?;
        cpu += figures.split(' ').next().ok_or("no schedstat")?.parse::<f64>()? / 1e9;
        let status = std::fs::read_to_string(folder.join("status"))?;
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        for (_, count) in counts {
            changes += count.trim().parse::<f64>()?;
        }
    }
    Ok((cpu, changes))
}
