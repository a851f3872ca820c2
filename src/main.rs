//! The program: everything is in the library.

/// About a tenth less CPU for each request than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    virtapi::cli::run()
}
