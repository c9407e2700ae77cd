//! Which addresses are tried, and in which order.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use chaski_core::canonical_ip;

use super::IpFamily;

/// The addresses of a resolver's answer in the order of attempts: families interleaved from that of the first address on,
/// the answer's order within each, every address once, at most `limit` of them.
pub(super) fn order(
    answer: impl IntoIterator<Item = IpAddr>,
    port: u16,
    family: IpFamily,
    limit: usize,
) -> Vec<SocketAddr> {
    let mut addrs: Vec<IpAddr> = Vec::new();
    for ip in answer {
        // An IPv4-mapped address is reachable over IPv4 alone, on machines without IPv6 too.
        let ip = canonical_ip(ip);
        // Quadratic in the number of addresses, of which an answer has few.
        if family.allows(ip) && !addrs.contains(&ip) {
            addrs.push(ip);
        }
    }
    let first = addrs.first().map_or(IpFamily::Any, |ip| IpFamily::of(*ip));
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) = addrs.into_iter().partition(|ip| first.allows(*ip));

    // RFC 8305 section 4: with a First Address Family Count of one, the families take turns.
    let mut ordered = Vec::new();
    while ordered.len() < limit
        && let Some(ip) = these.pop_front().or_else(|| others.pop_front())
    {
        ordered.push(SocketAddr::new(ip, port));
        std::mem::swap(&mut these, &mut others);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, family: IpFamily, limit: usize, expected: &str) {
        let answer = answer.split_whitespace().map(|ip| ip.parse().unwrap());
        let expected: Vec<SocketAddr> =
            expected.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect();
        assert_eq!(order(answer, 80, family, limit), expected);
    }

    /// NET-02, DNS-05: the answer's order holds within each family, and its first address is tried first; waits: a resolver that
    /// shuffles.
    #[test]
    fn net_02_families_take_turns_from_the_first_address_on() {
        use IpFamily::{Any, V4, V6};
        check("", Any, 9, "");
        check("::a ::b ::c 1.1.1.1 2.2.2.2", Any, 9, "::a 1.1.1.1 ::b 2.2.2.2 ::c");
        check("1.1.1.1 2.2.2.2 3.3.3.3 ::a", Any, 9, "1.1.1.1 ::a 2.2.2.2 3.3.3.3");
        check("::b 1.1.1.1 ::a", Any, 9, "::b 1.1.1.1 ::a");
        check("::a 1.1.1.1 ::b", V4, 9, "1.1.1.1");
        check("::a 1.1.1.1 ::b", V6, 9, "::a ::b");
        check("::a ::b 1.1.1.1 2.2.2.2", Any, 3, "::a 1.1.1.1 ::b");
        check("1.1.1.1 1.1.1.1 ::a ::a", Any, 9, "1.1.1.1 ::a");
    }

    /// NET-04: what is mapped is IPv4, for the order and for the family asked for too.
    #[test]
    fn net_04_mapped_addresses_are_ipv4() {
        check("::ffff:1.1.1.1 1.1.1.1 ::a", IpFamily::Any, 9, "1.1.1.1 ::a");
        check("::ffff:1.1.1.1", IpFamily::V4, 9, "1.1.1.1");
        check("::ffff:1.1.1.1", IpFamily::V6, 9, "");
    }
}
