//! The program under test: the harness's own main function, in a package that tests can find by `CARGO_BIN_EXE_…`.

fn main() {
    std::process::exit(gainsay::cli::main(std::env::args_os()))
}
