//! The program `traild`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

/// Ingest and queries allocate in many threads at once; the allocator of the C library costs more there. It does not ask for huge pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The pages of a thread and a size lie apart: in huge pages, of which only a part is used, they took 1.4 times the memory and more
    // time. Where the system gives them unasked, it is told not to; an older one may not know how.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    traild::cli::run()
}
