//! The program `traild`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

/// Ingest and queries allocate in many threads at once; the allocator of the C library costs more there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    traild::cli::run()
}
