//! The one binary; see `digitallz --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    digitallz::main()
}
