//! What flags and the environment say: clap's arguments, made from the table.
//!
//! A value is checked here, so that clap names the flag that is wrong, and kept as text with the
//! place that it came from.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::effective::Origin;
use super::table::settings;
use super::{Group, Setting};

/// Flags of everything that serves.
#[derive(Clone, Debug, Default)]
pub struct ServeArgs {
    /// Settings from flags and environment.
    pub(super) given: Vec<Given>,
    /// `--config`: the settings file.
    pub(super) config: Option<PathBuf>,
}

/// Flags of the log.
#[derive(Clone, Debug, Default)]
pub struct LogArgs {
    pub(super) given: Vec<Given>,
}

/// One setting that a flag or a variable sets.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) items: Vec<String>,
    pub(super) origin: Origin,
}

impl ServeArgs {
    /// These flags over those of another line, whose environment and settings file count for both.
    pub(crate) fn over(&self, base: &Self) -> Self {
        let is_flag = |given: &&Given| matches!(given.origin, Origin::Flag(_));
        let mut all: Vec<Given> = self.given.iter().filter(is_flag).cloned().collect();
        for given in &base.given {
            if !all
                .iter()
                .any(|other| std::ptr::eq(other.setting, given.setting))
            {
                all.push(given.clone());
            }
        }
        let config = base.config.clone().or_else(|| self.config.clone());
        Self { given: all, config }
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .env("PORTICO_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help_heading("Settings file")
            .help("A PorticoConfiguration with any of these settings; flags and environment win");
        command.arg(config).args(of_group(false).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let config = matches.get_one::<PathBuf>(CONFIG).cloned();
        Ok(Self {
            given: of_group(false)
                .filter_map(|it| given(it, matches))
                .collect(),
            config,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for LogArgs {
    fn augment_args(command: Command) -> Command {
        command.args(of_group(true).map(|setting| argument(setting).global(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LogArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { given: of_group(true).filter_map(|it| given(it, matches)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The settings of the log, which every command has, or all others.
fn of_group(log: bool) -> impl Iterator<Item = &'static Setting> {
    settings().filter(move |setting| (setting.group == Group::Log) == log)
}

/// The flag and the variable of a setting.
fn argument(setting: &'static Setting) -> Arg {
    let list = setting.kind.is_list();
    let (range, default) = (setting.kind.range(), setting.default_text());
    let range = if range.is_empty() { range } else { format!(", {range}") };
    let repeatable = if list { "; repeatable" } else { "" };
    let argument = Arg::new(setting.flag())
        .long(setting.flag())
        .env(setting.variable())
        .value_name(setting.value_name)
        .help(format!("{}{range}{repeatable} [default: {default}]", setting.help))
        .help_heading(setting.group.title())
        .hide_short_help(!setting.is_common())
        .action(if list { ArgAction::Append } else { ArgAction::Set });
    let argument = if list { argument.value_delimiter(setting.kind.delimiter()) } else { argument };
    let argument = match setting.kind.is_switch() {
        // As kubectl has them: `--flag`, `--flag=false`, and what follows is no value.
        true => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        false => argument,
    };
    match setting.kind.choices() {
        Some(choices) => argument.value_parser(PossibleValuesParser::new(choices)),
        None => {
            argument.value_parser(|text: &str| setting.kind.check(text).map(|()| text.to_owned()))
        }
    }
}

/// What was given for a setting, if anything.
fn given(setting: &'static Setting, matches: &ArgMatches) -> Option<Given> {
    let flag = setting.flag();
    let items: Vec<String> = matches.get_many(&flag)?.cloned().collect();
    let origin = match matches.value_source(&flag)? {
        ValueSource::EnvVariable => Origin::Environment(setting.variable()),
        _ => Origin::Flag(flag),
    };
    Some(Given { setting, items, origin })
}

const CONFIG: &str = "config";
