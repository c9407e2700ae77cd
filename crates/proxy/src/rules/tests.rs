use chaski_core::{AddressParseErrorKind, AddressPart, Domain};

use super::*;
use crate::RuleErrorKind as Kind;

fn rules(list: &[&str]) -> Rules {
    list.iter().map(|rule| rule.parse::<Rule>().unwrap()).collect()
}

/// Whether `rules` let `asked` be dialed: an address, or `name=address`.
fn allows(rules: &Rules, asked: &str) -> bool {
    check(rules, asked).is_ok()
}

fn check(rules: &Rules, asked: &str) -> Result<(), Refused> {
    let (domain, addr) = match asked.split_once('=') {
        Some((name, addr)) => (Some(name.parse::<Domain>().unwrap()), addr),
        None => (None, asked),
    };
    rules.check(&Candidate::new(domain.as_ref(), addr.parse().unwrap()))
}

#[test]
fn public_addresses_are_allowed_by_default_and_no_others() {
    let rules = Rules::public_only();
    for public in ["1.1.1.1:80", "8.8.8.8:25", "[2606:4700::1111]:443", "example.com=93.184.216.34:80"] {
        assert!(allows(&rules, public), "{public}");
    }
    let refused = [
        ("127.0.0.1:80", "loopback"),
        ("127.255.0.9:80", "loopback"),
        ("[::1]:80", "loopback"),
        ("0.0.0.0:80", "unspecified"),
        ("[::]:80", "unspecified"),
        ("10.0.0.1:80", "private"),
        ("172.16.0.1:80", "private"),
        ("192.168.1.1:80", "private"),
        ("169.254.169.254:80", "link-local"),
        ("[fe80::1]:80", "link-local"),
        ("[fd00:ec2::254]:80", "unique local"),
        ("100.64.0.1:80", "shared (carrier-grade NAT)"),
        ("224.0.0.1:80", "multicast"),
        ("255.255.255.255:80", "broadcast"),
        ("[64:ff9b::a9fe:a9fe]:80", "link-local"),
        ("[2002:7f00:1::]:80", "loopback"),
        ("[::127.0.0.1]:80", "loopback"),
    ];
    for (addr, class) in refused {
        let reason = format!("no rule allows {addr}, whose address is {class}");
        let plain = reason.replace("[::127.0.0.1]", "[::7f00:1]");
        assert_eq!(check(&rules, addr), Err(Refused::new(plain)), "{addr}");
    }
    // A mapped address is dialed as the IPv4 address that it stands for.
    let mapped = check(&rules, "[::ffff:127.0.0.1]:80").unwrap_err();
    assert_eq!(mapped.to_string(), "no rule allows 127.0.0.1:80, whose address is loopback");
}

#[test]
fn a_refused_name_is_named_and_its_address_is_not() {
    let refused = check(&Rules::public_only(), "db.corp.example=10.9.8.7:5432").unwrap_err();
    assert_eq!(refused.to_string(), "no rule allows db.corp.example:5432, whose address is private");
}

#[test]
fn address_rules_allow_what_they_match() {
    let cases = [
        ("127.0.0.1", "127.0.0.1:80", true),
        ("127.0.0.1", "127.0.0.2:80", false),
        ("127.0.0.1", "localhost=127.0.0.1:80", true),
        ("127.0.0.1:80", "127.0.0.1:80", true),
        ("127.0.0.1:80", "127.0.0.1:81", false),
        ("10.0.0.0/8", "10.255.0.1:1", true),
        ("10.0.0.0/8", "11.0.0.1:1", true), // public
        ("10.0.0.0/8", "192.168.0.1:1", false),
        ("10.0.0.0/8:443", "10.1.2.3:443", true),
        ("10.0.0.0/8:443", "10.1.2.3:80", false),
        ("10.0.0.0/8", "[::ffff:10.0.0.1]:1", true),
        ("::ffff:10.0.0.0/104", "10.0.0.1:1", true),
        ("::ffff:127.0.0.1", "127.0.0.1:1", true),
        // What the unspecified address reaches.
        ("127.0.0.0/8", "0.0.0.0:80", true),
        ("::1", "[::]:80", true),
        ("127.0.0.2", "0.0.0.0:80", false),
        ("127.0.0.0/8", "[::1]:80", false),
        ("::1", "[::1]:80", true),
        ("[::1]", "[::1]:80", true),
        ("[::1]:80", "[::1]:81", false),
        ("fd00::/8", "[fd12::1]:80", true),
        ("[fd00::/8]:80", "[fd12::1]:80", true),
        ("[fd00::/8]:80", "[fd12::1]:81", false),
        ("0.0.0.0/0", "127.0.0.1:80", true),
        ("0.0.0.0/0", "[::1]:80", false),
        ("::/0", "[::1]:80", true),
        ("10.0.0.1", "[64:ff9b::a00:1]:80", true),
        ("64:ff9b::/96", "[64:ff9b::a00:1]:80", true),
        ("*", "169.254.169.254:80", true),
        ("*:22-80", "10.0.0.1:22", true),
        ("*:22-80", "10.0.0.1:80", true),
        ("*:22-80", "10.0.0.1:81", false),
        ("*:22-80", "10.0.0.1:21", false),
        ("loopback", "127.0.0.2:80", true),
        ("loopback", "[::1]:80", true),
        ("loopback", "0.0.0.0:80", true),
        ("loopback", "10.0.0.1:80", false),
        ("Private:443", "192.168.0.1:443", true),
        ("private:443", "192.168.0.1:80", false),
        ("private", "[fd12::1]:80", true),
        ("private", "[64:ff9b::a00:1]:80", true),
        ("private", "100.64.0.1:80", false),
        ("private", "127.0.0.1:80", false),
        ("private", "private=127.0.0.1:80", false),
        ("private.", "private=127.0.0.1:80", true),
        ("link-local", "169.254.169.254:80", true),
        ("link-local", "[fe80::1]:80", true),
        ("public", "10.0.0.1:80", false),
    ];
    for (pattern, asked, expected) in cases {
        assert_eq!(allows(&rules(&[&format!("allow {pattern}")]), asked), expected, "{pattern} {asked}");
    }
}

#[test]
fn name_rules_allow_whatever_the_name_resolves_to() {
    let cases = [
        ("localhost", "localhost=127.0.0.1:80", true),
        ("LocalHost", "localhost=127.0.0.1:80", true),
        ("localhost", "localhost.=127.0.0.1:80", true),
        ("localhost.", "localhost=127.0.0.1:80", true),
        ("localhost:80", "localhost=127.0.0.1:81", false),
        ("localhost", "127.0.0.1:80", false),
        ("localhost", "other=127.0.0.1:80", false),
        ("corp.example", "db.corp.example=10.0.0.1:80", false),
        ("*.corp.example", "db.corp.example=10.0.0.1:80", true),
        ("*.corp.example", "a.b.corp.example=10.0.0.1:80", true),
        ("*.corp.example", "A.Corp.Example.=10.0.0.1:80", true),
        ("*.corp.example", "corp.example=10.0.0.1:80", false),
        ("*.corp.example", "badcorp.example=10.0.0.1:80", false),
        ("*.corp.example", "corp.example.evil=10.0.0.1:80", false),
        ("*.corp.example:22", "a.corp.example=10.0.0.1:22", true),
        ("*.corp.example:22", "a.corp.example=10.0.0.1:23", false),
    ];
    for (pattern, asked, expected) in cases {
        assert_eq!(allows(&rules(&[&format!("allow {pattern}")]), asked), expected, "{pattern} {asked}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let cases: &[(&[&str], &str, bool)] = &[
        (&["allow 10.0.0.0/8", "allow localhost"], "10.0.0.1:80", true),
        (&["allow 10.0.0.0/8", "allow localhost"], "localhost=127.0.0.1:80", true),
        (&["allow 10.0.0.0/8", "allow localhost"], "192.168.0.1:80", false),
        (&["deny 10.0.0.7", "allow 10.0.0.0/8"], "10.0.0.7:80", false),
        (&["deny 10.0.0.7", "allow 10.0.0.0/8"], "10.0.0.8:80", true),
        (&["allow 10.0.0.0/8", "deny 10.0.0.7"], "10.0.0.7:80", true),
        // A network that is denied is denied whatever name leads to it, unless the name was allowed before.
        (&["deny 10.0.0.0/8", "allow *"], "db.example=10.0.0.1:80", false),
        (&["allow db.example", "deny 10.0.0.0/8"], "db.example=10.0.0.1:80", true),
        (&["allow db.example", "deny 10.0.0.0/8"], "10.0.0.1:80", false),
        // Only certain ports.
        (&["allow public:443", "deny *"], "1.1.1.1:443", true),
        (&["allow public:443", "deny *"], "1.1.1.1:80", false),
        (&["allow public:443", "deny *"], "10.0.0.1:443", false),
        // Only certain names.
        (&["allow *.example", "deny *"], "a.example=1.1.1.1:80", true),
        (&["allow *.example", "deny *"], "a.test=1.1.1.1:80", false),
        (&["deny *.ads.example"], "x.ads.example=1.1.1.1:80", false),
        (&["deny *.ads.example"], "ads.example=1.1.1.1:80", true),
    ];
    for (list, asked, expected) in cases {
        assert_eq!(allows(&rules(list), asked), *expected, "{list:?} {asked}");
    }
}

/// Every form of an address that reaches what is denied.
#[test]
fn no_other_form_of_an_address_passes_a_rule_that_denies_it() {
    for (denied, asked) in [
        ("127.0.0.1", "127.0.0.1:80"),
        ("127.0.0.1", "0.0.0.0:80"),
        ("127.0.0.1", "[::ffff:127.0.0.1]:80"),
        ("127.0.0.1", "[::ffff:0.0.0.0]:80"),
        ("127.0.0.1", "[64:ff9b::7f00:1]:80"),
        ("127.0.0.1", "[2002:7f00:1::]:80"),
        ("127.0.0.1", "[::127.0.0.1]:80"),
        ("::1", "[::]:80"),
        ("loopback", "0.0.0.0:80"),
        ("loopback", "[::]:80"),
        ("loopback", "[64:ff9b::]:80"),
        ("loopback", "[2002:7f00:1::]:80"),
        ("link-local", "[64:ff9b::a9fe:a9fe]:80"),
        ("169.254.169.254", "[::ffff:169.254.169.254]:80"),
        ("private", "[::ffff:10.0.0.1]:80"),
        ("10.0.0.0/8", "[64:ff9b::a00:1]:80"),
        ("64:ff9b::/96", "[64:ff9b::808:808]:80"),
        ("db.example", "DB.Example.=10.0.0.1:80"),
        ("*.db.example", "A.DB.Example.=10.0.0.1:80"),
    ] {
        let rules = rules(&[&format!("deny {denied}"), "allow *"]);
        assert!(!allows(&rules, asked), "{denied} {asked}");
    }
}

#[test]
fn a_refusal_names_the_rule_and_no_address_behind_a_name() {
    let rules = rules(&["deny *:22", "deny 10.9.8.7", "deny db.example", "deny link-local", "allow *"]);
    for (asked, reason) in [
        ("db.example=1.1.1.1:22", "denied by the rule \"deny *:22\""),
        ("10.9.8.7:80", "denied by the rule \"deny 10.9.8.7\""),
        ("a.example=10.9.8.7:80", "denied by rule 2, which is about addresses"),
        ("db.example.=1.1.1.1:80", "denied by the rule \"deny db.example\""),
        ("a.example=169.254.169.254:80", "denied by the rule \"deny link-local\""),
    ] {
        assert_eq!(check(&rules, asked), Err(Refused::new(reason)), "{asked}");
    }
}

#[test]
fn a_name_is_denied_before_it_is_resolved_where_no_address_can_save_it() {
    let cases: &[(&[&str], &str, bool)] = &[
        (&[], "a.example:80", true),
        (&["deny *.ads.example"], "x.ads.example:80", false),
        (&["deny *.ads.example"], "X.Ads.Example.:80", false),
        (&["deny *.ads.example"], "ads.example:80", true),
        (&["deny *:22"], "a.example:22", false),
        (&["deny *:22"], "a.example:80", true),
        (&["allow a.example", "deny *"], "a.example:80", true),
        (&["allow a.example", "deny *"], "b.example:80", false),
        (&["allow a.example:443", "deny *"], "a.example:80", false),
        // It depends on the address.
        (&["deny 10.0.0.0/8"], "a.example:80", true),
        (&["deny private"], "a.example:80", true),
        (&["allow 10.0.0.0/8", "deny *"], "a.example:80", true),
        (&["allow 10.0.0.0/8:443", "deny *"], "a.example:80", false),
        // Denied by the one or by the other.
        (&["deny 10.0.0.0/8", "deny *.example"], "a.example:80", false),
        (&["deny 0.0.0.0/0", "deny ::/0"], "a.example:80", true),
    ];
    for (list, asked, expected) in cases {
        let asked: HostPort = asked.parse().unwrap();
        let result = rules(list).check_name(asked.host.as_domain().unwrap(), asked.port);
        assert_eq!(result.is_ok(), *expected, "{list:?} {asked}");
    }
    let refused = rules(&["deny 10.0.0.0/8", "deny *:22"]).check_name(&"a.example".parse().unwrap(), 22);
    assert_eq!(refused, Err(Refused::new("denied by the rule \"deny *:22\"")));
}

/// PRX-11: no rule allows a dial to the proxy itself.
#[test]
fn prx_11_own_addresses_are_refused_whatever_the_rules() {
    let cases = [
        ("127.0.0.1:3128", "127.0.0.1:3128", true),
        ("127.0.0.1:3128", "me.example=127.0.0.1:3128", true),
        ("127.0.0.1:3128", "[::ffff:127.0.0.1]:3128", true),
        ("127.0.0.1:3128", "0.0.0.0:3128", true),
        ("127.0.0.1:3128", "127.0.0.1:3129", false),
        ("127.0.0.1:3128", "127.0.0.2:3128", false),
        ("0.0.0.0:3128", "127.0.0.9:3128", true),
        ("0.0.0.0:3128", "0.0.0.0:3128", true),
        ("[::]:3128", "127.0.0.1:3128", true),
        ("[::]:3128", "[::1]:3128", true),
        ("[::]:3128", "10.0.0.1:3128", false),
        ("93.184.216.34:80", "93.184.216.34:80", true),
        ("93.184.216.34:80", "93.184.216.34:81", false),
    ];
    for (own, asked, refused) in cases {
        let rules = rules(&["allow *", "allow me.example"]).with_own_addresses([own.parse().unwrap()]);
        let result = check(&rules, asked);
        assert_eq!(result.is_err(), refused, "{own} {asked}");
        assert!(result.err().is_none_or(|reason| reason.kind() == RefusedKind::OwnAddress));
    }
}

#[test]
fn rules_print_as_they_parse() {
    let cases = [
        ("10.0.0.0/8:443", "10.0.0.0/8:443"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:80", "[::1]:80"),
        ("[fd00::/8]:080", "[fd00::/8]:80"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("*.Example.com.:80", "*.example.com:80"),
        ("_dns.example.com", "_dns.example.com"),
        ("*", "*"),
        ("*:025", "*:25"),
        ("*:8000-8999", "*:8000-8999"),
        ("*:80-80", "*:80"),
        ("*:1-65535", "*:1-65535"),
        ("[::1]:1-2", "[::1]:1-2"),
        ("Loopback:80", "loopback:80"),
        ("link-local", "link-local"),
        ("private.", "private."),
        ("PRIVATE.:80", "private.:80"),
        ("privates", "privates"),
        ("*.private", "*.private"),
    ];
    for (text, expected) in cases {
        let pattern: TargetPattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), expected, "{text}");
        assert_eq!(expected.parse(), Ok(pattern), "{text}");
    }
    for (text, expected) in [("allow *", "allow *"), ("Deny  *.Example:25", "deny *.example:25")] {
        let rule: Rule = text.parse().unwrap();
        assert_eq!(rule.to_string(), expected);
        assert_eq!(expected.parse(), Ok(rule));
    }
}

/// What `--explain` shows: the whole list, with what stands at the end of every one.
#[test]
fn the_list_describes_itself_as_rules() {
    let printed = rules(&["deny *:25", "allow 10.0.0.0/8"]).describe().to_string();
    assert_eq!(printed, "Rules first_match=[deny *:25, allow 10.0.0.0/8, allow public, deny *]\n");
}

#[test]
fn faults_are_named_and_pointed_at() {
    let address = Kind::Address;
    let network = |net: &str| Kind::HostBits { network: net.parse().unwrap() };
    let invalid = |c| address(AddressParseErrorKind::InvalidCharacter(c, AddressPart::Domain));
    let cases = [
        ("", Kind::Empty, 0),
        ("10.0.0.1/8", network("10.0.0.0/8"), 0),
        ("[fd00::1/8]:80", network("fd00::/8"), 1),
        ("10.0.0.0/33", Kind::PrefixLength { max: 32 }, 9),
        ("10.0.0.0/", Kind::PrefixLength { max: 32 }, 9),
        ("10.0.0.0/+8", Kind::PrefixLength { max: 32 }, 9),
        ("fd00::/129", Kind::PrefixLength { max: 128 }, 7),
        ("10.0.0.256", address(AddressParseErrorKind::InvalidIpv4), 7),
        ("10.0.0/24", address(AddressParseErrorKind::InvalidIpv4), 5),
        ("example.com/24", Kind::NameWithPrefix, 0),
        ("example.com:0", Kind::Port, 12),
        ("example.com:65536", Kind::Port, 12),
        ("example.com:", Kind::Port, 12),
        ("example.com:+80", Kind::Port, 12),
        ("example.com:http", Kind::Port, 12),
        ("[::1", Kind::UnclosedBracket, 0),
        ("[::1]80", Kind::TextAfterBracket, 5),
        ("[127.0.0.1]:80", Kind::NotIpv6, 1),
        ("[example.com]", Kind::NotIpv6, 1),
        ("fd00::/8:443", Kind::UnbracketedIpv6, 0),
        ("[fd00::]/8", Kind::TextAfterBracket, 8),
        ("fe80::1%eth0", Kind::Zone, 7),
        ("[fe80::1%eth0]:80", Kind::Zone, 8),
        ("**", Kind::Wildcard, 0),
        ("*.", address(AddressParseErrorKind::Empty(AddressPart::Host)), 2),
        ("*/8", invalid('*'), 0),
        ("public/8", Kind::NameWithPrefix, 0),
        ("*:", Kind::Port, 2),
        ("*:90-80", Kind::PortRange, 2),
        ("*:80-", Kind::Port, 5),
        ("*:-80", Kind::Port, 2),
        ("*:0-80", Kind::Port, 2),
        ("*:1-2-3", Kind::Port, 4),
        ("[::1]:9-8", Kind::PortRange, 6),
        ("a.*.example.com", Kind::Wildcard, 2),
        ("*.*.example.com", Kind::Wildcard, 2),
        ("*.10.0.0.1", Kind::Wildcard, 0),
        ("*example.com", Kind::Wildcard, 0),
        ("exa mple.com", invalid(' '), 3),
        ("*.exa!mple.com:80", invalid('!'), 5),
        ("http://example.com", Kind::Port, 5),
    ];
    for (text, kind, position) in cases {
        let error = text.parse::<TargetPattern>().unwrap_err();
        assert_eq!((error.kind(), error.position()), (kind, position), "{text}");
        let error = format!("deny {text}").parse::<Rule>().unwrap_err();
        assert_eq!((error.kind(), error.position()), (kind, position + 5), "{text}");
    }
    for text in ["", "deny", "10.0.0.0/8", "refuse *", " deny *", "deny\t*", "denyall *"] {
        let error = text.parse::<Rule>().unwrap_err();
        assert_eq!((error.kind(), error.position()), (Kind::Action, 0), "{text}");
    }
}

#[test]
fn errors_read_well_and_quote_safely() {
    let text = |pattern: &str| pattern.parse::<TargetPattern>().unwrap_err().to_string();
    assert_eq!(
        text("10.0.0.1/8"),
        "address with bits behind its prefix, where the network would be 10.0.0.0/8, at byte 0 of the rule \"10.0.0.1/8\""
    );
    assert_eq!(text("a\u{1b}[0m"), "invalid character '\\u{1b}' in domain at byte 1 of the rule \"a\\u{1b}[0m\"");
    assert!(text(&"x".repeat(1000)).len() < 200);
}
