//! SIGHUP, by which files are read again.

use std::convert::Infallible;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::run::{self, Failure};

/// Reads one thing again, and tells what it has found or why the one before stays.
type Source = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What is read again when the signal comes.
#[derive(Default)]
pub(crate) struct Reloading(Vec<(String, Source)>);

impl Reloading {
    /// And this, which is read from `path`.
    pub(crate) fn add(
        &mut self,
        path: impl Into<String>,
        source: impl Fn() -> Result<String, String> + Send + Sync + 'static,
    ) {
        self.0.push((path.into(), Box::new(source)));
    }

    /// Listens to the signal if there is anything to read again, and from here on it does not end the program. Else it does, as
    /// ever.
    pub(crate) fn listen(self) -> Result<Option<Listening>, Failure> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let hangup =
            signal(SignalKind::hangup()).map_err(|error| Failure::system("cannot listen for signals", &error))?;
        Ok(Some(Listening { sources: self.0, hangup }))
    }
}

/// Made by [`Reloading::listen`].
pub(crate) struct Listening {
    sources: Vec<(String, Source)>,
    hangup: Signal,
}

impl Listening {
    /// Reads everything at each signal.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            if self.hangup.recv().await.is_none() {
                // No signal can come any more.
                return std::future::pending().await;
            }
            let sources = std::mem::take(&mut self.sources);
            // Files may be slow, and the runtime has connections to serve.
            match tokio::task::spawn_blocking(move || read_all(sources)).await {
                Ok(sources) => self.sources = sources,
                // The runtime stops.
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

fn read_all(sources: Vec<(String, Source)>) -> Vec<(String, Source)> {
    for (path, source) in &sources {
        match source() {
            Ok(found) => run::tell(format_args!("chaski: SIGHUP: read {path}: {found}")),
            Err(error) => run::tell(format_args!("chaski: SIGHUP: {error}")),
        }
    }
    sources
}
