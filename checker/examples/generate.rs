//! Writes a generated history as EDN: `generate OPS WRITES_PER_KEY [append|register]`.

use std::io::Write as _;

use gainsay_checker::generate::{Generator, Kinds, Plan, write_edn};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let ops = args.next().and_then(|it| it.parse().ok()).unwrap_or(1000);
    let writes_per_key = args.next().and_then(|it| it.parse().ok()).unwrap_or(32);
    let kinds = if args.next().as_deref() == Some("register") { Kinds::RwRegister } else { Kinds::ListAppend };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    for event in Generator::new(Plan { ops, writes_per_key, kinds, ..Plan::default() }) {
        line.clear();
        write_edn(&mut line, &event);
        out.write_all(&line)?;
    }
    out.flush()
}
