//! From a wish for a connection to a connection: names, families, policy, time limits.

mod plan;
mod race;
mod report;
mod route;
mod target;
#[cfg(test)]
mod tests;

pub use report::{DialAttempt, DialOutcome, DialReport};
pub use route::{IpFamily, LocalAddr};

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use chaski_core::{
    AddressPolicy, AllowAll, Attempt, Caller, Conn, Connect, ConnectError, ConnectStage, Description, Elapsed,
    Extensions, Host, HostPort, IntoBoxError, Route, Service, Target,
};
use tokio::time::{Instant, Sleep, sleep};

use self::{
    race::{Finish, Race},
    target::{choices, config, domain_of, literal, scope_id},
};
use crate::{Addrs, DialAddr, Lookup, ResolveError, SocketOptions, SystemResolver, TcpTransport};

/// A connector that dials: it resolves names, asks the policy, and races the addresses by Happy Eyeballs (RFC 8305).
///
/// ```
/// use chaski_core::{Connect, HostPort, Service};
/// use chaski_net::{DialReport, Dialer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let port = server.local_addr()?.port();
/// let dialer = Dialer::new();
/// let connect = Connect::new(HostPort::new("127.0.0.1".parse::<std::net::IpAddr>()?, port));
/// let scope = connect.ext.clone();
/// let conn = dialer.serve(connect).await?;
/// assert!(conn.io.nodelay()?);
/// assert_eq!(scope.get::<DialReport>().and_then(DialReport::chosen), Some(conn.io.peer_addr()?));
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Parts
///
/// `R` answers names: any `Service<Lookup, Output = Addrs>`. `T` connects one address: any `Service<DialAddr, Output =
/// Conn<_>, Error = io::Error>`, which in tests is a script. The connection is as `T` made it, with a scope of its own:
/// nothing of the [`Connect`] that asked for it goes in.
///
/// # Route
///
/// Read are [`IpFamily`] and [`LocalAddr`]. A choice that nobody has read by then is an error. Server name and protocol
/// of the `Connect` are left to the layers above.
///
/// # Policy
///
/// The [`AddressPolicy`] is asked before a name is resolved, and just before every connect, for literals and for every
/// resolved address. A refused address counts as a failed attempt. **The default allows everything**: a proxy that dials what its clients name needs
/// [`with_policy`](Self::with_policy).
///
/// # Order
///
/// RFC 8305 section 4: families take turns, beginning with that of the resolver's first address, whose order holds
/// within each. The next attempt begins 250 ms after the one before, or at once when that fails. The first connection wins
/// and the others are closed. IPv4-mapped IPv6 addresses are dialed as IPv4.
///
/// # Limits
///
/// One attempt takes at most [10 s](Self::DEFAULT_CONNECT_TIMEOUT), the whole dial, resolving included,
/// [30 s](Self::DEFAULT_TOTAL_TIMEOUT); of one name [16 addresses](Self::DEFAULT_MAX_ATTEMPTS) are tried. Zones of link-local
/// addresses (`fe80::1%eth0`) are numbers or the names of interfaces, which the system's resolver looks up.
///
/// # Errors
///
/// [`ConnectError`], with every address tried and its error, in the order in which the attempts began: at the stage
/// `Config` (target or route cannot be honoured), `Resolve`, `Policy` (it refused all), `Dial`, or `Timeout` (the whole
/// dial, or every attempt, took too long). Its source is [`Elapsed`] where a limit passed, also while resolving.
///
/// # Cancel safety
///
/// Dropping the future drops the look-up and all attempts.
#[derive(Clone)]
pub struct Dialer<R = SystemResolver, T = TcpTransport> {
    resolver: R,
    transport: T,
    policy: Arc<dyn AddressPolicy>,
    stagger: Duration,
    connect_timeout: Duration,
    total_timeout: Duration,
    max_attempts: usize,
}

impl Dialer {
    /// The time between the beginnings of two attempts: the recommendation of RFC 8305 section 5.
    pub const DEFAULT_STAGGER: Duration = Duration::from_millis(250);

    /// RFC 8305 section 5: the time between attempts must not be less.
    pub const MIN_STAGGER: Duration = Duration::from_millis(10);

    /// The limit of one attempt: three lost SYNs are repeated within it (after 1, 3 and 7 s).
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// The limit of the whole dial, resolving included.
    pub const DEFAULT_TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

    /// How many addresses of one name are tried: a name with thousands must not become a port scan.
    pub const DEFAULT_MAX_ATTEMPTS: usize = 16;

    /// A dialer with the system's resolver, TCP with default options, and a policy that allows everything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            resolver: SystemResolver::new(),
            transport: TcpTransport::default(),
            policy: Arc::new(AllowAll),
            stagger: Self::DEFAULT_STAGGER,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            total_timeout: Self::DEFAULT_TOTAL_TIMEOUT,
            max_attempts: Self::DEFAULT_MAX_ATTEMPTS,
        }
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Dialer<R, TcpTransport> {
    /// Sets the options of the sockets.
    #[must_use]
    pub fn with_options(self, options: SocketOptions) -> Self {
        self.with_transport(TcpTransport::new(options))
    }
}

impl<R, T> Dialer<R, T> {
    /// Asks `resolver` for names.
    pub fn with_resolver<R2>(self, resolver: R2) -> Dialer<R2, T> {
        Dialer {
            resolver,
            transport: self.transport,
            policy: self.policy,
            stagger: self.stagger,
            connect_timeout: self.connect_timeout,
            total_timeout: self.total_timeout,
            max_attempts: self.max_attempts,
        }
    }

    /// Connects addresses by `transport`.
    pub fn with_transport<T2>(self, transport: T2) -> Dialer<R, T2> {
        Dialer {
            resolver: self.resolver,
            transport,
            policy: self.policy,
            stagger: self.stagger,
            connect_timeout: self.connect_timeout,
            total_timeout: self.total_timeout,
            max_attempts: self.max_attempts,
        }
    }

    /// Asks `policy` before every connect.
    #[must_use]
    pub fn with_policy(mut self, policy: impl AddressPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets the time between the beginnings of two attempts, at least [`MIN_STAGGER`](Dialer::MIN_STAGGER).
    #[must_use]
    pub fn with_stagger(mut self, stagger: Duration) -> Self {
        self.stagger = stagger.max(Dialer::MIN_STAGGER);
        self
    }

    /// Sets the limit of one attempt.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the limit of the whole dial.
    #[must_use]
    pub fn with_total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = limit;
        self
    }

    /// Sets how many addresses of one name are tried, at least one.
    #[must_use]
    pub fn with_max_attempts(mut self, addresses: usize) -> Self {
        self.max_attempts = addresses.max(1);
        self
    }
}

impl<R, T, Io> Service<Connect> for Dialer<R, T>
where
    R: Service<Lookup, Output = Addrs, Error: IntoBoxError>,
    T: Service<DialAddr, Output = Conn<Io>, Error = io::Error>,
    Io: Send + 'static,
{
    type Output = Conn<Io>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<Io>, ConnectError> {
        let Connect { target, route, ext, .. } = connect;
        let mut report = DialReport::default();
        let began = Instant::now();
        let mut deadline = pin!(sleep(self.total_timeout));
        let dialed = match self.plan(&target, &route, &ext, deadline.as_mut(), &mut report).await {
            Ok((addrs, local)) => {
                let race = Race {
                    transport: &self.transport,
                    policy: &*self.policy,
                    domain: domain_of(&target),
                    local,
                    stagger: self.stagger,
                    connect_timeout: self.connect_timeout,
                };
                let finish = race.run(addrs, deadline).await;
                report.attempts = finish.report(began);
                self.result(finish, &target)
            }
            Err(error) => Err(error),
        };
        report.elapsed = began.elapsed();
        ext.insert(report);
        dialed.map_err(|error| error.with_scope(ext))
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("connect_timeout", format_args!("{:?}", self.connect_timeout))
            .setting("total_timeout", format_args!("{:?}", self.total_timeout))
            .writes::<DialReport>()
            .child(self.resolver.describe().labelled("resolver"))
            .child(self.policy.describe().labelled("policy"))
            .child(self.transport.describe().labelled("transport"))
    }
}

impl<R, T> Dialer<R, T>
where
    R: Service<Lookup, Output = Addrs, Error: IntoBoxError>,
{
    /// The addresses to try, in order, and the local address to try them from.
    async fn plan(
        &self,
        target: &Target,
        route: &Route,
        scope: &Extensions,
        mut deadline: Pin<&mut Sleep>,
        report: &mut DialReport,
    ) -> Result<(Vec<SocketAddr>, Option<IpAddr>), ConnectError> {
        let (family, local) = choices(route, target)?;
        let (domain, port) = match target {
            Target::Addr(addr) => return Ok((literal(*addr, family, target)?, local)),
            Target::Host(HostPort { host: Host::Ip(ip), port }) => {
                return Ok((literal(SocketAddr::new(*ip, *port), family, target)?, local));
            }
            Target::Host(HostPort { host: Host::Zoned(ip, zone), port }) => {
                let scope = before(deadline.as_mut(), scope_id(*ip, zone)).await;
                let scope = scope
                    .ok_or_else(|| self.too_late(ConnectStage::Resolve, "looking up the zone", target))?
                    .map_err(|error| failed(ConnectStage::Resolve, target).with_source(error))?;
                let addr = SocketAddrV6::new(*ip, *port, 0, scope);
                return Ok((literal(addr.into(), family, target)?, local));
            }
            Target::Host(HostPort { host: Host::Domain(domain), port }) => (domain, *port),
            _ => return Err(config(format!("this connector dials hosts and addresses, not {target}"))),
        };

        self.policy
            .check_name(domain, port)
            .map_err(|refused| failed(ConnectStage::Policy, target).with_source(refused))?;
        let asked = Instant::now();
        // The one thing taken from the scope: it decides about the order of look-ups, not about the connection.
        let lookup = Lookup::new(domain.clone()).with_family(family).with_caller(Caller::in_scope(scope));
        let answer = before(deadline, self.resolver.serve(lookup)).await;
        report.resolving = Some(asked.elapsed());
        let answer = answer
            .ok_or_else(|| self.too_late(ConnectStage::Resolve, "resolving the name", target))?
            .map_err(|error| failed(ConnectStage::Resolve, target).with_source(error.into_box_error()))?;
        report.resolved = answer.iter().copied().collect();
        let addrs = plan::order(answer, port, family, self.max_attempts);
        if addrs.is_empty() {
            let error = ResolveError::NoAddresses { domain: domain.clone(), family };
            return Err(failed(ConnectStage::Resolve, target).with_source(error));
        }
        Ok((addrs, local))
    }
}

impl<R, T> Dialer<R, T> {
    /// The connection that won, or what all attempts together mean.
    fn result<Io>(&self, finish: Finish<Io>, target: &Target) -> Result<Io, ConnectError> {
        let tried = match finish.won {
            Some(conn) => return Ok(conn),
            None => finish.tried,
        };
        let all_were = |outcomes: &[DialOutcome]| tried.iter().all(|tried| outcomes.contains(&tried.outcome));
        let error = if finish.deadline_passed {
            self.too_late(ConnectStage::Timeout, "connecting", target)
        } else if all_were(&[DialOutcome::Refused]) {
            failed(ConnectStage::Policy, target)
        } else if all_were(&[DialOutcome::Refused, DialOutcome::TimedOut]) {
            let elapsed = Elapsed { what: "connecting", limit: self.connect_timeout };
            failed(ConnectStage::Timeout, target).with_source(elapsed)
        } else {
            failed(ConnectStage::Dial, target)
        };
        let given_up = Elapsed { what: "connecting", limit: self.total_timeout };
        let attempts = tried
            .into_iter()
            .map(|tried| Attempt { addr: tried.addr, error: tried.error.unwrap_or_else(|| given_up.into_box_error()) });
        Err(error.with_attempts(attempts.collect()))
    }

    fn too_late(&self, stage: ConnectStage, what: &'static str, target: &Target) -> ConnectError {
        failed(stage, target).with_source(Elapsed { what, limit: self.total_timeout })
    }
}

impl<R: fmt::Debug, T: fmt::Debug> fmt::Debug for Dialer<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("resolver", &self.resolver)
            .field("transport", &self.transport)
            .field("stagger", &self.stagger)
            .field("connect_timeout", &self.connect_timeout)
            .field("total_timeout", &self.total_timeout)
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

/// Waits for `future` until the deadline.
async fn before<F: Future>(mut deadline: Pin<&mut Sleep>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn failed(stage: ConnectStage, target: &Target) -> ConnectError {
    ConnectError::new(stage).with_message(target.to_string())
}
