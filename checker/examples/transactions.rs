//! Times the stages of a transactional check on a file: reading, indexing, components.

use std::time::Instant;

use gainsay_checker::text::Syntax;
use gainsay_checker::txn::Transactions;
use gainsay_checker::txn::components::components;
use gainsay_checker::txn::dependencies::{Dependencies, relation};
use gainsay_checker::txn::versions::{Assume, Versions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("a file of EDN is wanted")?;
    let started = Instant::now();
    let text = std::fs::read(&path)?;
    println!("load       {:>8.1?}  {} MB", started.elapsed(), text.len() / 1_000_000);
    let started = Instant::now();
    let events = gainsay_checker::text::events(&text, Syntax::Edn).count();
    println!("events     {:>8.1?}  {events}", started.elapsed());
    let started = Instant::now();
    let txns = Transactions::read(&text, Syntax::Edn)?;
    println!("read       {:>8.1?}  {} transactions, {} steps", started.elapsed(), txns.len(), txns.steps.len());
    let started = Instant::now();
    let versions = Versions::new(&txns, Assume::default());
    let dependencies = Dependencies::new(&txns, &versions);
    println!("index      {:>8.1?}", started.elapsed());
    let started = Instant::now();
    let wanted = relation::DATA | relation::PROCESS | relation::REAL_TIME;
    let found = components(dependencies.vertices(), |vertex, out| {
        dependencies.predecessors(vertex, wanted, &mut |from, _| out.push(from));
    });
    println!("components {:>8.1?}  {}", started.elapsed(), found.len());
    Ok(())
}
