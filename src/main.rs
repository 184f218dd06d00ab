//! The process: command line, logging, exit code.

fn main() {}
