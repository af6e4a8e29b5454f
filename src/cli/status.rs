//! `portico status`: which Ingresses of a running portico are shown, and how.

use clap::{Args, ValueEnum};

use crate::settings::ServeArgs;

/// `portico status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// Ingresses by NAME or NAMESPACE/NAME [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only those of one namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// How they are printed
    #[arg(short, long, value_enum, default_value_t, env = "PORTICO_OUTPUT", value_name = "FORMAT")]
    pub output: Output,
    /// The settings of the portico that runs; its --admin is asked.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `status --output`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// A line for each path.
    #[default]
    Table,
    /// The same with the type of each path, and its canary.
    Wide,
    /// What the admin listener has at /api/v1/ingresses, for programs.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  portico status                            every Ingress, a line for each path
  portico status -n shop -o wide            those of one namespace, with types of paths and canaries
  portico status shop/web cart              two of them; NAME alone is looked for everywhere
  portico status -o json | jq -r '.ingresses[] | select(.served | not) | .reason'
  portico status --admin 127.0.0.1:9081     of the portico whose admin listener is there

What STATE says:
  open       requests go to the Service; without endpoints they get 503, and why is said
  closed     each request gets 503: an annotation that guards cannot be obeyed
  shadowed   another Ingress, older or first by name, serves this path
  left       not portico's: its class is another controller's

ADDRESS is where it is reached; a port with ! could not be had. (rest) is whatever no path is for.
MODE is how paths are compared: as the specification says, or as nginx does (portico.dev/nginx-quirks).
Exit codes: 0 fine, 1 an Ingress that was named is not there, 2 wrong usage, or no portico there.";
