//! The `crossmill` program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    crossmill::cli::main()
}
