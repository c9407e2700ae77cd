use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an IP address leads to, by the IANA special-purpose registries (RFC 6890
/// and its updates): the question behind every "may this be dialed".
///
/// An IPv6 address that embeds an IPv4 one has the class of the latter
/// ([`embedded_ipv4`]): `::ffff:127.0.0.1` and `64:ff9b::7f00:1` are both loopback. Where the
/// registries leave room, the answer is the cautious one: what is not assigned for global unicast is
/// [`Reserved`](Self::Reserved), never public.
///
/// ```
/// use chaski_core::IpClass;
///
/// assert_eq!(IpClass::of([10, 0, 0, 1].into()), IpClass::Private);
/// assert!(IpClass::of([1, 1, 1, 1].into()).is_public());
/// assert_eq!(IpClass::LinkLocal.to_string(), "link-local");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpClass {
    /// Globally reachable unicast.
    Public,
    /// This machine.
    Loopback,
    /// Private use: RFC 1918, the local NAT64 prefix, the old site-local addresses.
    Private,
    /// Valid on one link; the metadata services of clouds live here.
    LinkLocal,
    /// `0.0.0.0` or `::`, which many systems take for this machine when dialed.
    Unspecified,
    /// A group of machines.
    Multicast,
    /// All machines of a link.
    Broadcast,
    /// Between a carrier and its customers.
    SharedCgnat,
    /// For examples in texts.
    Documentation,
    /// For measurements of devices.
    Benchmarking,
    /// IPv6 private use.
    UniqueLocal,
    /// Set aside by the IETF, or not assigned.
    Reserved,
}

impl IpClass {
    /// The class of `ip`.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => match embedded_ipv4(ip) {
                Some(embedded) => Self::of_v4(embedded),
                None => Self::of_v6(ip),
            },
        }
    }

    /// Whether the address is globally reachable unicast.
    pub fn is_public(self) -> bool {
        self == Self::Public
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [0, 0, 0, 0] => Self::Unspecified, // RFC 1122 section 3.2.1.3 (a)
            [0, ..] => Self::Reserved,         // "this network": RFC 791 section 3.2
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private, // RFC 1918 section 3
            [100, 64..=127, ..] => Self::SharedCgnat, // RFC 6598 section 7
            [127, ..] => Self::Loopback,       // RFC 1122 section 3.2.1.3 (g)
            [169, 254, ..] => Self::LinkLocal, // RFC 3927 section 2.1
            // IETF protocol assignments, RFC 6890 section 2.1. Two anycast addresses among them
            // count as global (RFC 7723, RFC 8155), but what answers there is the local network.
            [192, 0, 0, _] => Self::Reserved,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Documentation, // RFC 5737 section 3
            [192, 88, 99, _] => Self::Reserved, // 6to4 relays, withdrawn: RFC 7526
            [198, 18..=19, ..] => Self::Benchmarking, // RFC 2544 appendix C.2.2
            [224..=239, ..] => Self::Multicast, // RFC 5771
            [255, 255, 255, 255] => Self::Broadcast, // RFC 919 section 7
            [240..=255, ..] => Self::Reserved,  // RFC 1112 section 4
            _ => Self::Public,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified, // RFC 4291 section 2.5.2
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,    // RFC 4291 section 2.5.3
            [0x64, 0xff9b, 1, ..] => Self::Private,        // NAT64 for local use: RFC 8215
            [0x2001, 2, 0, ..] => Self::Benchmarking,      // RFC 5180
            [0x2001, 3, ..] => Self::Public,               // AMT: RFC 7450
            [0x2001, 4, 0x112, ..] => Self::Public,        // AS112: RFC 7535
            // IETF protocol assignments, RFC 2928 section 2: Teredo, ORCHIDs and other values that
            // are not where a packet goes.
            [0x2001, 0..=0x1ff, ..] => Self::Reserved,
            [0x2001, 0xdb8, ..] => Self::Documentation,     // RFC 3849
            [0x3fff, 0..=0xfff, ..] => Self::Documentation, // RFC 9637
            [0xfc00..=0xfdff, ..] => Self::UniqueLocal,     // RFC 4193 section 3.1
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,       // RFC 4291 section 2.5.6
            [0xfec0..=0xfeff, ..] => Self::Private,         // site-local, in use still: RFC 3879
            [0xff00..=0xffff, ..] => Self::Multicast,       // RFC 4291 section 2.7
            [0x2000..=0x3fff, ..] => Self::Public,          // global unicast: RFC 4291 section 2.4
            // All else is unassigned or no destination: discard-only 100::/64 (RFC 6666), SRv6
            // segments 5f00::/16 (RFC 9602), IPv4-translated ::ffff:0:0:0/96 (RFC 2765).
            _ => Self::Reserved,
        }
    }
}

/// As words: `loopback`, `link-local`, `shared (carrier-grade NAT)`.
impl fmt::Display for IpClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::SharedCgnat => "shared (carrier-grade NAT)",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::UniqueLocal => "unique local",
            Self::Reserved => "reserved",
        })
    }
}

/// The address to dial for `ip`: an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) becomes
/// the IPv4 address it stands for, which is reachable on machines without IPv6 too.
pub fn canonical_ip(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The IPv4 address that packets to `ip` end up at, or None when it embeds none: IPv4-mapped
/// and IPv4-compatible addresses, NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
///
/// A NAT64 prefix that an operator has chosen for itself cannot be told from any other address.
pub fn embedded_ipv4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None, // `::` and `::1`: RFC 4291 section 2.5
        [0, 0, 0, 0, 0, 0, high, low] => (high, low), // compatible: RFC 4291 section 2.5.5.1
        [0, 0, 0, 0, 0, 0xffff, high, low] => (high, low), // mapped: RFC 4291 section 2.5.5.2
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (high, low), // NAT64: RFC 6052 section 2.1
        [0x2002, high, low, ..] => (high, low),      // 6to4: RFC 3056 section 2
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}
