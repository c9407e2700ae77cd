//! `--user`, `--users-file` and the limits for each user: who may use the proxy, and how much.

use std::{ffi::OsStr, num::NonZeroU32, num::NonZeroUsize, path::PathBuf, time::Duration};

use chaski_core::display_chain;
use chaski_middleware::Rate;
use chaski_proxy::{Credentials, UsersFile};
use chaski_stacks::ForwardProxyConfig;
use clap::{Arg, Args, Command as Clap, builder::TypedValueParser, error::ErrorKind};

use crate::{reload::Reloading, run::Failure};

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// Asks clients for this name and password. In the environment it is hidden from other users of the machine.
    #[arg(long, value_name = "NAME:PASSWORD", env = "CHASKI_PROXY_USER", hide_env_values = true, value_parser = Secret)]
    user: Option<Credentials>,

    /// Asks clients for a name and a password from this file, besides --user. A line is NAME:HASH, as `htpasswd -B` (bcrypt)
    /// and `openssl passwd -6` (sha512-crypt) write it. SIGHUP has it read again.
    #[arg(long, value_name = "PATH")]
    users_file: Option<PathBuf>,

    /// How many requests and tunnels a user may have under way at a time; without authentication, an IP address.
    #[arg(long, value_name = "N")]
    max_per_user: Option<NonZeroUsize>,

    /// How often a user, or without authentication an IP address, may ask for something: `10/s`, `600/m`, `5000/h`.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate_per_user: Option<Rate>,
}

impl UserArgs {
    /// Whether clients are asked who they are.
    pub(crate) fn asks(&self) -> bool {
        self.user.is_some() || self.users_file.is_some()
    }

    /// Reads the file.
    pub(crate) fn load(&self) -> Result<Option<UsersFile>, Failure> {
        let file = self.users_file.as_ref().map(UsersFile::load).transpose();
        file.map_err(|error| Failure::System(display_chain(&error).to_string()))
    }

    pub(crate) fn apply(self, file: Option<&UsersFile>, mut config: ForwardProxyConfig) -> ForwardProxyConfig {
        if let Some(user) = self.user {
            config = config.with_users([user]);
        }
        if let Some(file) = file {
            config = config.with_users_file(file.clone());
        }
        if let Some(limit) = self.max_per_user {
            config = config.with_max_per_user(limit);
        }
        if let Some(rate) = self.rate_per_user {
            config = config.with_rate_per_user(rate);
        }
        config
    }
}

/// Has the file read again with everything else that is. An error leaves the users as they are.
pub(crate) fn reload_with(reloading: &mut Reloading, file: UsersFile) {
    reloading.add(file.path().display().to_string(), move || match file.reload() {
        Ok(()) => Ok(format!("{} users", file.len())),
        Err(error) => Err(format!("{}; the users read before stay", display_chain(&error))),
    });
}

/// Reads `10/s` and the like: a number of calls in one unit of time, or in a span such as `10s`.
fn rate(text: &str) -> Result<Rate, String> {
    let (calls, unit) = text.split_once('/').ok_or("a rate is N/UNIT, as in 10/s")?;
    let calls: NonZeroU32 = calls.parse().map_err(|_| format!("{calls:?} is not a number from 1 to {}", u32::MAX))?;
    let span = match unit.starts_with(|c: char| c.is_ascii_digit()) {
        true => humantime::parse_duration(unit),
        false => humantime::parse_duration(&format!("1{unit}")),
    };
    match span {
        Ok(Duration::ZERO) => Err("a rate needs a span of time".to_owned()),
        Ok(span) if span > Rate::MAX_PERIOD => Err("the span of a rate is a year at most".to_owned()),
        Ok(span) => Ok(Rate::new(calls, span)),
        Err(_) => Err(format!("{unit:?} is not a unit of time, such as s, m or h")),
    }
}

/// Reads credentials. clap's own error would quote what it was given, and that ends in logs.
#[derive(Clone)]
struct Secret;

impl TypedValueParser for Secret {
    type Value = Credentials;

    fn parse_ref(&self, clap: &Clap, _: Option<&Arg>, value: &OsStr) -> Result<Credentials, clap::Error> {
        let fault = match value.to_str().map(str::parse) {
            Some(Ok(credentials)) => return Ok(credentials),
            Some(Err(error)) => format!("{error}"),
            None => "credentials are not UTF-8".to_owned(),
        };
        let message = format!("--user (or CHASKI_PROXY_USER): {fault}\n");
        Err(clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(clap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_units_and_in_spans() {
        let of = |calls, secs| Ok(Rate::new(NonZeroU32::new(calls).unwrap(), Duration::from_secs(secs)));
        for (text, expected) in [
            ("10/s", of(10, 1)),
            ("600/m", of(600, 60)),
            ("600/min", of(600, 60)),
            ("5000/h", of(5000, 3600)),
            ("1/10s", of(1, 10)),
            ("3/1m 30s", of(3, 90)),
        ] {
            assert_eq!(rate(text), expected, "{text}");
        }
        for text in ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/", "10/0s", "10/fortnight", "4294967296/s", "1/2years"]
        {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
