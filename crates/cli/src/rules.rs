//! `--allow` and `--deny`: one list, in the order of the command line.

use chaski_proxy::{Rule, TargetPattern};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

const ALLOW: &str = "Lets clients reach what matches: a CIDR or address (`10.0.0.0/8`, `[::1]`), a name or a pattern \
                     (`host.example`, `*.example`), a class (`public`, `loopback`, `private`, `link-local`) or everything \
                     (`*`), each with or without `:PORT` or `:PORT-PORT`. Of all --allow and --deny, the first in the \
                     order of the command line that matches decides; what none matches is allowed if it is public.";

const DENY: &str = "Keeps clients from what matches; as --allow.";

/// The rules that the command line gives. clap collects each option on its own; the order of the two among each other is in
/// the indices of their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleArgs(pub(crate) Vec<Rule>);

impl Args for RuleArgs {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .help(help)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .value_parser(value_parser!(TargetPattern))
        };
        command.arg(option("allow", ALLOW)).arg(option("deny", DENY))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RuleArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |name, rule: fn(TargetPattern) -> Rule| {
            let patterns = matches.get_many::<TargetPattern>(name).unwrap_or_default();
            let indices = matches.indices_of(name).unwrap_or_default();
            indices.zip(patterns.cloned().map(rule)).collect::<Vec<_>>()
        };
        let mut rules = [given("allow", Rule::Allow), given("deny", Rule::Deny)].concat();
        rules.sort_by_key(|(index, _)| *index);
        Ok(Self(rules.into_iter().map(|(_, rule)| rule).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
