//! Where a command listens: TCP and Unix sockets, one or several, all for one service.

use std::{fmt, future::Future, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, task::Poll};

use chaski_core::{
    BoxIo, Conn, Description, EffectiveSocketOptions, IntoBoxError, Service, ServiceExt, Shutdown, ShutdownSignal,
    SocketAddrs, display_chain,
};
use chaski_net::{BindError, PeerCredentials, TcpListener, UnixAddr, UnixListener, Workers};

use crate::{args::ListenArgs, run::Failure};

/// A value of `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    Tcp(SocketAddr),
    Unix(UnixAddr),
}

impl Bind {
    /// Whether other machines can reach it, as far as the address tells.
    pub(crate) fn is_for_others(&self) -> bool {
        match self {
            Self::Tcp(addr) => !addr.ip().is_loopback(),
            Self::Unix(_) => false,
        }
    }

    /// The listener that this will be, as it describes itself.
    fn describe(&self, args: &ListenArgs) -> Description {
        let limits = |node: Description| node.setting("bind", self).setting("max_connections", args.max_connections);
        match self {
            Self::Tcp(_) => limits(Description::of::<TcpListener>())
                .writes::<SocketAddrs>()
                .writes::<EffectiveSocketOptions>()
                .writes::<ShutdownSignal>(),
            Self::Unix(_) => limits(Description::of::<UnixListener>())
                .writes::<UnixAddr>()
                .writes::<PeerCredentials>()
                .writes::<ShutdownSignal>(),
        }
    }
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("a Unix socket needs a path".to_owned()),
            Some(path) => Ok(Self::Unix(PathBuf::from(path).into())),
            None => match text.parse() {
                Ok(addr) => Ok(Self::Tcp(addr)),
                Err(_) => Err("neither an IP address and port (127.0.0.1:3128, [::1]:3128) nor unix:PATH".to_owned()),
            },
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
        }
    }
}

/// The shape of `stack` under its listeners, none of which is bound for that.
pub(crate) fn describe<S: Service<Conn<BoxIo>>>(
    what: &'static str,
    binds: &[Bind],
    args: &ListenArgs,
    stack: &S,
) -> Description {
    // In sequence: what any of the listeners writes, the stack can read.
    binds
        .iter()
        .fold(Description::named(what).in_sequence(), |node, bind| node.child(bind.describe(args)))
        .child(stack.describe())
}

/// Bound listeners, all of one service.
pub(crate) struct Listeners(Vec<Listener>);

enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, UnixAddr),
}

impl Listeners {
    /// Binds all, or none.
    pub(crate) async fn bind(binds: &[Bind], args: &ListenArgs) -> Result<Self, Failure> {
        let max_connections = usize::try_from(args.max_connections).unwrap_or(usize::MAX);
        let mut listeners = Vec::with_capacity(binds.len());
        for bind in binds {
            listeners.push(match bind {
                Bind::Tcp(addr) => {
                    let listener = TcpListener::bind(*addr).await.map_err(failure)?;
                    let addr =
                        listener.local_addr().map_err(|error| Failure::system("cannot tell the address", &error))?;
                    Listener::Tcp(listener.with_max_connections(max_connections), addr)
                }
                Bind::Unix(addr) => {
                    let listener = UnixListener::bind(&addr.0).map_err(failure)?;
                    Listener::Unix(listener.with_max_connections(max_connections), addr.clone())
                }
            });
        }
        Ok(Self(listeners))
    }

    /// As bound: with the port that the system chose.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Bind> {
        self.0.iter().map(|listener| match listener {
            Listener::Tcp(_, addr) => Bind::Tcp(*addr),
            Listener::Unix(_, addr) => Bind::Unix(addr.clone()),
        })
    }

    /// Serves connections of all listeners until draining begins, on the workers if there are any. Dropping the future closes
    /// the listeners.
    pub(crate) async fn serve<S>(self, workers: Option<&Workers>, service: S, shutdown: &Shutdown) -> io::Result<()>
    where
        S: Service<Conn<BoxIo>, Error: IntoBoxError>,
    {
        let service = Arc::new(service);
        let mut serving: Vec<_> = self
            .0
            .into_iter()
            .map(|listener| Some(Box::pin(listener.serve(workers, Arc::clone(&service), shutdown))))
            .collect();
        // In this task, all of them: dropped together, they are closed together, and at once.
        std::future::poll_fn(|cx| {
            for slot in &mut serving {
                if let Some(Poll::Ready(ended)) = slot.as_mut().map(|serving| serving.as_mut().poll(cx)) {
                    *slot = None;
                    ended?;
                }
            }
            if serving.iter().all(Option::is_none) { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

impl Listener {
    async fn serve<S>(self, workers: Option<&Workers>, service: Arc<S>, shutdown: &Shutdown) -> io::Result<()>
    where
        S: Service<Conn<BoxIo>, Error: IntoBoxError>,
    {
        // Boxed, so that the stack below is compiled for one kind of connection.
        match self {
            Self::Tcp(listener, _) => {
                let service = ServiceExt::map_input(service, |conn: Conn<_>| conn.map_io(boxed));
                match workers {
                    Some(workers) => return workers.serve(listener, service, shutdown).await,
                    None => listener.serve(service, shutdown).await,
                }
            }
            Self::Unix(listener, _) => {
                let service = ServiceExt::map_input(service, |conn: Conn<_>| conn.map_io(boxed));
                match workers {
                    Some(workers) => return workers.serve(listener, service, shutdown).await,
                    None => listener.serve(service, shutdown).await,
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn boxed(io: impl chaski_core::Io) -> BoxIo {
    Box::new(io)
}

fn failure(error: BindError) -> Failure {
    Failure::System(display_chain(&error).to_string())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use chaski_core::service_fn;
    use clap::Parser;
    use tokio::net::{TcpStream, UnixStream};

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn binds_print_as_they_parse() {
        for text in ["127.0.0.1:3128", "[::1]:0", "unix:/run/x.sock", "unix:x", "unix:@name"] {
            let bind: Bind = text.parse().unwrap();
            assert_eq!(bind.to_string(), text);
        }
        for text in ["", "localhost:80", "127.0.0.1", "unix:", "/run/x.sock"] {
            assert!(text.parse::<Bind>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_files_are_out_of_reach_for_others() {
        for (text, expected) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("unix:x", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
        ] {
            assert_eq!(text.parse::<Bind>().unwrap().is_for_others(), expected, "{text}");
        }
    }

    /// What is printed of listeners that are not there is what they would print of themselves.
    #[tokio::test]
    async fn a_bind_describes_itself_as_the_listener_would() {
        let args = Args::parse_from(["chaski", "proxy", "--max-connections", "7"]);
        let Command::Proxy(args) = args.command else { panic!("another command") };
        let first_line = |node: Description| node.to_string().lines().next().unwrap().to_owned();

        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap().with_max_connections(7);
        let bind = Bind::Tcp(tcp.local_addr().unwrap());
        let stack = service_fn(async |_: Conn<TcpStream>| Ok::<_, Infallible>(()));
        assert_eq!(first_line(bind.describe(&args.listen)), first_line(tcp.describe(&stack)));

        let path = std::env::temp_dir().join(format!("chaski-describe-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap().with_max_connections(7);
        let bind = Bind::Unix(path.into());
        let stack = service_fn(async |_: Conn<UnixStream>| Ok::<_, Infallible>(()));
        assert_eq!(first_line(bind.describe(&args.listen)), first_line(unix.describe(&stack)));
    }
}
