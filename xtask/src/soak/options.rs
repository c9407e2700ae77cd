//! The command line of a soak.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Options {
    Soak {
        length: Duration,
        seed: Option<u64>,
        /// Another build than that for release.
        binary: Option<PathBuf>,
    },
    /// Inside of a soak: the origin that is killed.
    Origin { port: u16 },
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let (mut length, mut seed, mut binary) = (None, None, None);
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: {value:?} is not a whole number"));
            match name.as_str() {
                "--mins" => length = Some(Duration::from_secs(60 * number()?)),
                "--secs" => length = Some(Duration::from_secs(number()?)),
                "--seed" => seed = Some(number()?),
                "--binary" => binary = Some(value.into()),
                "--origin" => return Ok(Self::Origin { port: u16::try_from(number()?)? }),
                _ => {
                    return Err(
                        format!("takes --mins N (or --secs N), --seed S and --binary PATH, but got `{name}`").into()
                    );
                }
            }
        }
        match length {
            Some(length) if length >= SHORT => Ok(Self::Soak { length, seed, binary }),
            Some(_) => Err(format!("every fault is met in {SHORT:?} at least").into()),
            None => Err("needs --mins N (or --secs N)".into()),
        }
    }
}

/// The short form: every fault is met in it.
pub(super) const SHORT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn lengths_and_seeds_are_read() {
        let soak = |secs, seed| Options::Soak { length: Duration::from_secs(secs), seed, binary: None };
        assert_eq!(parse(&["--mins", "5"]).unwrap(), soak(300, None));
        assert_eq!(parse(&["--secs", "20", "--seed", "7"]).unwrap(), soak(20, Some(7)));
        assert_eq!(parse(&["--origin", "4000"]).unwrap(), Options::Origin { port: 4000 });
        for wrong in [&[][..], &["--mins"], &["--mins", "x"], &["--secs", "3"], &["5"], &["--frobnicate", "1"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
