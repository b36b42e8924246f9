//! The `refdb` program: one node.

fn main() {
    std::process::exit(refdb::main_from(std::env::args_os()));
}
