use std::fmt;

/// What a peer says when it gives up on a connection (RFC 8446 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(u8);

impl Alert {
    /// The peer does not accept any of what was offered.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The certificate is wrong in some way, such as for another name.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// The certificate is not valid at this time.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// The issuer of the certificate is unknown.
    pub const UNKNOWN_CA: Self = Self(48);
    /// What was sent cannot be read.
    pub const DECODE_ERROR: Self = Self(50);
    /// The peer speaks none of the versions that were offered.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The peer failed for a reason of its own.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The peer does not serve the name that was asked for.
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// The peer wants a certificate, and got none.
    pub const CERTIFICATE_REQUIRED: Self = Self(116);
    /// The peer speaks none of the application protocols that were offered.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);

    /// The alert of this number in the registry of IANA.
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Its name in the registry, if it has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alert({self})")
    }
}
