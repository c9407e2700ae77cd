//! Rules that are made of bytes, part by part, each with the text that it has to be printed as and with what it matches.
//!
//! Texts that are mutated seldom come to a range of one port or to the last address of a network; and a rule that is
//! printed as another spelling of itself parses back to an equal one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use chaski_core::{Candidate, Domain};
use chaski_proxy::Rule;

use super::matches;

const CLASSES: [&str; 4] = ["public", "loopback", "private", "link-local"];

/// One address of each class, and one of none of them.
const OF_CLASSES: [Ipv4Addr; 4] =
    [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::new(169, 254, 0, 1)];
const OF_NO_CLASS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Labels of names. Alone, some of them are classes too.
const LABELS: [&str; 8] = ["a", "DB", "Example", "com", "x-1", "Private", "public", "xn--bcher-kva"];

/// Each rule prints as the shortest text for it, however it was written, and matches up to its edges.
pub(super) fn run(bytes: &[u8]) {
    let mut dice = Dice(bytes);
    while !dice.0.is_empty() {
        let host = Host::make(&mut dice);
        let ports = Ports::make(&mut dice);
        let action = if dice.coin() { ["allow", "ALLOW"] } else { ["deny", "Deny"] };
        let spaces = " ".repeat(1 + usize::from(dice.below(3)));
        let written = format!("{}{spaces}{}", action[usize::from(dice.coin())], host.written(&mut dice, &ports));
        let printed = format!("{} {}", action[0], host.printed(&ports));
        check(&written, &printed, &host, &ports);
    }
}

fn check(written: &str, printed: &str, host: &Host, ports: &Ports) {
    let parse = |text: &str| -> Rule { text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}")) };
    let rule = parse(written);
    assert_eq!(rule.to_string(), printed, "{written:?}");
    assert_eq!(parse(printed), rule, "{written:?}");
    for (name, address, is_inside) in host.edges() {
        for (port, is_open) in ports.edges() {
            let candidate = Candidate::new(name.as_ref(), SocketAddr::new(address, port));
            assert_eq!(matches(&rule, &candidate), is_inside && is_open, "{written:?} for {candidate:?}");
        }
    }
}

/// Bytes that decide, one after the other; zeros when there are no more.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn roll<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.0.split_off_first().copied().unwrap_or(0))
    }

    fn below(&mut self, count: u8) -> u8 {
        let [byte] = self.roll();
        byte % count
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let [byte] = self.roll();
        all[usize::from(byte) % all.len()]
    }
}

enum Host {
    Any,
    /// By its place among the classes.
    Class(usize),
    Net(Net),
    Name {
        labels: Vec<&'static str>,
        is_below: bool,
    },
}

impl Host {
    fn make(dice: &mut Dice<'_>) -> Self {
        match dice.below(5) {
            0 => Self::Any,
            1 => Self::Class(usize::from(dice.below(4))),
            2 => Self::Net(Net::new(32, u32::from_be_bytes(dice.roll()).into(), dice.below(33))),
            3 => Self::Net(Net::new(128, u128::from_be_bytes(dice.roll()), dice.below(129))),
            _ => {
                let labels = (0..=dice.below(3)).map(|_| dice.one_of(&LABELS)).collect();
                Self::Name { labels, is_below: dice.coin() }
            }
        }
    }

    /// One of the ways in which it can be written.
    fn written(&self, dice: &mut Dice<'_>, ports: &Ports) -> String {
        let host = match self {
            Self::Any => "*".to_owned(),
            Self::Class(place) if dice.coin() => CLASSES[*place].to_uppercase(),
            Self::Class(place) => CLASSES[*place].to_owned(),
            Self::Net(net) => return net.written(dice, ports),
            Self::Name { labels, is_below } => {
                let is_class = !is_below && self.is_spelled_like_a_class();
                let dot = if is_class || dice.coin() { "." } else { "" };
                format!("{}{}{dot}", if *is_below { "*." } else { "" }, labels.join("."))
            }
        };
        host + &ports.written(dice)
    }

    fn printed(&self, ports: &Ports) -> String {
        let host = match self {
            Self::Any => "*".to_owned(),
            Self::Class(place) => CLASSES[*place].to_owned(),
            Self::Net(net) => net.printed(ports.are_all()),
            Self::Name { is_below: true, .. } => format!("*.{}", self.name()),
            Self::Name { .. } if self.is_spelled_like_a_class() => format!("{}.", self.name()),
            Self::Name { .. } => self.name(),
        };
        host + &ports.printed()
    }

    /// The name, or else nothing.
    fn name(&self) -> String {
        let Self::Name { labels, .. } = self else { return String::new() };
        labels.join(".").to_lowercase()
    }

    fn is_spelled_like_a_class(&self) -> bool {
        CLASSES.contains(&&*self.name())
    }

    /// Targets just inside and just outside.
    fn edges(&self) -> Vec<(Option<Domain>, IpAddr, bool)> {
        let public = OF_CLASSES[0].into();
        match self {
            Self::Any => vec![(None, public, true), (None, OF_CLASSES[1].into(), true)],
            Self::Class(place) => vec![(None, OF_CLASSES[*place].into(), true), (None, OF_NO_CLASS.into(), false)],
            Self::Net(net) => net.edges().map(|(address, is_inside)| (None, address, is_inside)).collect(),
            Self::Name { is_below, .. } => {
                let domain = |name: String| Some(name.parse().expect("a name"));
                let name = self.name();
                vec![
                    (domain(name.clone()), public, !is_below),
                    (domain(format!("b.{name}")), public, *is_below),
                    (domain(format!("b{name}")), public, false),
                    (None, public, false),
                ]
            }
        }
    }
}

/// A network by its bits.
struct Net {
    width: u32,
    bits: u128,
    length: u32,
}

impl Net {
    fn new(width: u32, bits: u128, length: u8) -> Self {
        let mut net = Self { width, bits: 0, length: length.into() };
        net.bits = bits & !net.host_bits();
        net
    }

    fn all_bits(&self) -> u128 {
        u128::MAX >> (128 - self.width)
    }

    fn host_bits(&self) -> u128 {
        self.all_bits().checked_shr(self.length).unwrap_or(0)
    }

    /// RFC 4291 section 2.5.5.2: in `::ffff:0:0/96` are the addresses of IPv4.
    fn is_mapped(&self) -> bool {
        self.width == 128 && self.length >= 96 && self.bits >> 32 == 0xffff
    }

    fn address(&self, bits: u128) -> IpAddr {
        if self.width == 128 {
            Ipv6Addr::from_bits(bits).into()
        } else {
            Ipv4Addr::from_bits(u32::try_from(bits).expect("32 bits")).into()
        }
    }

    fn written(&self, dice: &mut Dice<'_>, ports: &Ports) -> String {
        let address = match self.address(self.bits) {
            IpAddr::V6(ip) if dice.coin() => ip.segments().map(|segment| format!("{segment:04X}")).join(":"),
            // An address of IPv4 is one of IPv6 too.
            IpAddr::V4(ip) if dice.coin() => {
                let mapped = Self { width: 128, bits: ip.to_ipv6_mapped().to_bits(), length: 96 + self.length };
                return mapped.written(dice, ports);
            }
            ip => ip.to_string(),
        };
        let is_host = self.length == self.width && dice.coin();
        let net = if is_host { address } else { format!("{address}/{}", self.length) };
        let is_bracketed = self.width == 128 && (!ports.are_all() || dice.coin());
        (if is_bracketed { format!("[{net}]") } else { net }) + &ports.written(dice)
    }

    fn printed(&self, has_all_ports: bool) -> String {
        if self.is_mapped() {
            let v4 = Self { width: 32, bits: self.bits & u128::from(u32::MAX), length: self.length - 96 };
            return v4.printed(has_all_ports);
        }
        let address = self.address(self.bits);
        let net = if self.length == self.width { address.to_string() } else { format!("{address}/{}", self.length) };
        if self.width == 128 && !has_all_ports { format!("[{net}]") } else { net }
    }

    /// The first address and the last, and those beside them, but for those that stand for others.
    fn edges(&self) -> impl Iterator<Item = (IpAddr, bool)> {
        let last = self.bits | self.host_bits();
        let before = self.bits.checked_sub(1);
        let behind = last.checked_add(1).filter(|bits| *bits <= self.all_bits());
        [(Some(self.bits), true), (Some(last), true), (before, false), (behind, false)]
            .into_iter()
            .filter_map(|(bits, is_inside)| Some((self.address(bits?), is_inside)))
            .filter(|(address, _)| {
                !address.is_unspecified() && (self.is_mapped() || address.to_canonical() == *address)
            })
    }
}

/// Ports from one to another; all of them where none are named.
struct Ports(Option<(u16, u16)>);

impl Ports {
    fn make(dice: &mut Dice<'_>) -> Self {
        let kind = dice.below(3);
        let [first, second] = [(); 2].map(|()| u16::from_be_bytes(dice.roll()).max(1));
        match kind {
            0 => Self(None),
            1 => Self(Some((first, first))),
            _ => Self(Some((first.min(second), first.max(second)))),
        }
    }

    fn are_all(&self) -> bool {
        self.0.is_none()
    }

    fn written(&self, dice: &mut Dice<'_>) -> String {
        let Some((first, last)) = self.0 else { return String::new() };
        let zeros = "0".repeat(usize::from(dice.below(3)));
        if first == last && dice.coin() { format!(":{zeros}{first}") } else { format!(":{first}-{zeros}{last}") }
    }

    fn printed(&self) -> String {
        match self.0 {
            None => String::new(),
            Some((first, last)) if first == last => format!(":{first}"),
            Some((first, last)) => format!(":{first}-{last}"),
        }
    }

    /// The first and the last, and those beside them.
    fn edges(&self) -> Vec<(u16, bool)> {
        let (first, last) = self.0.unwrap_or((1, u16::MAX));
        let beside = [first.checked_sub(1).filter(|port| *port > 0), last.checked_add(1)];
        let beside = beside.into_iter().flatten().map(|port| (port, false));
        beside.chain([(first, true), (last, true)]).collect()
    }
}
