//! `gainsay convert`: a history from one way of writing to another.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use gainsay_checker::formats::{awdit, dbcop, plume};
use gainsay_checker::generate::written::{edn_value, json_value};
use gainsay_checker::inspect::{Format, events_of_log, recognise};
use gainsay_checker::text::{Scanner, Syntax, Token, line_of};
use gainsay_checker::txn::Transactions;
use gainsay_checker::value::Value;

use super::options::{one, usage};
use crate::exit::Exit;
use crate::input;

/// The flags of `gainsay convert`.
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// A history, or a run directory; `-` is standard input
    #[arg(value_name = "DIR|FILE")]
    pub path: PathBuf,
    /// edn, json (a line an event), plume, awdit or dbcop; the last three hold transactions over registers
    #[arg(long, value_name = "FORMAT")]
    pub to: String,
    /// How it is written [default: told by its beginning]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Where to [default: standard output]
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// Converts.
pub fn main(args: &ConvertArgs) -> anyhow::Result<Exit> {
    one("--to", &args.to, &["edn", "json", "plume", "awdit", "dbcop"])?;
    let all: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    if let Some(format) = &args.format {
        one("--format", format, &all)?;
    }
    let bytes = input::load(&args.path).map_err(|error| usage(format!("{error:#}")))?;
    let format = args.format.as_deref().and_then(Format::named).unwrap_or_else(|| recognise(&bytes));
    let wrong = |why: String| usage(format!("{}: {why}", args.path.display()));
    let out = match args.to.as_str() {
        "edn" | "json" => events(&bytes, format, args.to == "json").map_err(wrong)?,
        to => registers(&bytes, format, to).map_err(wrong)?,
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, out).map_err(|error| usage(format!("writing {}: {error}", path.display())))?;
        }
        // Whoever closes the pipe has what he wanted.
        None => drop(std::io::stdout().lock().write_all(&out)),
    }
    Ok(Exit::Held)
}

/// Every event, entry by entry, in the other syntax.
fn events(bytes: &[u8], format: Format, json: bool) -> Result<Vec<u8>, String> {
    let log;
    let (text, syntax) = match format {
        Format::Edn => (bytes, Syntax::Edn),
        Format::Json => (bytes, Syntax::Json),
        Format::Jepsen => {
            log = events_of_log(bytes).map_err(|error| error.to_string())?;
            (log.as_slice(), Syntax::Edn)
        }
        research => return of_registers(bytes, research, json),
    };
    let mut scanner = Scanner::new(text, syntax);
    let mut out = Vec::with_capacity(text.len());
    loop {
        let at = scanner.at();
        let wrong = |at: usize, what: String| format!("line {}: {what}", line_of(text, at));
        // The list that may hold all events is left out: one event a line is what everybody reads.
        match scanner.clone().token().map_err(|error| wrong(error.at, error.what))? {
            Token::End => return Ok(out),
            Token::Open(gainsay_checker::text::Bracket::List) | Token::Close => {
                scanner.token().map_err(|error| wrong(error.at, error.what))?;
            }
            _ => {
                let value = Value::read(&mut scanner).map_err(|error| wrong(error.at.max(at), error.what))?;
                if !matches!(value, Value::Map(_)) {
                    return Err(wrong(at, format!("expected a map that is an event, found {value}")));
                }
                if json {
                    json_value(&mut out, &value)
                } else {
                    edn_value(&mut out, &value)
                }
                out.push(b'\n');
            }
        }
    }
}

/// The transactions of a research format as events: each is invoked and completed at once, session by session.
fn of_registers(bytes: &[u8], format: Format, json: bool) -> Result<Vec<u8>, String> {
    use gainsay_checker::event::Kind;
    use gainsay_checker::generate::{Written, write_edn, write_json};
    use gainsay_checker::history::Outcome;
    let txns = transactions(bytes, format)?;
    let mut out = Vec::new();
    let mut index = 0;
    for (number, txn) in txns.txns.iter().enumerate() {
        let of = |name: gainsay_checker::txn::Name| match name {
            gainsay_checker::txn::Name::Int(it) => Value::Int(it),
            gainsay_checker::txn::Name::Text(it) => Value::Text((*it).into()),
        };
        let steps = |answered: bool| {
            let one = |step: &gainsay_checker::txn::Step| {
                let known = (answered || step.writes()) && step.version < gainsay_checker::txn::transactions::LIMIT;
                let value = if known { of(txns.value(step.version)) } else { Value::Nil };
                let name = if step.writes() { "w" } else { "r" };
                Value::List(vec![Value::Text(name.into()), of(txns.keys[step.key() as usize].clone()), value])
            };
            Value::List(txns.steps_of(number as u32).iter().map(one).collect())
        };
        let end = match txn.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        for (kind, value) in [(Kind::Invoke, steps(false)), (end, steps(end == Kind::Ok))] {
            let process = txns.processes[txn.process as usize];
            let event = Written { index, time: index, kind, process, f: "txn", value };
            index += 1;
            if json { write_json(&mut out, &event) } else { write_edn(&mut out, &event) }
        }
    }
    Ok(out)
}

fn transactions(bytes: &[u8], format: Format) -> Result<Transactions, String> {
    match format {
        Format::Edn => Transactions::read(bytes, Syntax::Edn).map_err(|error| error.to_string()),
        Format::Json => Transactions::read(bytes, Syntax::Json).map_err(|error| error.to_string()),
        Format::Plume => plume::read(bytes).map_err(|error| error.to_string()),
        Format::Awdit => awdit::read(bytes).map_err(|error| error.to_string()),
        Format::Dbcop => dbcop::read(bytes).map_err(|error| error.to_string()),
        Format::Jepsen => Err("Jepsen's log holds no transactions over registers".to_string()),
    }
}

fn registers(bytes: &[u8], format: Format, to: &str) -> Result<Vec<u8>, String> {
    let txns = transactions(bytes, format)?;
    let mut out = Vec::new();
    let written = match to {
        "plume" => plume::write(&txns, &mut out),
        "awdit" => awdit::write(&txns, &mut out),
        _ => dbcop::write(&txns, &mut out),
    };
    written.map_err(|error| error.to_string())?;
    Ok(out)
}
