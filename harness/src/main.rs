//! The `gainsay` program.

fn main() {
    std::process::exit(gainsay::cli::main(std::env::args_os()));
}
