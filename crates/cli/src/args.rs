//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, builder::TypedValueParser};

use crate::{listen::Bind, rules::RuleArgs, tls::TlsArgs, users::UserArgs};

/// Moves and transforms network traffic.
#[derive(Debug, Parser)]
#[command(name = "chaski", version, about, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Args {
    /// What to log to standard error: a level (error, warn, info, debug, trace), or directives such as
    /// `info,chaski_net=debug`.
    #[arg(long, global = true, env = "CHASKI_LOG", value_name = "FILTER", default_value = "warn", value_parser = log_filter)]
    pub(crate) log_level: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  chaski proxy                                   a forward proxy on 127.0.0.1:3128
  curl -x http://127.0.0.1:3128 http://example.com/
  CHASKI_PROXY_USER=ana:secret chaski proxy --bind 0.0.0.0:3128
  chaski proxy --bind 127.0.0.1:3128 --bind unix:/run/chaski/proxy.sock
  chaski proxy --users-file users --max-per-user 100 --rate-per-user 50/s
  chaski proxy --allow 10.0.0.0/8:443 --allow '*.corp.example'
  chaski proxy --deny '*.ads.example' --allow public:443 --deny '*'
  chaski proxy --tls-cert cert.pem --tls-key key.pem
  chaski serve echo                              answers every request with what it saw, as JSON

Exit codes:
  0  stopped by a signal, and every connection was drained
  1  failed, or connections were cut at the end of the drain
  2  the command line is wrong";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs an HTTP forward proxy: absolute-form requests and CONNECT tunnels.
    Proxy(Box<ProxyArgs>),
    /// Runs a server.
    #[command(subcommand)]
    Serve(Serve),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Serve {
    /// Answers every request with the request as JSON.
    Echo(EchoArgs),
}

/// What every server is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListenArgs {
    /// How many connections of each --bind may be open at a time, on all threads together; those beyond wait to be accepted.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = positive())]
    pub(crate) max_connections: u64,

    /// How many threads serve connections. Default: one for each core.
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) threads: Option<u64>,

    /// Keeps every connection on the thread that accepted it: no thread takes work over from another. Costs less for each
    /// request and does not balance, which suits many connections with little work each.
    #[arg(long)]
    pub(crate) per_core: bool,

    /// How long a client may take for the head of a request, and may stand still within its body or while it is to read an
    /// answer. Default: 30s for a head, 60s for the rest.
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub(crate) client_timeout: Option<Duration>,

    /// How long connections may take to finish after SIGINT or SIGTERM before they are cut. A second signal cuts at once.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) drain_timeout: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProxyArgs {
    /// Where to listen: an IP address and port, of which port 0 lets the system choose, or the path of a Unix socket, which
    /// its owner alone may use; with @ in front it is an abstract name, open to the whole machine. Can be given several times.
    #[arg(long, value_name = "ADDR:PORT|unix:PATH", default_value = "127.0.0.1:3128")]
    pub(crate) bind: Vec<Bind>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) users: UserArgs,

    #[command(flatten)]
    pub(crate) rules: RuleArgs,

    /// How long a dial may take, resolving included.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = limit)]
    pub(crate) connect_timeout: Duration,

    /// How long nothing may happen: in a tunnel, before or within an origin's answer, between two requests of a client.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = limit)]
    pub(crate) idle_timeout: Duration,

    /// One line for each request and tunnel, to standard output.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = AccessLogFormat::Text)]
    pub(crate) access_log: AccessLogFormat,

    /// Serves without authentication on an address that other machines can reach.
    #[arg(long)]
    pub(crate) open: bool,

    /// Prints the listeners and the stack that would run, layer by layer, and exits. Nothing is bound.
    #[arg(long)]
    pub(crate) explain: bool,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessLogFormat {
    /// Fields separated by spaces.
    Text,
    /// One JSON object on each line.
    Json,
    /// None.
    Off,
}

impl AccessLogFormat {
    /// The form of the lines, if there are any.
    pub(crate) const fn of_lines(self) -> Option<chaski_telemetry::AccessLogFormat> {
        match self {
            Self::Text => Some(chaski_telemetry::AccessLogFormat::Text),
            Self::Json => Some(chaski_telemetry::AccessLogFormat::Json),
            Self::Off => None,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct EchoArgs {
    /// Where to listen: an IP address and port, of which port 0 lets the system choose, or the path of a Unix socket, which
    /// its owner alone may use; with @ in front it is an abstract name, open to the whole machine. Can be given several times.
    #[arg(long, value_name = "ADDR:PORT|unix:PATH", default_value = "127.0.0.1:8080")]
    pub(crate) bind: Vec<Bind>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,
}

/// Reads a limit of time. With none at all every request would fail: some programs mean "no limit" by 0, and this one does not.
fn limit(value: &str) -> Result<Duration, String> {
    match humantime::parse_duration(value) {
        Ok(Duration::ZERO) => Err("a limit of no time lets nothing through".to_owned()),
        Ok(limit) => Ok(limit),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a log filter. A word alone that is no level would be taken for a target, all of whose events are wanted, so that a
/// misspelt level logs nothing: a target has to say its level.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

    let is_understood = |directive: &str| {
        directive.contains(['=', '[']) || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(directive))
    };
    match text.split(',').map(str::trim).find(|directive| !is_understood(directive)) {
        None => Ok(text.to_owned()),
        Some(directive) => {
            let levels = LEVELS.join(", ");
            Err(format!("{directive:?} is not a level ({levels}), nor a directive such as chaski_net=debug"))
        }
    }
}

fn positive() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..)
}
