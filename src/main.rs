//! The process: hands the command line to the library and its answer to the system.

use std::process::ExitCode;

use portcullis::cli::{self, Console};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Most of an idle connection's buffers is never touched; in huge pages all of it is resident.
    #[cfg(target_os = "linux")]
    let _only_larger = rustix::thread::disable_transparent_huge_pages(true);
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    cli::run(std::env::args_os(), &mut Console { out: &mut out, err: &mut err }).into()
}
