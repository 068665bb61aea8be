//! The program that has the model. See [`seseragi::engine`].

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Rust allocates here and libtorch by malloc, which `model::device::keep_freed_memory` gives a
/// single arena: so that workers that allocate text and the trainer never wait for each other.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    seseragi::engine()
}
