//! `gainsay generate`: a valid history of any size, or one with a named anomaly in it.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gainsay_checker::generate::{Generator, Kinds, Plan, Written, planted, write_edn, write_json};

use super::options::usage;
use crate::exit::Exit;

/// What is done in a generated history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// Transactions that append to lists and read them
    ListAppend,
    /// Transactions that write registers and read them
    RwRegister,
    /// Single reads and writes of registers
    Register,
    /// The same with compare-and-set
    CasRegister,
}

/// The flags of `gainsay generate`.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// What is done
    #[arg(short, long, value_enum, default_value = "list-append")]
    pub model: Model,
    /// How many operations
    #[arg(long, default_value_t = 1000)]
    pub ops: u64,
    /// How many processes run at a time
    #[arg(long, default_value_t = 10)]
    pub processes: u64,
    /// How many keys are in use at a time
    #[arg(long, default_value_t = 10)]
    pub keys: u64,
    /// A key is replaced by a fresh one after so many writes
    #[arg(long, default_value_t = 32)]
    pub max_writes_per_key: u64,
    /// The longest transaction
    #[arg(long, default_value_t = 4)]
    pub max_txn_length: u64,
    /// Single registers: values repeat, drawn from so many [default: every value is unique]
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub values: u64,
    /// The share of operations whose outcome stays unknown, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub info: f64,
    /// The share of operations that fail, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub fail: f64,
    /// Plants this anomaly in the middle; `gainsay explain` names them
    #[arg(long, value_name = "NAME")]
    pub anomaly: Option<String>,
    /// How often it is planted
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub times: u64,
    /// The seed: the same flags and seed give the same history everywhere
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// edn or json
    #[arg(short, long, default_value = "edn")]
    pub format: String,
    /// Where to [default: standard output]
    #[arg(short, long)]
    pub output: Option<PathBuf>,
}

/// Generates.
pub fn main(args: &GenerateArgs) -> anyhow::Result<Exit> {
    super::options::one("--format", &args.format, &["edn", "json"])?;
    for (flag, share) in [("--info", args.info), ("--fail", args.fail)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(usage(format!("{flag} is a share between 0 and 1, not {share}")));
        }
    }
    let kinds = match args.model {
        Model::ListAppend => Kinds::ListAppend,
        Model::RwRegister => Kinds::RwRegister,
        Model::Register => Kinds::Register,
        Model::CasRegister => Kinds::CasRegister,
    };
    let plan = Plan {
        kinds,
        seed: args.seed,
        ops: args.ops,
        processes: args.processes,
        keys: args.keys,
        writes_per_key: args.max_writes_per_key,
        steps: args.max_txn_length,
        info: args.info,
        fail: args.fail,
        values: args.values,
    };
    let planted = plants(args, kinds)?;
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => {
            let file =
                std::fs::File::create(path).map_err(|error| usage(format!("creating {}: {error}", path.display())))?;
            Box::new(std::io::BufWriter::new(file))
        }
        None => Box::new(std::io::BufWriter::new(std::io::stdout().lock())),
    };
    match write(&mut out, plan, &planted, args.format == "json") {
        // Whoever reads only the beginning has what he wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Held),
        Err(error) => Err(anyhow::anyhow!("writing the history: {error}")),
        Ok(()) => Ok(Exit::Held),
    }
}

/// The events to plant, one list a time.
fn plants(args: &GenerateArgs, kinds: Kinds) -> anyhow::Result<Vec<Vec<Written>>> {
    let Some(anomaly) = &args.anomaly else { return Ok(Vec::new()) };
    if !matches!(kinds, Kinds::ListAppend | Kinds::RwRegister) {
        return Err(usage("anomalies are planted among transactions: list-append or rw-register"));
    }
    let events = planted::planted(anomaly, kinds == Kinds::ListAppend).map_err(usage)?;
    let shifted = |time: u64| {
        let mut events = events.clone();
        for event in &mut events {
            event.process += time * 100;
            move_keys(&mut event.value, time as i64 * 100);
        }
        events
    };
    Ok((0..args.times).map(shifted).collect())
}

/// Each time on keys of its own.
fn move_keys(value: &mut gainsay_checker::value::Value, by: i64) {
    use gainsay_checker::value::Value;
    let Value::List(steps) = value else { return };
    for step in steps {
        if let Value::List(parts) = step
            && let Some(Value::Int(key)) = parts.get_mut(1)
        {
            *key += by;
        }
    }
}

fn write(out: &mut dyn Write, plan: Plan, planted: &[Vec<Written>], json: bool) -> std::io::Result<()> {
    let events = plan.ops * 2;
    let gap = events / (planted.len() as u64 + 1);
    let (mut index, mut time, mut line) = (0, 0, Vec::new());
    let mut put = |event: Written, time: u64| -> std::io::Result<()> {
        line.clear();
        let event = Written { index, time, ..event };
        index += 1;
        if json {
            write_json(&mut line, &event)
        } else {
            write_edn(&mut line, &event)
        }
        out.write_all(&line)
    };
    let mut due = planted.iter();
    let mut until = gap;
    let mut late = 0;
    for (at, event) in (0..).zip(Generator::new(plan)) {
        if at == until
            && let Some(events) = due.next()
        {
            until += gap;
            for planted in events {
                late += 1_000;
                put(planted.clone(), time + late)?;
            }
        }
        time = event.time;
        let time = time + late;
        put(event, time)?;
    }
    for planted in due.flatten() {
        late += 1_000;
        put(planted.clone(), time + late)?;
    }
    out.flush()
}
