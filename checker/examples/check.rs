//! Checks a file of transactions and prints what was found.

use gainsay_checker::text::Syntax;
use gainsay_checker::txn::Transactions;
use gainsay_checker::txn::check::{Options, check};
use gainsay_checker::txn::dependencies::Dependencies;
use gainsay_checker::txn::versions::Versions;
use gainsay_checker::txn::words::tell;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let text = std::fs::read(&path)?;
        let started = std::time::Instant::now();
        let syntax = if path.ends_with("json") { Syntax::Json } else { Syntax::Edn };
        let txns = match Transactions::read(&text, syntax) {
            Ok(txns) => txns,
            Err(why) => {
                println!("{path}: {why}");
                continue;
            }
        };
        let read = started.elapsed();
        let report = check(&txns, &Options::default());
        let names: Vec<String> = report.anomalies.iter().map(|it| format!("{}×{}", it.name, it.count)).collect();
        println!(
            "{path}: {:?} {} not {:?} left {:?} [{read:.1?} {:.1?}]",
            report.answer,
            names.join(" "),
            report.not,
            report.left,
            started.elapsed()
        );
        if std::env::var_os("WORDS").is_some() {
            let versions = Versions::new(&txns, Default::default());
            let dependencies = Dependencies::new(&txns, &versions);
            for anomaly in &report.anomalies {
                println!("{}\n{}", anomaly.name, tell(&dependencies, &anomaly.cases[0]).text());
            }
        }
    }
    Ok(())
}
