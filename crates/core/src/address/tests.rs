use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use proptest::prelude::*;

use super::AddressParseErrorKind as Kind;
use super::*;

/// A text, and what it prints as once parsed, or the kind and the position of the error.
type Case<'a> = (&'a str, Result<&'a str, (Kind, usize)>);

#[track_caller]
fn check<T>(cases: &[Case<'_>])
where
    T: std::str::FromStr<Err = AddressParseError> + ToString,
{
    for (input, expected) in cases {
        let actual = input.parse::<T>();
        let actual = actual.map(|value| value.to_string()).map_err(|error| (error.kind(), error.position()));
        let expected = expected.map(str::to_owned);
        assert_eq!(actual, expected, "input {input:?}");
    }
}

const fn bad(character: char, part: AddressPart) -> Kind {
    Kind::InvalidCharacter(character, part)
}

#[test]
fn domains() {
    use AddressPart::Domain as Part;

    let label_63 = "a".repeat(63);
    let label_64 = format!("x.{}", "a".repeat(64));
    // 3 * 64 + 61 = 253 bytes, and one more.
    let name_253 = format!("{label_63}.{label_63}.{label_63}.{}", "b".repeat(61));
    let name_254 = format!("{name_253}b");
    let absolute_253 = format!("{name_253}.");
    check::<Domain>(&[
        ("localhost", Ok("localhost")),
        ("Example.COM", Ok("example.com")),
        ("example.com.", Ok("example.com.")),
        ("_dmarc.a_b.example", Ok("_dmarc.a_b.example")),
        ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
        ("1.example", Ok("1.example")),
        ("127.0.0.1a", Ok("127.0.0.1a")),
        ("0x7g", Ok("0x7g")),
        ("1.0x.org", Ok("1.0x.org")),
        ("r3---sn-x.example", Ok("r3---sn-x.example")),
        (&label_63, Ok(&label_63)),
        (&name_253, Ok(&name_253)),
        (&absolute_253, Ok(&absolute_253)),
        ("", Err((Kind::Empty(Part), 0))),
        (".", Err((Kind::LabelEmpty, 0))),
        (".a", Err((Kind::LabelEmpty, 0))),
        ("a..b", Err((Kind::LabelEmpty, 2))),
        ("a..", Err((Kind::LabelEmpty, 2))),
        ("foo!bar", Err((bad('!', Part), 3))),
        ("foo bar", Err((bad(' ', Part), 3))),
        ("foo\r\nHost: x", Err((bad('\r', Part), 3))),
        ("foo\0", Err((bad('\0', Part), 3))),
        ("*.example", Err((bad('*', Part), 0))),
        ("user@example", Err((bad('@', Part), 4))),
        ("example:80", Err((bad(':', Part), 7))),
        ("a%2eb", Err((bad('%', Part), 1))),
        ("-a.b", Err((Kind::LabelStartsWithHyphen, 0))),
        ("a.-b", Err((Kind::LabelStartsWithHyphen, 2))),
        ("a-.b", Err((Kind::LabelEndsWithHyphen, 1))),
        ("a.b-", Err((Kind::LabelEndsWithHyphen, 3))),
        ("a.b-.", Err((Kind::LabelEndsWithHyphen, 3))),
        (&label_64, Err((Kind::LabelTooLong, 65))),
        (&name_254, Err((Kind::NameTooLong, 253))),
        // WHATWG URL, "ends in a number checker".
        ("127.0.0.1", Err((Kind::EndsInNumber, 8))),
        ("127.1", Err((Kind::EndsInNumber, 4))),
        ("127.1.", Err((Kind::EndsInNumber, 4))),
        ("0x7f.1", Err((Kind::EndsInNumber, 5))),
        ("2130706433", Err((Kind::EndsInNumber, 0))),
        ("0x7f000001", Err((Kind::EndsInNumber, 0))),
        ("foo.0x", Err((Kind::EndsInNumber, 4))),
        ("foo.0XfF", Err((Kind::EndsInNumber, 4))),
        ("foo.09", Err((Kind::EndsInNumber, 4))),
    ]);
}

#[cfg(feature = "idna")]
#[test]
fn international_domains() {
    let long = "ü".repeat(60);
    let huge = "ü".repeat(600);
    check::<Domain>(&[
        ("bücher.example", Ok("xn--bcher-kva.example")),
        ("BÜCHER.example.", Ok("xn--bcher-kva.example.")),
        // Non-transitional: the sharp s is kept, not turned into "ss".
        ("faß.de", Ok("xn--fa-hia.de")),
        // The Russian test name of RFC 3492's successors, as IANA delegated it.
        ("пример.испытание", Ok("xn--e1afmkfd.xn--80akhbyknj4f")),
        // Full-width letters and the ideographic full stop are mapped to ASCII.
        ("ｅｘａｍｐｌｅ。com", Ok("example.com")),
        ("b_ü.example", Ok("xn--b_-yka.example")),
        ("bü!.de", Err((bad('!', AddressPart::Domain), 3))),
        // What the mapping makes of these passes the rules for ASCII names, or fails by them.
        ("１２７.１", Err((Kind::InvalidInternational, 0))),
        ("a％b", Err((Kind::InvalidInternational, 1))),
        ("a。。b", Err((Kind::InvalidInternational, 1))),
        ("a\u{200b}.\u{202e}", Err((Kind::InvalidInternational, 1))),
        ("ü.1", Err((Kind::InvalidInternational, 0))),
        (&long, Err((Kind::InvalidInternational, 0))),
        // 253 is inside a character.
        (&huge, Err((Kind::NameTooLong, 252))),
    ]);
}

#[cfg(not(feature = "idna"))]
#[test]
fn international_domains_name_the_missing_feature() {
    check::<Domain>(&[
        ("bücher.example", Err((Kind::NonAscii('ü'), 1))),
        ("example。com", Err((Kind::NonAscii('。'), 7))),
    ]);
    let error = "bücher".parse::<Domain>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "non-ASCII character 'ü' in domain, which needs the feature `idna`, at byte 1 of \"bücher\"",
    );
}

#[test]
fn a_trailing_dot_is_told_apart_and_not_sent() {
    let relative: Domain = "Host.example".parse().unwrap();
    let absolute: Domain = "host.example.".parse().unwrap();
    assert_ne!(relative, absolute);
    assert_eq!(relative.as_str(), absolute.as_str());
    assert!(absolute.is_absolute() && !relative.is_absolute());
    assert!(absolute.is_subdomain_of(&relative) && relative.is_subdomain_of(&absolute));
    assert_eq!(Host::from(absolute).uri().to_string(), "host.example");
}

#[test]
fn a_static_domain_equals_a_parsed_one() {
    const NAME: Domain = Domain::from_static("example.com");
    let parsed: Domain = "EXAMPLE.com".parse().unwrap();
    assert_eq!(NAME, parsed);
    assert_eq!(NAME.cmp(&parsed), std::cmp::Ordering::Equal);
    assert!(HashSet::from([NAME]).contains(&parsed));
}

#[test]
#[should_panic(expected = "not lower case")]
fn a_static_domain_is_lower_case() {
    Domain::from_static("Example.com");
}

#[test]
#[should_panic(expected = "not a valid domain name")]
fn a_static_domain_is_valid() {
    Domain::from_static("127.1");
}

#[test]
fn subdomains_are_compared_by_label() {
    let below = |a: &'static str, b: &'static str| Domain::from_static(a).is_subdomain_of(&Domain::from_static(b));
    assert!(below("example.com", "example.com"));
    assert!(below("a.b.example.com", "example.com"));
    assert!(!below("badexample.com", "example.com"));
    assert!(!below("example.com", "a.example.com"));
    assert!(!below("com", "example.com"));
}

#[test]
fn hosts() {
    use AddressPart::{Domain, Host as Whole, Ipv6};

    check::<Host>(&[
        ("example.com", Ok("example.com")),
        ("192.0.2.1", Ok("192.0.2.1")),
        ("2001:DB8::1", Ok("2001:db8::1")),
        ("[2001:db8::1]", Ok("2001:db8::1")),
        ("::", Ok("::")),
        ("::ffff:127.0.0.1", Ok("::ffff:127.0.0.1")),
        ("", Err((Kind::Empty(Whole), 0))),
        // Strictly four decimal octets.
        ("127.1", Err((Kind::InvalidIpv4, 4))),
        ("0x7f.1", Err((Kind::InvalidIpv4, 0))),
        ("127.0.0.01", Err((Kind::InvalidIpv4, 8))),
        ("0177.0.0.1", Err((Kind::InvalidIpv4, 0))),
        ("1.256.3.4", Err((Kind::InvalidIpv4, 2))),
        ("1.2.3.4.5", Err((Kind::InvalidIpv4, 8))),
        ("1.2.3", Err((Kind::InvalidIpv4, 4))),
        ("2130706433", Err((Kind::InvalidIpv4, 0))),
        ("127.0.0.1.", Err((Kind::InvalidIpv4, 9))),
        ("foo.1", Err((Kind::EndsInNumber, 4))),
        ("1.2.3.4 ", Err((bad(' ', Domain), 7))),
        (" 1.2.3.4", Err((bad(' ', Domain), 0))),
        ("example.com:80", Err((bad(':', Domain), 11))),
        ("1.2.3.4:80", Err((bad(':', Domain), 7))),
        ("[1.2.3.4]", Err((Kind::InvalidIpv6, 1))),
        ("[example.com]", Err((bad('x', Ipv6), 2))),
        ("[]", Err((Kind::Empty(Ipv6), 1))),
        ("[::1", Err((Kind::UnclosedBracket, 0))),
        ("[", Err((Kind::UnclosedBracket, 0))),
        ("[::1]:80", Err((Kind::TextAfterBracket, 5))),
        ("[[::1]]", Err((Kind::TextAfterBracket, 6))),
        ("::1]", Err((bad(']', Ipv6), 3))),
        ("a:b:http", Err((bad('h', Ipv6), 4))),
        (":::", Err((Kind::InvalidIpv6, 0))),
        ("1:2:3", Err((Kind::InvalidIpv6, 0))),
        ("::12345", Err((Kind::InvalidIpv6, 0))),
    ]);
}

/// NET-05: a zone is accepted on addresses of link scope and never leaves this machine.
#[test]
fn zones() {
    use AddressPart::{Domain, Zone as Part};

    check::<Host>(&[
        ("fe80::1%lo", Ok("fe80::1%lo")),
        ("[fe80::1%lo]", Ok("fe80::1%lo")),
        ("FE80::1%Eth0", Ok("fe80::1%Eth0")),
        ("febf::1%2", Ok("febf::1%2")),
        ("ff02::fb%br-lan.100", Ok("ff02::fb%br-lan.100")),
        ("fe80::1%abcdefghijklmno", Ok("fe80::1%abcdefghijklmno")),
        // RFC 4007 text, not RFC 6874: nothing is decoded.
        ("fe80::1%25", Ok("fe80::1%25")),
        ("fe80::1%abcdefghijklmnop", Err((Kind::ZoneTooLong, 23))),
        ("fe80::1%", Err((Kind::Empty(Part), 8))),
        ("[fe80::1%]", Err((Kind::Empty(Part), 9))),
        ("fe80::1%a%b", Err((bad('%', Part), 9))),
        ("fe80::1%a/b", Err((bad('/', Part), 9))),
        ("fe80::1%a]b", Err((bad(']', Part), 9))),
        ("fe80::1%a b", Err((bad(' ', Part), 9))),
        ("fe80::1%a\n", Err((bad('\n', Part), 9))),
        ("fe80::1%\u{e4}", Err((bad('\u{e4}', Part), 8))),
        ("::1%lo", Err((Kind::ZoneNotAllowed, 3))),
        ("2001:db8::1%lo", Err((Kind::ZoneNotAllowed, 11))),
        ("[2001:db8::1%lo]", Err((Kind::ZoneNotAllowed, 12))),
        ("fec0::1%lo", Err((Kind::ZoneNotAllowed, 7))),
        ("ff05::1%lo", Err((Kind::ZoneNotAllowed, 7))),
        ("127.0.0.1%lo", Err((bad('%', Domain), 9))),
    ]);

    let target: HostPort = "[fe80::1%lo]:80".parse().unwrap();
    assert_eq!(target.uri().to_string(), "[fe80::1]:80");
    assert_eq!(target.host.uri().to_string(), "[fe80::1]");
    assert_eq!(target.host.ip(), Some("fe80::1".parse().unwrap()));
    assert_eq!(target.host.zone().map(Zone::as_str), Some("lo"));
}

#[test]
fn a_zone_may_be_a_number() {
    let index = |text: &str| text.parse::<Zone>().unwrap().index();
    assert_eq!(index("3"), Some(3));
    assert_eq!(index("4294967295"), Some(u32::MAX));
    assert_eq!(index("4294967296"), None);
    assert_eq!(index("+3"), None);
    assert_eq!(index("eth3"), None);
}

#[test]
fn hosts_with_ports() {
    use AddressPart::{Domain, Host as Whole, Ipv6, Port};

    check::<HostPort>(&[
        ("Example.com:443", Ok("example.com:443")),
        ("example.com.:443", Ok("example.com.:443")),
        ("192.0.2.1:0", Ok("192.0.2.1:0")),
        ("[2001:db8::1]:65535", Ok("[2001:db8::1]:65535")),
        ("[fe80::1%eth0]:8080", Ok("[fe80::1%eth0]:8080")),
        ("a:0080", Ok("a:80")),
        ("", Err((Kind::Empty(Whole), 0))),
        (":80", Err((Kind::Empty(Whole), 0))),
        ("example.com", Err((Kind::PortMissing, 11))),
        ("[::1]", Err((Kind::PortMissing, 5))),
        ("example.com:", Err((Kind::Empty(Port), 12))),
        ("[::1]:", Err((Kind::Empty(Port), 6))),
        ("a:http", Err((bad('h', Port), 2))),
        ("a:8o", Err((bad('o', Port), 3))),
        ("a:+80", Err((bad('+', Port), 2))),
        ("a:-1", Err((bad('-', Port), 2))),
        ("a: 80", Err((bad(' ', Port), 2))),
        ("host:80:90", Err((bad(':', Port), 7))),
        ("a:65536", Err((Kind::PortOutOfRange, 2))),
        ("[::1]:99999999999999999999", Err((Kind::PortOutOfRange, 6))),
        ("[::1", Err((Kind::UnclosedBracket, 0))),
        ("[::1:80", Err((Kind::UnclosedBracket, 0))),
        ("[::1]80", Err((Kind::TextAfterBracket, 5))),
        ("[::1]]:80", Err((Kind::TextAfterBracket, 5))),
        ("[]:80", Err((Kind::Empty(Ipv6), 1))),
        ("[::g]:80", Err((bad('g', Ipv6), 3))),
        ("::1:80", Err((Kind::UnbracketedIpv6, 0))),
        ("2001:db8::1", Err((Kind::UnbracketedIpv6, 0))),
        ("fe80::1%lo:80", Err((Kind::UnbracketedIpv6, 0))),
        ("user@a:80", Err((bad('@', Domain), 4))),
        ("127.1:80", Err((Kind::InvalidIpv4, 4))),
        ("a/b:80", Err((bad('/', Domain), 1))),
    ]);
}

#[test]
fn default_ports() {
    let parse = |text: &str| {
        HostPort::parse_with_default_port(text, 443)
            .map(|target| target.to_string())
            .map_err(|error| (error.kind(), error.position()))
    };
    assert_eq!(parse("a").as_deref(), Ok("a:443"));
    assert_eq!(parse("a:").as_deref(), Ok("a:443"));
    assert_eq!(parse("a:80").as_deref(), Ok("a:80"));
    assert_eq!(parse("[::1]").as_deref(), Ok("[::1]:443"));
    assert_eq!(parse("[::1]:").as_deref(), Ok("[::1]:443"));
    assert_eq!(parse("[::1]:80").as_deref(), Ok("[::1]:80"));
    assert_eq!(parse("::1"), Err((Kind::UnbracketedIpv6, 0)));
    assert_eq!(parse("a:x"), Err((bad('x', AddressPart::Port), 2)));
}

#[test]
fn socket_addresses_become_hosts() {
    let check = |addr: SocketAddr, expected: &str| {
        assert_eq!(HostPort::from(addr).to_string(), expected);
    };
    let scoped = |ip: &str, scope| SocketAddrV6::new(ip.parse().unwrap(), 80, 7, scope).into();
    check("192.0.2.1:80".parse().unwrap(), "192.0.2.1:80");
    check(scoped("fe80::1", 0), "[fe80::1]:80");
    check(scoped("fe80::1", 3), "[fe80::1%3]:80");
    check(scoped("fe80::1", u32::MAX), "[fe80::1%4294967295]:80");
    check(scoped("2001:db8::1", 3), "[2001:db8::1]:80");
}

#[test]
fn errors_point_at_the_character() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<HostPort>().unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("foo!bar", r#"invalid character '!' in domain at byte 3 of "foo!bar""#);
    check("", r#"empty host at byte 0 of """#);
    check("a", r#"missing port at byte 1 of "a""#);
    check("a:", r#"empty port at byte 2 of "a:""#);
    check("a:70000", r#"port of more than 65535 at byte 2 of "a:70000""#);
    check("127.1:80", r#"invalid IPv4 address (not four decimal numbers of 0 to 255) at byte 4 of "127.1:80""#);
    check("foo.1:80", r#"number as last label, which no domain may have, at byte 4 of "foo.1:80""#);
    check("::1:80", r#"IPv6 address that needs brackets before a port at byte 0 of "::1:80""#);
    // Nothing from a peer starts a line of its own, closes the quotes or paints the terminal.
    check("a\r\nb\"\u{1b}[31m:80", r#"invalid character '\r' in domain at byte 1 of "a\r\nb\"\u{1b}[31m:80""#);
}

#[test]
fn errors_quote_long_texts_around_the_character() {
    let text = format!("{}!{}", "a".repeat(40), "b".repeat(200_000));
    let error = format!("x:{text}").parse::<HostPort>().unwrap_err();
    assert_eq!(error.position(), 2);
    // 64 bytes from the start.
    let expected = format!("invalid character 'a' in port at byte 2 of \"x:{}!{}...\"", "a".repeat(40), "b".repeat(21));
    assert_eq!(error.to_string(), expected);

    // 32 bytes before the character and 32 from it on; characters are never cut, so the two-byte
    // one that straddles the start of the window comes whole, and one at its end is left out.
    let text = format!("{}\u{e4}{}!", "1".repeat(49), "1".repeat(31));
    let error = format!("a:{}!{}", "1".repeat(98), "b".repeat(100)).parse::<HostPort>();
    let expected =
        format!("invalid character '!' in port at byte 100 of \"...{}!{}...\"", "1".repeat(32), "b".repeat(31));
    assert_eq!(error.unwrap_err().to_string(), expected);
    let error = error::Fault::new(Kind::PortMissing, 82).within(&text);
    let expected = format!("missing port at byte 82 of \"...\u{e4}{}!\"", "1".repeat(31));
    assert_eq!(error.to_string(), expected);
}

#[test]
fn debug_reads_like_display() {
    let target: HostPort = "[fe80::1%eth0]:80".parse().unwrap();
    assert_eq!(format!("{target:?}"), "[fe80::1%eth0]:80");
    assert_eq!(format!("{:?}", Domain::from_static("a.b.")), "a.b.");
}

#[test]
fn classes() {
    use IpClass::*;

    // First and last address of each block, and the neighbours outside it.
    for (ip, expected) in [
        ("0.0.0.0", Unspecified),
        ("0.0.0.1", Reserved),
        ("0.255.255.255", Reserved),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", SharedCgnat),
        ("100.127.255.255", SharedCgnat),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("169.253.255.255", Public),
        ("169.254.169.254", LinkLocal),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("191.255.255.255", Public),
        ("192.0.0.0", Reserved),
        ("192.0.0.9", Reserved),
        ("192.0.0.255", Reserved),
        ("192.0.1.0", Public),
        ("192.0.2.0", Documentation),
        ("192.0.2.255", Documentation),
        ("192.0.3.0", Public),
        ("192.88.98.255", Public),
        ("192.88.99.1", Reserved),
        ("192.88.100.0", Public),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Benchmarking),
        ("198.19.255.255", Benchmarking),
        ("198.20.0.0", Public),
        ("198.51.100.7", Documentation),
        ("203.0.113.7", Documentation),
        ("223.255.255.255", Public),
        ("224.0.0.0", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.0", Reserved),
        ("255.255.255.254", Reserved),
        ("255.255.255.255", Broadcast),
        ("::", Unspecified),
        ("::1", Loopback),
        ("::2", Reserved),
        ("::127.0.0.1", Loopback),
        ("::8.8.8.8", Public),
        ("::ffff:0.0.0.0", Unspecified),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:10.0.0.1", Private),
        ("::ffff:8.8.8.8", Public),
        ("::ffff:0:127.0.0.1", Reserved),
        ("64:ff9b::127.0.0.1", Loopback),
        ("64:ff9b::169.254.169.254", LinkLocal),
        ("64:ff9b::8.8.8.8", Public),
        ("64:ff9b:0:0:1::", Reserved),
        ("64:ff9b:1::8.8.8.8", Private),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Private),
        ("64:ff9b:2::", Reserved),
        ("100::1", Reserved),
        ("100:0:0:1::1", Reserved),
        ("1fff:ffff::", Reserved),
        ("2000::", Public),
        ("2001::1", Reserved),
        ("2001:1::1", Reserved),
        ("2001:2::1", Benchmarking),
        ("2001:2:1::", Reserved),
        ("2001:3::1", Public),
        ("2001:4:112::1", Public),
        ("2001:4:113::", Reserved),
        ("2001:20::1", Reserved),
        ("2001:1ff:ffff::", Reserved),
        ("2001:200::", Public),
        ("2001:db7:ffff::", Public),
        ("2001:db8::1", Documentation),
        ("2001:db9::", Public),
        ("2002:7f00:1::", Loopback),
        ("2002:c0a8:101::1", Private),
        ("2002:808:808::1", Public),
        ("2003::", Public),
        ("2606:4700:4700::1111", Public),
        ("2620:4f:8000::1", Public),
        ("3ffe:ffff::", Public),
        ("3fff::1", Documentation),
        ("3fff:fff:ffff::", Documentation),
        ("3fff:1000::", Public),
        ("4000::", Reserved),
        ("5f00::1", Reserved),
        ("fbff:ffff::", Reserved),
        ("fc00::1", UniqueLocal),
        ("fdff:ffff::", UniqueLocal),
        ("fe00::", Reserved),
        ("fe80::1", LinkLocal),
        ("febf:ffff::", LinkLocal),
        ("fec0::1", Private),
        ("feff:ffff::", Private),
        ("ff00::", Multicast),
        ("ff02::1", Multicast),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
    ] {
        let class = IpClass::of(ip.parse().unwrap());
        assert_eq!(class, expected, "{ip}");
        assert_eq!(class.is_public(), expected == Public, "{ip}");
    }
}

#[test]
fn canonical_and_embedded_addresses() {
    let canonical = |ip: &str| canonical_ip(ip.parse().unwrap()).to_string();
    assert_eq!(canonical("::ffff:127.0.0.1"), "127.0.0.1");
    assert_eq!(canonical("::1"), "::1");
    assert_eq!(canonical("64:ff9b::8.8.8.8"), "64:ff9b::808:808");
    assert_eq!(canonical("192.0.2.1"), "192.0.2.1");

    let embedded = |ip: &str| embedded_ipv4(ip.parse().unwrap());
    let some = Some(Ipv4Addr::new(192, 0, 2, 33));
    assert_eq!(embedded("::ffff:192.0.2.33"), some);
    assert_eq!(embedded("::192.0.2.33"), some);
    assert_eq!(embedded("64:ff9b::192.0.2.33"), some);
    assert_eq!(embedded("2002:c000:221::1"), some);
    assert_eq!(embedded("::"), None);
    assert_eq!(embedded("::1"), None);
    assert_eq!(embedded("64:ff9b:1::192.0.2.33"), None);
    assert_eq!(embedded("2001:db8::192.0.2.33"), None);
}

fn any_host() -> impl Strategy<Value = Host> {
    // The last label starts with a letter other than the `x` of hexadecimal, so none is a number.
    let domain = r"([a-zA-Z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?\.){0,4}[a-wA-W][a-z0-9]{0,8}\.?"
        .prop_map(|text| Host::Domain(text.parse().unwrap()));
    let zoned = (any::<[u16; 7]>(), "[!-$&-.0-9;-Z^-~]{1,15}").prop_map(|(low, zone)| {
        let [b, c, d, e, f, g, h] = low;
        let ip = Ipv6Addr::new(0xfe80, b, c, d, e, f, g, h);
        Host::Zoned(ip, zone.parse().unwrap())
    });
    prop_oneof![domain, any::<IpAddr>().prop_map(Host::Ip), zoned]
}

/// Bytes that look like addresses more often than random ones do.
fn any_text() -> impl Strategy<Value = String> {
    let bytes =
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![bytes, any::<String>(), r"[\[\]:.%0-9a-fx\-ü。]{0,40}"]
}

proptest! {
    #[test]
    fn what_is_printed_parses_back(host in any_host(), port in any::<u16>()) {
        let target = HostPort::new(host.clone(), port);
        prop_assert_eq!(target.to_string().parse::<HostPort>().unwrap(), target);
        prop_assert_eq!(host.to_string().parse::<Host>().unwrap(), host.clone());
        // The form for peers is one that the standard parsers take too.
        let uri = host.uri().to_string();
        prop_assert!(!uri.contains('%') || host.as_domain().is_some());
        if let Some(ip) = host.ip() {
            let bare = uri.trim_start_matches('[').trim_end_matches(']');
            prop_assert_eq!(bare.parse::<IpAddr>().unwrap(), ip);
        }
    }

    #[test]
    fn no_text_panics(text in any_text()) {
        for error in [
            text.parse::<Domain>().err(),
            text.parse::<Zone>().err(),
            text.parse::<Host>().err(),
            text.parse::<HostPort>().err(),
            HostPort::parse_with_default_port(&text, 80).err(),
        ].into_iter().flatten() {
            prop_assert!(error.position() <= text.len());
            prop_assert!(text.is_char_boundary(error.position()));
            prop_assert!(!error.to_string().contains(char::is_control));
        }
    }

    /// No text is a name to us and an address to the resolver of the C library.
    #[test]
    fn no_domain_is_a_number(text in "[0-9a-fx.]{1,20}") {
        if let Ok(domain) = text.parse::<Domain>() {
            let last = domain.as_str().rsplit('.').next().unwrap();
            let digits = last.strip_prefix("0x");
            let hex = digits.is_some_and(|d| d.chars().all(|c| c.is_ascii_hexdigit()));
            prop_assert!(!hex && !last.chars().all(|c| c.is_ascii_digit()));
        }
    }

    #[test]
    fn every_ip_has_the_class_of_its_canonical_form(ip in any::<IpAddr>()) {
        prop_assert_eq!(IpClass::of(ip), IpClass::of(canonical_ip(ip)));
    }
}
