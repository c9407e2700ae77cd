use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{Candidate, Domain, Extensions, Refused, find_cause, service_fn_with};
use tokio::time::timeout;

use super::*;

/// What the scripted network does with an attempt, after a time in milliseconds.
#[derive(Clone, Copy)]
enum Does {
    Connect(u64),
    Fail(u64, io::ErrorKind),
    Nothing,
}

use Does::{Connect as Yes, Fail, Nothing};

/// A network that follows a script, and remembers when it was asked for what.
#[derive(Clone)]
struct Network {
    script: Arc<[(SocketAddr, Does)]>,
    asked: Arc<Mutex<Vec<(DialAddr, Duration)>>>,
    begun: Instant,
    under_way: Arc<AtomicUsize>,
}

/// Counts an attempt as under way until it is over or dropped.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Network {
    fn new(script: &[(&str, Does)]) -> Self {
        Self {
            script: script.iter().map(|(ip, does)| (addr(ip), *does)).collect(),
            asked: Arc::default(),
            begun: Instant::now(),
            under_way: Arc::default(),
        }
    }

    /// What was asked for, and after how many milliseconds.
    fn asked(&self) -> Vec<(SocketAddr, u128)> {
        self.asked.lock().unwrap().iter().map(|(dial, at)| (dial.addr, at.as_millis())).collect()
    }

    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl Service<DialAddr> for Network {
    type Output = Conn<SocketAddr>;
    type Error = io::Error;

    async fn serve(&self, dial: DialAddr) -> io::Result<Conn<SocketAddr>> {
        self.asked.lock().unwrap().push((dial, self.begun.elapsed()));
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(Arc::clone(&self.under_way));
        let (_, does) = self.script.iter().find(|(addr, _)| *addr == dial.addr).expect("an address of the script");
        match does {
            Yes(ms) => {
                sleep(Duration::from_millis(*ms)).await;
                Ok(Conn::new(dial.addr))
            }
            Fail(ms, kind) => {
                sleep(Duration::from_millis(*ms)).await;
                Err((*kind).into())
            }
            Nothing => std::future::pending().await,
        }
    }
}

/// Port 80 of an address.
fn addr(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 80)
}

fn asked(list: &[(&str, u128)]) -> Vec<(SocketAddr, u128)> {
    list.iter().map(|(ip, at)| (addr(ip), *at)).collect()
}

/// A resolver that knows one answer, given after `ms` milliseconds.
fn resolver(answer: &str, ms: u64) -> impl Service<Lookup, Output = Addrs, Error = ResolveError> + Clone {
    let answer: Addrs = answer.split_whitespace().map(|ip| ip.parse::<IpAddr>().unwrap()).collect();
    service_fn_with(answer, move |answer: Addrs, _: Lookup| async move {
        sleep(Duration::from_millis(ms)).await;
        Ok(answer)
    })
}

fn dialer<R>(resolver: R, network: &Network) -> Dialer<R, Network> {
    Dialer::new().with_resolver(resolver).with_transport(network.clone())
}

fn to(target: &str) -> Connect {
    Connect::new(target.parse::<HostPort>().unwrap())
}

/// NET-02: three black-holed IPv6 addresses cost one stagger, and their attempts end with the dial.
#[tokio::test(start_paused = true)]
async fn net_02_dead_addresses_of_one_family_do_not_delay_the_other() {
    let network = Network::new(&[("::a", Nothing), ("::b", Nothing), ("::c", Nothing), ("1.1.1.1", Yes(40))]);
    let dialer = dialer(resolver("::a ::b ::c 1.1.1.1", 10), &network);
    let connect = to("example.com:80");
    let scope = connect.ext.clone();
    let began = Instant::now();
    let conn = dialer.serve(connect).await.unwrap();

    assert_eq!(conn.io, addr("1.1.1.1"));
    assert_eq!(began.elapsed(), Duration::from_millis(10 + 250 + 40));
    assert_eq!(network.asked(), asked(&[("::a", 10), ("1.1.1.1", 260)]));
    assert_eq!(network.under_way(), 0, "the loser is dropped");

    let report = scope.get::<DialReport>().unwrap();
    assert_eq!(report.chosen(), Some(addr("1.1.1.1")));
    assert_eq!(report.resolved.len(), 4);
    assert_eq!(report.resolving, Some(Duration::from_millis(10)));
    assert_eq!(report.elapsed, Duration::from_millis(300));
    let [lost, won] = report.attempts[..] else { panic!("{report:?}") };
    assert_eq!((lost.addr, lost.outcome), (addr("::a"), DialOutcome::Abandoned));
    assert_eq!((lost.began, lost.elapsed), (Duration::from_millis(10), Duration::from_millis(290)));
    assert_eq!((won.began, won.elapsed), (Duration::from_millis(260), Duration::from_millis(40)));
    // The connection remembers nothing of the request that opened it.
    assert!(conn.ext.is_empty());
}

/// NET-02: a failure starts the next attempt at once, and the stagger counts from there.
#[tokio::test(start_paused = true)]
async fn net_02_a_failure_starts_the_next_attempt_at_once() {
    let network = Network::new(&[
        ("::a", Fail(20, io::ErrorKind::NetworkUnreachable)),
        ("1.1.1.1", Nothing),
        ("::b", Nothing),
        ("2.2.2.2", Yes(0)),
    ]);
    let conn = dialer(resolver("::a ::b 1.1.1.1 2.2.2.2", 0), &network).serve(to("example.com:80")).await.unwrap();
    assert_eq!(conn.io, addr("2.2.2.2"));
    assert_eq!(network.asked(), asked(&[("::a", 0), ("1.1.1.1", 20), ("::b", 270), ("2.2.2.2", 520)]));
    assert_eq!(network.under_way(), 0);
}

/// NET-02: also when an earlier attempt is still under way.
#[tokio::test(start_paused = true)]
async fn net_02_a_failure_does_not_wait_for_those_under_way() {
    let refused = io::ErrorKind::ConnectionRefused;
    let network = Network::new(&[
        ("::a", Nothing),
        ("1.1.1.1", Fail(10, refused)),
        ("::b", Fail(5, refused)),
        ("2.2.2.2", Yes(0)),
    ]);
    let conn = dialer(resolver("::a ::b 1.1.1.1 2.2.2.2", 0), &network).serve(to("example.com:80")).await.unwrap();
    assert_eq!(conn.io, addr("2.2.2.2"));
    assert_eq!(network.asked(), asked(&[("::a", 0), ("1.1.1.1", 250), ("::b", 260), ("2.2.2.2", 265)]));
    assert_eq!(network.under_way(), 0);
}

/// NET-02: an attempt goes on when the next one begins, and may win.
#[tokio::test(start_paused = true)]
async fn net_02_the_first_connection_wins_not_the_last_attempt() {
    let network = Network::new(&[("::a", Yes(400)), ("1.1.1.1", Yes(200))]);
    let conn = dialer(resolver("::a 1.1.1.1", 0), &network).serve(to("example.com:80")).await.unwrap();
    assert_eq!(conn.io, addr("::a"));
    assert_eq!(network.under_way(), 0);
}

/// NET-02: the stagger is a setting, with the floor of RFC 8305 section 5.
#[tokio::test(start_paused = true)]
async fn net_02_the_stagger_can_be_set() {
    for (set, effective) in [(100, 100), (0, 10)] {
        let network = Network::new(&[("::a", Nothing), ("1.1.1.1", Yes(0))]);
        let dialer = dialer(resolver("::a 1.1.1.1", 0), &network).with_stagger(Duration::from_millis(set));
        dialer.serve(to("example.com:80")).await.unwrap();
        assert_eq!(network.asked(), asked(&[("::a", 0), ("1.1.1.1", effective)]));
    }
}

/// NET-03: the error lists the attempts of both families, in order.
#[tokio::test(start_paused = true)]
async fn net_03_all_errors_are_reported() {
    let network = Network::new(&[
        ("::a", Fail(0, io::ErrorKind::ConnectionRefused)),
        ("1.1.1.1", Fail(5, io::ErrorKind::NetworkUnreachable)),
    ]);
    let connect = to("example.com:80");
    let scope = connect.ext.clone();
    let error = dialer(resolver("::a 1.1.1.1", 0), &network).serve(connect).await.unwrap_err();

    assert_eq!(error.stage(), ConnectStage::Dial);
    let kinds: Vec<_> = error
        .attempts()
        .iter()
        .map(|attempt| (attempt.addr, attempt.error.downcast_ref::<io::Error>().unwrap().kind()))
        .collect();
    let expected =
        [(addr("::a"), io::ErrorKind::ConnectionRefused), (addr("1.1.1.1"), io::ErrorKind::NetworkUnreachable)];
    assert_eq!(kinds, expected);
    let text = error.to_string();
    assert!(text.starts_with("cannot connect: example.com:80 ([::a]:80: "), "{text}");
    assert!(error.another_route());

    // The report is found through the error and through the request alike.
    assert!(error.scope().same_scope(&scope));
    let report = scope.get::<DialReport>().unwrap();
    assert_eq!(report.chosen(), None);
    assert_eq!(report.attempts[1].outcome, DialOutcome::Failed(io::ErrorKind::NetworkUnreachable));
}

/// NET-04: a mapped address is dialed as IPv4, whether it is a literal, an address or an answer.
#[tokio::test(start_paused = true)]
async fn net_04_mapped_targets_are_dialed_as_ipv4() {
    let network = Network::new(&[("127.0.0.1", Yes(0))]);
    let dialer = dialer(resolver("::ffff:127.0.0.1", 0), &network);
    for connect in [to("[::ffff:127.0.0.1]:80"), Connect::new(addr("::ffff:127.0.0.1")), to("mapped.test:80")] {
        assert_eq!(dialer.serve(connect).await.unwrap().io, addr("127.0.0.1"));
    }
}

/// NET-05: a zone is a number or an interface's name, and reaches the socket; it is looked up before the dial.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn net_05_zones_are_dialed() {
    let script: Arc<[_]> = [("fe80::1", 1), ("fe80::1", 7)]
        .map(|(ip, scope)| (SocketAddrV6::new(ip.parse().unwrap(), 80, 0, scope).into(), Yes(0)))
        .into();
    let network = Network { script, ..Network::new(&[]) };
    let dialer = dialer(resolver("", 0), &network);
    // The loopback interface is number 1 in every network namespace of Linux.
    for (target, scope) in [("[fe80::1%lo]:80", 1), ("[fe80::1%7]:80", 7)] {
        match dialer.serve(to(target)).await.unwrap().io {
            SocketAddr::V6(addr) => assert_eq!(addr.scope_id(), scope),
            SocketAddr::V4(addr) => panic!("{addr}"),
        }
    }
    let error = dialer.serve(to("[fe80::1%nowhere9]:80")).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Resolve);
    assert_eq!(find_cause::<io::Error>(&error).unwrap().to_string(), "no network interface is named nowhere9");
}

/// DNS-06: a name without addresses, or with none of the family, is a clear error at once; waits: the DNS crate's own answers.
#[tokio::test(start_paused = true)]
async fn dns_06_no_addresses_is_an_error() {
    let network = Network::new(&[]);
    for (answer, route, text) in [
        ("", Route::default(), "example.com has no IP address"),
        ("::a", Route::default().with(IpFamily::V4), "example.com has no IPv4 address"),
    ] {
        let connect = to("example.com:80").with_route(route);
        let error = dialer(resolver(answer, 0), &network).serve(connect).await.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Resolve);
        assert_eq!(find_cause::<ResolveError>(&error).unwrap().to_string(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_of_any_error_can_fail() {
    let network = Network::new(&[]);
    let broken = chaski_core::service_fn(async |_: Lookup| Err::<Addrs, &'static str>("the dog ate it"));
    let error = dialer(broken, &network).serve(to("example.com:80")).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Resolve);
    let text = chaski_core::display_chain(&error).to_string();
    assert_eq!(text, "cannot resolve the name: example.com:80: the dog ate it");
}

#[tokio::test(start_paused = true)]
async fn attempts_that_all_take_too_long_are_a_timeout() {
    let network = Network::new(&[("::a", Nothing), ("1.1.1.1", Nothing)]);
    let dialer = dialer(resolver("::a 1.1.1.1", 0), &network).with_connect_timeout(Duration::from_secs(2));
    let began = Instant::now();
    let error = dialer.serve(to("example.com:80")).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(2_250));
    assert_eq!((error.stage(), error.attempts().len()), (ConnectStage::Timeout, 2));
    let elapsed = Elapsed { what: "connecting", limit: Duration::from_secs(2) };
    assert_eq!(find_cause::<Elapsed>(&error), Some(&elapsed));
    assert_eq!(error.attempts()[0].error.downcast_ref::<Elapsed>(), Some(&elapsed));
}

#[tokio::test(start_paused = true)]
async fn the_whole_dial_is_bounded() {
    let network = Network::new(&[("::a", Fail(10, io::ErrorKind::ConnectionRefused)), ("1.1.1.1", Nothing)]);
    let dialer = dialer(resolver("::a 1.1.1.1", 900), &network).with_total_timeout(Duration::from_secs(1));
    let began = Instant::now();
    let error = dialer.serve(to("example.com:80")).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(error.stage(), ConnectStage::Timeout);
    let elapsed = Elapsed { what: "connecting", limit: Duration::from_secs(1) };
    assert_eq!(find_cause::<Elapsed>(&error), Some(&elapsed));
    let [refused, under_way] = error.attempts() else { panic!("{error}") };
    assert_eq!(refused.error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!((under_way.addr, under_way.error.downcast_ref()), (addr("1.1.1.1"), Some(&elapsed)));
    assert_eq!(network.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn resolving_counts_towards_the_limit_of_the_dial() {
    let network = Network::new(&[]);
    let began = Instant::now();
    let error = dialer(resolver("::a", 3_600_000), &network).serve(to("example.com:80")).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert_eq!(error.stage(), ConnectStage::Resolve);
    assert_eq!(find_cause::<Elapsed>(&error).unwrap().what, "resolving the name");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_dial_drops_every_attempt() {
    let network = Network::new(&[("::a", Nothing), ("1.1.1.1", Nothing), ("::b", Nothing)]);
    let dialer = dialer(resolver("::a ::b 1.1.1.1", 0), &network);
    let dial = timeout(Duration::from_millis(300), dialer.serve(to("example.com:80")));
    let mut dial = Box::pin(dial);
    assert!(timeout(Duration::from_millis(260), dial.as_mut()).await.is_err());
    assert_eq!(network.under_way(), 2);
    drop(dial);
    assert_eq!(network.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_with_very_many_addresses_is_not_a_port_scan() {
    let ips: Vec<String> = (1..=200).map(|n| format!("10.0.0.{n}")).collect();
    let script: Vec<_> = ips.iter().map(|ip| (ip.as_str(), Fail(0, io::ErrorKind::ConnectionRefused))).collect();
    let network = Network::new(&script);
    let many = dialer(resolver(&ips.join(" "), 0), &network);
    assert_eq!(many.serve(to("example.com:80")).await.unwrap_err().attempts().len(), 16);
    let few = many.with_max_attempts(2);
    assert_eq!(few.serve(to("example.com:80")).await.unwrap_err().attempts().len(), 2);
}

/// Refuses loopback, and remembers what it was asked.
#[derive(Clone, Default)]
struct NoLoopback {
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The name and the address that a policy was asked about.
type Asked = (Option<String>, SocketAddr);

impl AddressPolicy for NoLoopback {
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused> {
        self.asked.lock().unwrap().push((candidate.domain().map(Domain::to_string), candidate.addr()));
        if candidate.addr().ip().is_loopback() { Err(Refused::new("loopback")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_is_asked_before_every_connect() {
    let network = Network::new(&[("1.1.1.1", Fail(0, io::ErrorKind::ConnectionRefused)), ("2.2.2.2", Yes(0))]);
    let policy = NoLoopback::default();
    let dialer = dialer(resolver("::1 1.1.1.1 127.0.0.1 2.2.2.2 3.3.3.3", 0), &network).with_policy(policy.clone());
    let conn = dialer.serve(to("example.com:80")).await.unwrap();
    assert_eq!(conn.io, addr("2.2.2.2"));
    assert_eq!(network.asked(), asked(&[("1.1.1.1", 0), ("2.2.2.2", 0)]), "refused addresses cost no time");
    let seen = policy.asked.lock().unwrap().clone();
    let name = || Some("example.com".to_owned());
    let expected = ["::1", "1.1.1.1", "127.0.0.1", "2.2.2.2"].map(|ip| (name(), addr(ip)));
    assert_eq!(seen, expected, "and not for the one that was never tried");
}

/// Refuses one name.
struct NotThisName;

impl AddressPolicy for NotThisName {
    fn check(&self, _: &Candidate<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn check_name(&self, domain: &Domain, port: u16) -> Result<(), Refused> {
        match (domain.as_str(), port) {
            ("ads.test", 443) => Err(Refused::new("not this name")),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_policy_refuses_is_not_resolved() {
    let network = Network::new(&[("1.1.1.1", Yes(0))]);
    let dialer = dialer(resolver("1.1.1.1", 0), &network).with_policy(Arc::new(NotThisName));
    let refused = to("ads.test:443");
    let scope = refused.ext.clone();
    let error = dialer.serve(refused).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Policy);
    assert!(error.attempts().is_empty() && chaski_core::find_cause::<Refused>(&error).is_some());
    assert_eq!(scope.get::<DialReport>().unwrap().resolving, None);
    assert!(network.asked().is_empty());
    let other_port = dialer.serve(to("ads.test:80")).await.unwrap();
    assert_eq!(other_port.io, addr("1.1.1.1"));
}

#[tokio::test(start_paused = true)]
async fn when_the_policy_refuses_all_nothing_is_sent() {
    let network = Network::new(&[]);
    let dialer = dialer(resolver("::1 127.0.0.1", 0), &network).with_policy(NoLoopback::default());
    let targets = [to("rebind.test:80"), to("127.0.0.1:80"), to("[::ffff:127.0.0.1]:80"), Connect::new(addr("::1"))];
    for connect in targets {
        let scope = connect.ext.clone();
        let error = dialer.serve(connect).await.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Policy);
        assert!(!error.another_route());
        assert!(error.attempts().iter().all(|attempt| attempt.error.is::<Refused>()));
        let report = scope.get::<DialReport>().unwrap();
        assert!(report.attempts.iter().all(|attempt| attempt.outcome == DialOutcome::Refused));
    }
    assert!(network.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_route_chooses_family_and_local_address() {
    let both = |route: Route| {
        let network = Network::new(&[("::a", Yes(0)), ("1.1.1.1", Yes(0))]);
        async move {
            let dialer = dialer(resolver("::a 1.1.1.1", 0), &network);
            let conn = dialer.serve(to("example.com:80").with_route(route)).await.unwrap();
            let dial = network.asked.lock().unwrap()[0].0;
            assert_eq!(conn.io, dial.addr);
            dial
        }
    };
    let local: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(both(Route::default()).await, DialAddr::new(addr("::a")));
    assert_eq!(both(Route::default().with(IpFamily::V4)).await, DialAddr::new(addr("1.1.1.1")));
    assert_eq!(both(Route::default().with(IpFamily::V6)).await, DialAddr::new(addr("::a")));
    let from_here = DialAddr::new(addr("1.1.1.1")).with_local(Some(local));
    assert_eq!(both(Route::default().with(LocalAddr(local))).await, from_here);
    let mapped = LocalAddr("::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(both(Route::default().with(mapped)).await, from_here);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_honoured_is_an_error_of_the_configuration() {
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Unheard(u8);

    let network = Network::new(&[]);
    let dialer = dialer(resolver("::a", 0), &network);
    let local = LocalAddr("192.0.2.7".parse().unwrap());
    let cases = [
        (to("example.com:80").with_route(Route::default().with(Unheard(1))), "::Unheard`"),
        (to("[::a]:80").with_route(Route::default().with(IpFamily::V4)), "[::a]:80 is not an IPv4 address"),
        (to("[::a]:80").with_route(Route::default().with(local)), "[::a]:80 is not an IPv4 address"),
        (to("example.com:80").with_route(Route::default().with(local).with(IpFamily::V6)), "asks for IPv6, and for"),
        (Connect::new(Target::Unix("/run/x".into())), "not unix:/run/x"),
    ];
    for (connect, text) in cases {
        let error = dialer.serve(connect).await.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Config);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(network.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn facts_of_the_request_do_not_decide() {
    let network = Network::new(&[("::a", Yes(0))]);
    let scope = Extensions::new();
    scope.insert(IpFamily::V4);
    let connect = to("example.com:80").with_scope(scope.fork());
    assert_eq!(dialer(resolver("::a", 0), &network).serve(connect).await.unwrap().io, addr("::a"));
}

#[test]
fn a_dialer_describes_itself() {
    let expected = "Dialer connect_timeout=10s total_timeout=30s  writes DialReport\n\
                    ├─ resolver: SystemResolver concurrency=64 of_one_caller=8\n\
                    ├─ policy: AllowAll\n\
                    └─ transport: TcpTransport  writes SocketAddrs, EffectiveSocketOptions\n";
    assert_eq!(Dialer::new().describe().to_string(), expected);
}

/// So that callers take turns: the user if there is one, else the address that the request came from.
#[tokio::test(start_paused = true)]
async fn a_lookup_tells_on_whose_behalf_it_is() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let resolver = service_fn_with(Arc::clone(&asked), async |asked: Arc<Mutex<Vec<Caller>>>, lookup: Lookup| {
        asked.lock().unwrap().push(lookup.caller);
        Ok::<_, ResolveError>(Addrs::default())
    });
    let dialer = Dialer::new().with_resolver(resolver);
    let scope = Extensions::new();
    let wish = || Connect::new("www.example:80".parse::<HostPort>().unwrap()).with_scope(scope.fork());
    dialer.serve(wish()).await.unwrap_err();
    let peer = "10.1.2.3:999".parse().unwrap();
    scope.insert(chaski_core::SocketAddrs { local: peer, peer });
    dialer.serve(wish()).await.unwrap_err();
    scope.insert(chaski_core::User("ana".into()));
    dialer.serve(wish()).await.unwrap_err();
    let ana = Caller::User(chaski_core::User("ana".into()));
    assert_eq!(*asked.lock().unwrap(), [Caller::Unknown, Caller::Address([10, 1, 2, 3].into()), ana]);
}
