//! Arguments made whole: a scenario's own stand before those given, a baseline's behind them. The last one counts.

use std::ffi::OsString;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::scenario::Scenario;

const RUN: &str = "run";

impl Cli {
    /// Reads a command line, the program's name first.
    pub fn complete(given: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
        let mut line: Vec<OsString> = given.into_iter().map(Into::into).collect();
        let own = match Cli::try_parse_from(&line)?.command {
            Command::Run(args) => Scenario::named(&args.scenario).map_or("", |scenario| scenario.arguments),
            _ => "",
        };
        let behind_run = line.iter().position(|word| word == RUN).map_or(line.len(), |at| at + 1);
        line.splice(behind_run..behind_run, words(own));
        let mut cli = Cli::try_parse_from(&line)?;
        if let Command::Run(args) = &mut cli.command
            && let Some(changes) = &args.compare.against
            && !changes.is_empty()
        {
            line.extend(words(changes));
            if let Command::Run(baseline) = Cli::try_parse_from(&line)?.command {
                args.baseline = Some(baseline);
            }
        }
        Ok(cli)
    }
}

fn words(arguments: &str) -> impl Iterator<Item = OsString> {
    arguments.split_whitespace().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunArgs;
    use crate::plan::Stall;

    fn read(line: &str) -> RunArgs {
        let Command::Run(args) = Cli::complete(line.split(' ')).unwrap().command else { panic!("`run`") };
        *args
    }

    #[test]
    fn a_scenarios_own_arguments_give_way_to_those_given_and_these_to_a_baselines() {
        let args = read("relay-loadtest --threads 2 run slow-reader --rate 77");
        assert_eq!((args.plan.rate, args.plan.stall), (Some(77), Stall::FromStart));
        let baseline = args.baseline.unwrap();
        assert_eq!((baseline.plan.rate, baseline.plan.stall), (Some(77), Stall::Never));
        assert_eq!(args.launch, baseline.launch);
    }

    #[test]
    fn a_baseline_is_what_the_command_line_says_and_may_be_none() {
        let args = read("relay-loadtest run direct --batch 16 --against --batch=1");
        assert_eq!((args.plan.batch, args.baseline.unwrap().plan.batch), (16, 1));
        assert!(read("relay-loadtest run slow-reader --against=").baseline.is_none());
        assert!(read("relay-loadtest run direct").baseline.is_none());
    }

    #[test]
    fn every_scenarios_own_arguments_can_be_read() {
        for scenario in crate::scenario::ALL {
            assert_eq!(read(&format!("relay-loadtest run {}", scenario.name)).scenario, scenario.name);
        }
    }
}
