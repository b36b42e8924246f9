//! The command line: what can be asked, and which exit code answers.
//!
//! `main` parses, calls one function, maps the answer to an exit code. Jepsen's verbs are aliases of ours. Talk goes to stderr,
//! results to stdout; every error is one sentence that names the flag, the value, what is allowed and the nearest match.

mod check;
mod compare;
mod convert;
mod demo;
mod explain;
mod explanations;
mod gallery;
mod generate;
mod list;
pub mod options;
mod run;
mod selftest;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::talk::{self, Color};

/// Finds out which consistency guarantees a replicated database keeps while it is harmed, and proves what it broke.
#[derive(Parser)]
#[command(name = "gainsay", version, disable_help_subcommand = true, arg_required_else_help = false)]
#[command(
    after_help = "Exit codes: 0 held, 1 broken, 2 unknown, 3 too little evidence, 254 bad arguments, 255 the harness failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Says results only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Says more: every fault as it happens
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a database, injures it under load, and says which guarantees held
    #[command(visible_alias = "test")]
    Run(Box<run::RunArgs>),
    /// Shows in under a minute what this is: a mode that breaks beside one that holds
    Demo(demo::DemoArgs),
    /// Shows each anomaly by name: the mode that has it beside one that does not
    Gallery(gallery::GalleryArgs),
    /// Judges a history: a run's again, or one of another tool
    #[command(visible_alias = "analyze")]
    Check(Box<check::CheckArgs>),
    /// Renders a run directory's report again
    Report(check::ReportArgs),
    /// Puts several runs on one page
    Compare(compare::CompareArgs),
    /// Writes a history in another format
    Convert(convert::ConvertArgs),
    /// Makes up a history: valid, or with a named anomaly in it
    Generate(generate::GenerateArgs),
    /// Compares the checkers with brute force and with second algorithms
    Selftest(selftest::SelftestArgs),
    /// Lists databases, modes, workloads, faults and guarantees
    List(list::ListArgs),
    /// Explains an anomaly, a model or a guarantee
    Explain(explain::ExplainArgs),
    /// Starts a node of the reference database; `gainsay refdb --help` lists its flags
    #[command(disable_help_flag = true)]
    Refdb {
        /// The node's own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Runs the program with these arguments, the program's name first; returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|verb| verb == "refdb") {
        return refdb::main_from(std::iter::once(OsString::from("gainsay refdb")).chain(args.into_iter().skip(2)));
    }
    std::panic::set_hook(Box::new(|panic| talk::error(&format!("gainsay: a bug of ours: {panic}"))));
    match std::panic::catch_unwind(|| parsed(args)) {
        Ok(exit) => exit.code(),
        Err(_) => Exit::Failed.code(),
    }
}

fn parsed(args: Vec<OsString>) -> Exit {
    let cli = match Cli::try_parse_from(options::expand_labels(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let asked = !error.use_stderr();
            let _ = error.print();
            return if asked { Exit::Held } else { Exit::Usage };
        }
    };
    talk::configure(cli.quiet, cli.verbose, cli.color);
    let Some(command) = cli.command else {
        talk::result(OVERVIEW);
        return Exit::Held;
    };
    let outcome = match command {
        Command::Run(args) => run::main(*args),
        Command::Demo(args) => demo::main(&args),
        Command::Gallery(args) => gallery::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Report(args) => check::report(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Convert(args) => convert::main(&args),
        Command::Generate(args) => generate::main(&args),
        Command::Selftest(args) => selftest::main(&args),
        Command::List(args) => list::main(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Refdb { args } => {
            let code = refdb::main_from(std::iter::once(OsString::from("gainsay refdb")).chain(args));
            return if code == 0 { Exit::Held } else { Exit::Failed };
        }
    };
    match outcome {
        Ok(exit) => exit,
        Err(error) => {
            talk::error(&format!("gainsay: {error:#}"));
            if error.is::<options::Usage>() { Exit::Usage } else { Exit::Failed }
        }
    }
}

/// What `gainsay` alone says: everything on one screen.
const OVERVIEW: &str = "\
gainsay finds out which consistency guarantees a replicated database keeps while it is harmed.

  gainsay demo                         a mode that breaks beside one that holds, in under a minute
  gainsay gallery [NAME]               what each mode breaks, by name, beside one that does not
  gainsay run                          30 s of load and faults on the reference database, a verdict
  gainsay run --ack async --reads any  another mode; `gainsay list` shows what there is
  gainsay run --db exec --start CMD --client CMD
                                       your own database
  gainsay check DIR|FILE…              judge a history again, or one of another tool
  gainsay convert FILE --to FORMAT     write a history in another format
  gainsay generate --anomaly NAME      make up a history, with something wrong in it
  gainsay report DIR                   render the report again
  gainsay compare DIR DIR…             several runs on one page
  gainsay list                         databases, modes, workloads, faults, guarantees
  gainsay explain [NAME]               what an anomaly, a model or a guarantee means

`gainsay COMMAND --help` explains each.";
