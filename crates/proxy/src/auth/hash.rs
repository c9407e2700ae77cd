//! Hashes of passwords, as they stand in a users file.

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, NO_PAD},
};
use sha_crypt::{BLOCK_SIZE_SHA512, Params};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::UsersFileErrorKind as Kind;

/// The base64 of bcrypt. Some programs fill the unused bits at the end of a salt at random; nobody reads them.
const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// Of a password, bcrypt reads so many bytes, a zero at its end included.
const BCRYPT_KEY: usize = 72;

pub(super) const MAX_BCRYPT_COST: u32 = 14;
pub(super) const MAX_SHA512_ROUNDS: u32 = 1_000_000;

/// What tells whether a password is the right one.
pub(super) enum PasswordHash {
    Bcrypt { cost: u32, salt: [u8; 16], hash: [u8; 23] },
    Sha512 { params: Params, salt: Box<[u8]>, hash: [u8; BLOCK_SIZE_SHA512] },
}

impl PasswordHash {
    /// Reads one of the two schemes; any other is named in the error.
    pub(super) fn parse(text: &str) -> Result<Self, Kind> {
        if let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix)) {
            return bcrypt(rest);
        }
        match text.strip_prefix("$6$") {
            Some(rest) => sha512(rest),
            None if text.is_empty() => Err(Kind::MissingHash),
            None => Err(Kind::Unsupported { scheme: scheme(text) }),
        }
    }

    /// Compares in constant time. Takes as long as the hash's cost says: up to about a second of one core.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt { cost, salt, hash } => {
                let mut key = Zeroizing::new([0; BCRYPT_KEY]);
                let len = password.len().min(BCRYPT_KEY);
                key[..len].copy_from_slice(&password[..len]);
                let key = &key[..(len + 1).min(BCRYPT_KEY)];
                bcrypt::bcrypt(*cost, *salt, key)[..hash.len()].ct_eq(hash).into()
            }
            Self::Sha512 { params, salt, hash } => sha_crypt::sha512_crypt(password, salt, *params).ct_eq(hash).into(),
        }
    }
}

/// `COST$SALTHASH`: two digits, 22 and 31 characters.
fn bcrypt(text: &str) -> Result<PasswordHash, Kind> {
    const MALFORMED: Kind = Kind::Malformed { scheme: "bcrypt" };
    let (cost, rest) = text.split_once('$').ok_or(MALFORMED)?;
    let cost = match cost.len() {
        2 => number(cost).ok_or(MALFORMED)?,
        _ => return Err(MALFORMED),
    };
    let (salt, hash) = rest.split_at_checked(22).ok_or(MALFORMED)?;
    let salt = BCRYPT_BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(MALFORMED)?;
    let hash = BCRYPT_BASE64.decode(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or(MALFORMED)?;
    match cost {
        4..=MAX_BCRYPT_COST => Ok(PasswordHash::Bcrypt { cost, salt, hash }),
        _ => Err(Kind::Cost { cost, max: MAX_BCRYPT_COST }),
    }
}

/// `[rounds=N$]SALT$HASH`: up to 16 and exactly 86 characters.
fn sha512(text: &str) -> Result<PasswordHash, Kind> {
    const MALFORMED: Kind = Kind::Malformed { scheme: "sha512-crypt" };
    let (rounds, rest) = match text.strip_prefix("rounds=") {
        Some(text) => {
            let (rounds, rest) = text.split_once('$').ok_or(MALFORMED)?;
            (number(rounds).ok_or(MALFORMED)?, rest)
        }
        None => (Params::RECOMMENDED_ROUNDS, text),
    };
    let (salt, hash) = rest.split_once('$').ok_or(MALFORMED)?;
    let hash = sha512_digest(hash.as_bytes()).ok_or(MALFORMED)?;
    if salt.len() > 16 {
        return Err(MALFORMED);
    }
    match Params::new(rounds) {
        Ok(params) if rounds <= MAX_SHA512_ROUNDS => {
            Ok(PasswordHash::Sha512 { params, salt: salt.as_bytes().into(), hash })
        }
        _ => Err(Kind::Rounds { rounds, max: MAX_SHA512_ROUNDS }),
    }
}

/// Digits alone: `parse` would take a sign too.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Undoes crypt's way of writing a SHA-512 digest: three bytes make four characters, the lowest six bits first, and the
/// bytes are shuffled: 0, 21 and 42, then 22, 43 and 1, and so on. The 64th byte stands alone at the end.
fn sha512_digest(text: &[u8]) -> Option<[u8; BLOCK_SIZE_SHA512]> {
    let bits = |chars: &[u8]| {
        chars.iter().rev().try_fold(0_u32, |bits, c| {
            let six = alphabet::CRYPT.as_str().bytes().position(|known| known == *c)?;
            Some(bits << 6 | u32::try_from(six).ok()?)
        })
    };
    let (groups, last) = text.split_at_checked(84)?;
    let mut digest = [0; BLOCK_SIZE_SHA512];
    let (mut first, mut second, mut third) = (0, 21, 42);
    for group in groups.chunks_exact(4) {
        let [_, high, middle, low] = bits(group)?.to_be_bytes();
        (digest[first], digest[second], digest[third]) = (high, middle, low);
        (first, second, third) = (second + 1, third + 1, first + 1);
    }
    if last.len() != 2 {
        return None;
    }
    digest[63] = u8::try_from(bits(last)?).ok()?;
    Some(digest)
}

/// What a hash that is not taken looks like. A name from this list, so that no error can quote a password.
fn scheme(text: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 12] = [
        ("$apr1$", "MD5 (apr1)"),
        ("$1$", "MD5-crypt"),
        ("$5$", "sha256-crypt"),
        ("$2x$", "bcrypt as a faulty program computed it (2x)"),
        ("$2$", "the first version of bcrypt"),
        ("$y$", "yescrypt"),
        ("$7$", "scrypt"),
        ("$argon2", "Argon2"),
        ("{SHA}", "SHA-1"),
        ("{SSHA}", "salted SHA-1"),
        ("{PLAIN}", "plain text"),
        ("$", "an unknown scheme"),
    ];
    let is_des = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    match PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, name)) => name,
        None if text.len() == 13 && text.bytes().all(is_des) => "DES-crypt or plain text",
        None => "plain text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by foreign programs: `python3 -c 'import crypt; print(crypt.crypt(PASSWORD, SALT))'`, which is libxcrypt; the
    /// last one by `openssl passwd -6 -salt Zm9vYmFy swordfish`.
    const FOREIGN: [(&str, &str); 7] = [
        ("secret", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
        ("pässwörd", "$2y$05$0123456789abcdefghijkuJ8HCICsD08eo1BcN912oWZAM11CJKHa"),
        ("a:b", "$2y$04$abcdefghijklmnopqrstuuIQ9AyrP6qHpzJiEKQ5zxtEz3TPNwuMe"),
        ("opensesame", "$2a$04$zyxwvutsrqponmlkjihgfeOr7dgAtBcVeOZN5Y3mVBGSU0FZWExrq"),
        (
            "secret",
            "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        ),
        (
            "hunter2",
            "$6$rounds=1000$abcdefgh$t5NmrWOyohJ8f73CiI.ipwnmEO82Ymv802ja2TZrmBnj00Hvr2YrP2TDI7aBzNhjsP40J3Yd13Z66StlJAayI1",
        ),
        (
            "swordfish",
            "$6$Zm9vYmFy$TYP94ZO8jJpFgvMoa4q01T8NWtgFBvGQ27gNcHhHYrX4UE0Dsh7W7Q0wIEUHQj4gXagztwN39/qlnDZHAOf.J.",
        ),
    ];

    #[test]
    fn hashes_of_foreign_programs_match_their_passwords_and_no_others() {
        for (password, text) in FOREIGN {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(hash.matches(password.as_bytes()), "{text}");
            assert!(!hash.matches(b""), "{text}");
            assert!(!hash.matches(b"wrong"), "{text}");
            assert!(!hash.matches(&password.as_bytes()[..password.len() - 1]), "{text}");
            assert!(!hash.matches(&[password.as_bytes(), b"x"].concat()), "{text}");
        }
    }

    /// As `htpasswd` and libxcrypt do; the hashes are libxcrypt's, of 71 and of 76 bytes.
    #[test]
    fn bcrypt_reads_72_bytes_and_sha512_crypt_all() {
        let x = |n| vec![b'x'; n];
        let hash = PasswordHash::parse("$2y$04$abcdefghijklmnopqrstuu.gc7UY/21CSNJGJg21jJzx9QiOpJ9bO").unwrap();
        assert!(hash.matches(&x(71)));
        assert!(!hash.matches(&x(70)));
        assert!(!hash.matches(&x(72)));
        let hash = PasswordHash::parse("$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i").unwrap();
        assert!(hash.matches(&x(72)));
        assert!(hash.matches(&x(200)));
        assert!(!hash.matches(&x(71)));
        let long = "$6$rounds=1000$abcdefghijklmnop$d.Awrj0vh.NO.F1ECEyB3xIneEn7.NMTE5zR2jnP/.RunlJdTzQ1RKA1kogMHyn35h0resusacQZyU/N/1xFu0";
        let hash = PasswordHash::parse(long).unwrap();
        assert!(hash.matches(&x(200)));
        assert!(!hash.matches(&x(199)));
    }

    fn refused(text: &str) -> Kind {
        PasswordHash::parse(text).err().unwrap()
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        for (text, scheme) in [
            ("secret", "plain text"),
            ("{PLAIN}secret", "plain text"),
            // openssl passwd -apr1 -salt abcdefgh x
            ("$apr1$abcdefgh$82JubPF2dQkt1tVfvLnXS.", "MD5 (apr1)"),
            ("$1$abcdefgh$82JubPF2dQkt1tVfvLnXS.", "MD5-crypt"),
            // htpasswd -s
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1"),
            ("{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "salted SHA-1"),
            // python3 -c 'import crypt; print(crypt.crypt("DES", "ab"))'
            ("ab07k6njkj/xk", "DES-crypt or plain text"),
            ("$5$ab$WGOp4rrnVkzd41QtCddYFTEQ9dQil8O7VF2OXqtI3/7", "sha256-crypt"),
            (
                "$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
                "bcrypt as a faulty program computed it (2x)",
            ),
            ("$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA", "Argon2"),
            ("$y$j9T$abc$def", "yescrypt"),
            ("$99$x", "an unknown scheme"),
        ] {
            assert_eq!(refused(text), Kind::Unsupported { scheme }, "{text}");
        }
        assert_eq!(refused(""), Kind::MissingHash);
    }

    #[test]
    fn what_is_cut_or_mistyped_is_refused() {
        let bcrypt = FOREIGN[0].1;
        for text in [
            &bcrypt[..59],
            &format!("{bcrypt}x"),
            &bcrypt.replace("$04$", "$4$"),
            &bcrypt.replace("$04$", "$+4$"),
            &bcrypt.replace("$04$", "$$"),
            &bcrypt.replace('r', "!"),
            &bcrypt.replace("rs", "é"),
            "$2b$",
        ] {
            assert_eq!(refused(text), Kind::Malformed { scheme: "bcrypt" }, "{text}");
        }
        let sha512 = FOREIGN[5].1;
        for text in [
            &sha512[..sha512.len() - 1],
            &format!("{sha512}x"),
            &sha512.replace("rounds=", "rounds=+"),
            &sha512.replace("1000", ""),
            &sha512.replace("1000", "99999999999"),
            &sha512.replace("abcdefgh", "abcdefghijklmnopq"),
            &sha512.replace("t5N", "t:N"),
            // The 64th byte has eight bits, and these are twelve.
            &format!("{}zz", &sha512[..sha512.len() - 2]),
            "$6$",
            "$6$salt",
        ] {
            assert_eq!(refused(text), Kind::Malformed { scheme: "sha512-crypt" }, "{text}");
        }
    }

    /// A cost of 31 would hold a core for days, at each guess of a stranger.
    #[test]
    fn a_cost_beyond_the_limit_is_refused() {
        let cost = |cost: &str| refused(&FOREIGN[0].1.replace("$04$", &format!("${cost}$")));
        assert_eq!(cost("15"), Kind::Cost { cost: 15, max: 14 });
        assert_eq!(cost("31"), Kind::Cost { cost: 31, max: 14 });
        assert_eq!(cost("03"), Kind::Cost { cost: 3, max: 14 });
        assert!(PasswordHash::parse(&FOREIGN[0].1.replace("$04$", "$14$")).is_ok());

        let rounds = |rounds: u32| FOREIGN[5].1.replace("rounds=1000", &format!("rounds={rounds}"));
        assert_eq!(refused(&rounds(1_000_001)), Kind::Rounds { rounds: 1_000_001, max: 1_000_000 });
        assert_eq!(refused(&rounds(999)), Kind::Rounds { rounds: 999, max: 1_000_000 });
        assert!(PasswordHash::parse(&rounds(1_000_000)).is_ok());
    }
}
