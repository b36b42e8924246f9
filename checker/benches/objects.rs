//! How long objects take: each model, sizes, clients, unknown outcomes, held and violated.
fn main() {}
