use chaski_core::Extensions;

use super::*;

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_network_holds_its_addresses_in_any_form() {
    for (network, inside, outside) in [
        (
            "10.0.0.0/8",
            &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1"][..],
            &["9.255.255.255", "11.0.0.0", "::ffff:11.0.0.0", "64:ff9b::11.0.0.0", "a00::", "::"][..],
        ),
        ("192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
        ("2001:db8::/32", &["2001:db8::", "2001:db8:ffff:ffff::1"], &["2001:db7::", "2001:db9::", "32.1.13.184"]),
        ("::1", &["::1"], &["::", "::2", "127.0.0.1", "0.0.0.1"]),
        ("::ffff:10.0.0.0/104", &["10.1.2.3", "::ffff:10.1.2.3"], &["11.0.0.0"]),
        ("64:ff9b::/96", &["64:ff9b::10.1.2.3"], &["10.1.2.3", "64:ff9b:1::"]),
        ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::1", "2001:db8::"]),
        ("::/0", &["::", "2001:db8::", "::ffff:1.2.3.4"], &["1.2.3.4"]),
    ] {
        let network = cidr(network);
        for ip in inside {
            assert!(network.contains(ip.parse().unwrap()), "{ip} in {network}");
        }
        for ip in outside {
            assert!(!network.contains(ip.parse().unwrap()), "{ip} not in {network}");
        }
    }
}

#[test]
fn a_network_prints_as_it_parses() {
    for (text, printed) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(cidr(text).to_string(), printed);
        assert_eq!(cidr(printed), cidr(text));
    }
}

#[test]
fn what_is_no_network_is_refused() {
    for text in ["", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "a.test", "[::1]"] {
        assert_eq!(text.parse::<Cidr>(), Err(CidrError::Syntax), "{text}");
    }
    let network = cidr("10.0.0.0/8");
    assert_eq!("10.1.2.3/8".parse::<Cidr>(), Err(CidrError::HostBits { network }));
}

#[test]
fn classes_and_ports() {
    for (text, is_loopback, is_private) in [
        ("127.0.0.1:1", true, false),
        ("127.255.0.9:1", true, false),
        ("[::1]:1", true, false),
        ("[::ffff:127.0.0.1]:1", true, false),
        ("[64:ff9b::7f00:1]:1", true, false),
        ("10.0.0.1:1", false, true),
        ("172.16.0.1:1", false, true),
        ("172.32.0.1:1", false, false),
        ("192.168.1.1:1", false, true),
        ("[::ffff:192.168.1.1]:1", false, true),
        ("[64:ff9b::10.0.0.1]:1", false, true),
        ("[fd00::1]:1", false, true),
        ("[fe80::1]:1", false, false),
        ("169.254.169.254:1", false, false),
        ("100.64.0.1:1", false, false),
        ("0.0.0.0:1", false, false),
        ("1.1.1.1:1", false, false),
    ] {
        assert_eq!((loopback(&addr(text)), private(&addr(text))), (is_loopback, is_private), "{text}");
    }
    let https = addr("192.0.2.1:443");
    assert!(port(443)(&https) && !port(80)(&https));
    assert!(ports(1..=443)(&https) && ports(..1024)(&https) && ports(443..)(&https));
    assert!(!ports(1..443)(&https) && !ports(444..)(&https));
}

#[test]
fn each_end_is_tested_by_its_own_address() {
    let conn = Conn { io: (), ext: Extensions::new() };
    conn.ext.insert(SocketAddrs { local: addr("10.0.0.1:443"), peer: addr("192.0.2.7:50123") });
    assert!(peer(port(50123))(&conn) && !peer(port(443))(&conn));
    assert!(local(port(443))(&conn) && !local(port(50123))(&conn));
    assert!(local(private)(&conn) && !peer(private)(&conn));
    assert!(peer(in_any([cidr("198.51.100.0/24"), cidr("192.0.2.0/24")]))(&conn));
    assert!(!peer(in_any([cidr("198.51.100.0/24")]))(&conn) && !peer(in_any([]))(&conn));
}

#[test]
fn without_addresses_neither_a_test_nor_its_opposite_holds() {
    let unknown = Conn::new(());
    assert!(!peer(loopback)(&unknown) && !peer(|addr: &SocketAddr| !loopback(addr))(&unknown));
    assert!(!local(port(1))(&unknown) && !local(|_: &SocketAddr| true)(&unknown));
}
