/// Whether a code of two bytes is one of the sixteen that mean nothing and that clients mix into their lists, so that
/// servers do not forget to ignore what they do not know (RFC 8701 section 2): `0x0a0a`, `0x1a1a` and so on to `0xfafa`.
///
/// It holds for cipher suites, extensions, groups, signature algorithms and versions alike.
pub const fn is_grease(code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixteen_codes_of_rfc_8701_are_grease_and_no_other() {
        let listed = [
            0x0A0A, 0x1A1A, 0x2A2A, 0x3A3A, 0x4A4A, 0x5A5A, 0x6A6A, 0x7A7A, 0x8A8A, 0x9A9A, 0xAAAA, 0xBABA, 0xCACA,
            0xDADA, 0xEAEA, 0xFAFA,
        ];
        let found: Vec<u16> = (0..=u16::MAX).filter(|&code| is_grease(code)).collect();
        assert_eq!(found, listed);
    }
}
