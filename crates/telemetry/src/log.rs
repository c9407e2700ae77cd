//! `tracing`, set up in one call.

use std::{
    env::{self, VarError},
    io::{self, IsTerminal},
};

use tracing_subscriber::{EnvFilter, filter::ParseError, util::SubscriberInitExt};

/// How a program logs. The default: text on standard error, level `info`, unless `CHASKI_LOG` says otherwise.
#[derive(Clone, Debug, Default)]
pub struct LogConfig {
    filter: Option<String>,
    format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people: time, level, module, message, fields. In colour on a terminal.
    #[default]
    Text,
}

impl LogConfig {
    /// The variable of the environment that holds a filter.
    pub const VARIABLE: &'static str = "CHASKI_LOG";

    /// What is logged when nobody says otherwise.
    pub const DEFAULT_FILTER: &'static str = "info";

    /// Logs what this filter lets through, whatever `CHASKI_LOG` says: a level, or directives such as
    /// `info,chaski_net=debug`, in the syntax of [`EnvFilter`](https://docs.rs/tracing-subscriber/0.3/tracing_subscriber/filter/struct.EnvFilter.html#directives).
    #[must_use]
    pub fn with_filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Chooses the form of the lines.
    #[must_use]
    pub fn with_format(mut self, format: LogFormat) -> Self {
        self.format = format;
        self
    }

    /// The filter in force, given what the environment holds.
    fn filter(&self, variable: Result<String, VarError>) -> Result<EnvFilter, InitError> {
        let (text, origin) = match (&self.filter, variable) {
            (Some(filter), _) => (filter.clone(), "the log filter"),
            (None, Ok(filter)) if !filter.trim().is_empty() => (filter, Self::VARIABLE),
            (None, Ok(_) | Err(VarError::NotPresent)) => (Self::DEFAULT_FILTER.to_owned(), "the log filter"),
            (None, Err(VarError::NotUnicode(_))) => return Err(InitError::NotUnicode),
        };
        let parse = |text: &str| EnvFilter::builder().parse(text);
        parse(&text).map_err(|source| {
            // The parser does not say which directive it refused.
            let at_fault = text.split(',').find(|directive| parse(directive).is_err());
            InitError::BadFilter { origin, directive: at_fault.unwrap_or(&text).trim().to_owned(), source }
        })
    }
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The filter, given by the program or in `CHASKI_LOG`, cannot be read.
    #[error("{origin}: the directive {directive:?} is not understood")]
    BadFilter {
        /// Where the filter comes from.
        origin: &'static str,
        /// The part of it that is at fault.
        directive: String,
        /// What the parser says.
        source: ParseError,
    },
    /// `CHASKI_LOG` is not UTF-8.
    #[error("CHASKI_LOG is not UTF-8")]
    NotUnicode,
    /// The program has set up `tracing` before.
    #[error("logging was set up before")]
    AlreadySet,
}

/// Sets up `tracing` for this program: call it once, first thing in `main`. Libraries leave it to the program.
///
/// Control characters in messages and fields are escaped, so that what a peer sends does not reach the terminal. Lines that
/// cannot be written, because the reader of standard error has gone, are lost.
///
/// # Errors
///
/// [`InitError`]: see its variants.
///
/// ```
/// use chaski_telemetry::{InitError, LogConfig, init};
///
/// let Err(InitError::BadFilter { directive, .. }) = init(LogConfig::default().with_filter("info,chaski=loud")) else {
///     panic!("`loud` is no level");
/// };
/// assert_eq!(directive, "chaski=loud");
/// ```
pub fn init(config: LogConfig) -> Result<(), InitError> {
    let filter = config.filter(env::var(LogConfig::VARIABLE))?;
    let LogFormat::Text = config.format;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // It would report a failed write by `eprintln!`, which panics then, in whatever task logs next.
        .log_internal_errors(false)
        .finish()
        .try_init()
        .map_err(|_| InitError::AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(config: Option<&str>, variable: Result<&str, VarError>) -> String {
        let config = LogConfig { filter: config.map(str::to_owned), ..LogConfig::default() };
        match config.filter(variable.map(str::to_owned)) {
            Ok(filter) => filter.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_program_comes_before_the_environment_and_that_before_the_default() {
        for (config, variable, expected) in [
            (Some("warn"), Ok("debug"), "warn"),
            (None, Ok("debug"), "debug"),
            (None, Ok(" "), "info"),
            (None, Err(VarError::NotPresent), "info"),
            (Some("warn"), Err(VarError::NotUnicode("".into())), "warn"),
            (None, Err(VarError::NotUnicode("".into())), "CHASKI_LOG is not UTF-8"),
            (Some("info,a=loud,b=debug"), Ok(""), "the log filter: the directive \"a=loud\" is not understood"),
            (None, Ok("a=loud"), "CHASKI_LOG: the directive \"a=loud\" is not understood"),
        ] {
            assert_eq!(filter(config, variable.clone()), expected, "{config:?} {variable:?}");
        }
    }
}
