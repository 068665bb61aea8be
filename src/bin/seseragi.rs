//! The program that people call. See [`seseragi::face`].

use std::process::ExitCode;

fn main() -> ExitCode {
    seseragi::face()
}
