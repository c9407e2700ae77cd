//! The rules under a dialer that asks them as every dialer does.

use std::sync::Arc;

use chaski_core::{
    AddressPolicy, Attempt, BoxError, BoxIo, Bridge, Candidate, Conn, Connect, ConnectError, ConnectStage, Service,
    Target, service_fn, service_fn_with,
    test_util::{Pipe, pipe},
};
use chaski_proxy::{Rule, Rules, Tunnel};

use crate::support::{request, text, unfailing};

/// Resolves every name to 10.1.2.3, and connects what the rules allow.
async fn dial(rules: Arc<Rules>, connect: Connect) -> Result<Conn<Pipe>, ConnectError> {
    let Target::Host(target) = connect.target else { panic!("CONNECT has a host") };
    if let Some(domain) = target.host.as_domain() {
        let refused = |refused| ConnectError::new(ConnectStage::Policy).with_source(refused);
        rules.check_name(domain, target.port).map_err(refused)?;
    }
    let ip = target.host.ip().unwrap_or([10, 1, 2, 3].into());
    let addr = (ip, target.port).into();
    rules.check(&Candidate::new(target.host.as_domain(), addr)).map_err(|refused| {
        ConnectError::new(ConnectStage::Policy).with_attempts(vec![Attempt { addr, error: refused.into() }])
    })?;
    Ok(Conn::new(pipe().0))
}

async fn tunnel(rules: Rules, target: &str) -> (u16, String) {
    let relay = service_fn(async |_: Bridge<BoxIo, Pipe>| Ok::<_, BoxError>(()));
    let tunnel = Tunnel::new(service_fn_with(Arc::new(rules), dial), relay);
    let response = unfailing(tunnel.serve(request("CONNECT", target, &[])).await);
    (response.status().as_u16(), text(response).await)
}

#[tokio::test]
async fn a_refused_target_is_answered_with_403_and_the_reason() {
    let answer = tunnel(Rules::public_only(), "127.0.0.1:22").await;
    let expected = "refused to connect to 127.0.0.1:22: no rule allows 127.0.0.1:22, whose address is loopback\n";
    assert_eq!(answer, (403, expected.to_owned()));
    let (status, line) = tunnel(Rules::public_only(), "db.example:22").await;
    assert_eq!(status, 403);
    assert!(!line.contains("10.1.2.3"), "{line}");
}

#[tokio::test]
async fn a_rule_opens_what_it_names() {
    let rules = || Rules::public_only().with_rule("allow db.example:22".parse().unwrap());
    assert_eq!(tunnel(rules(), "db.example:22").await.0, 200);
    assert_eq!(tunnel(rules(), "db.example:23").await.0, 403);
    assert_eq!(tunnel(rules(), "10.1.2.3:22").await.0, 403);
}

#[tokio::test]
async fn a_denied_target_is_told_the_rule() {
    let rules =
        || ["deny *:22", "deny 10.1.0.0/16", "allow *"].iter().map(|rule| rule.parse::<Rule>().unwrap()).collect();
    for (target, reason) in [
        ("db.example:22", "denied by the rule \"deny *:22\""),
        ("10.1.2.3:22", "denied by the rule \"deny *:22\""),
        ("10.1.2.3:80", "denied by the rule \"deny 10.1.0.0/16\""),
        ("db.example:80", "denied by rule 2, which is about addresses"),
    ] {
        let expected = (403, format!("refused to connect to {target}: {reason}\n"));
        assert_eq!(tunnel(rules(), target).await, expected);
    }
}

/// PRX-11: a tunnel to the proxy's own address is refused as a loop.
#[tokio::test]
async fn prx_11_the_proxys_own_address_is_answered_with_508() {
    let rules = || {
        let rules = Rules::public_only().with_rule("allow 0.0.0.0/0".parse().unwrap());
        rules.with_own_addresses(["127.0.0.1:3128".parse().unwrap()])
    };
    let expected = "refused to connect to 127.0.0.1:3128: that is an address of this proxy itself\n";
    assert_eq!(tunnel(rules(), "127.0.0.1:3128").await, (508, expected.to_owned()));
    assert_eq!(tunnel(rules(), "127.0.0.1:3129").await.0, 200);
}
