//! The house rules that the compiler does not know: layers, and who may name what.

use std::fs;
use std::path::{Path, PathBuf};

/// The table of `src/lib.rs`, lowest layer first.
const LAYERS: [&[&str]; 7] = [
    &["signal", "identity", "outcome", "escape"],
    &["config", "coding", "otlp", "batch"],
    &["aside", "tls", "metrics", "shutdown", "telemetry", "write_through"],
    &["listener", "acceptor", "connection", "receiver", "processor", "pipeline", "exporter"],
    &["extension"],
    &["gateway", "worker"],
    &["main", "cli", "fuzzing", "measure", "lib"],
];

const MAX_LINES: usize = 400;

/// A file of `src`.
pub struct Source {
    /// Relative to `src`.
    path: PathBuf,
    pub text: String,
}

impl Source {
    /// The first part of its path: the module at the top.
    fn module(&self) -> String {
        let first = self.path.components().next().unwrap();
        Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// Tests may reach for whatever they need.
    fn is_test(&self) -> bool {
        let path = self.path.to_string_lossy();
        path.ends_with("tests.rs") || path.contains("testing") || path.contains("/tests/")
    }

    /// Lines without comments, up to the unit tests at the bottom.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        lines
            .take_while(|(_, line)| !line.starts_with("mod tests"))
            .filter(|(_, line)| !line.starts_with("//"))
    }
}

pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&root).unwrap().to_owned(), text });
            }
        }
    }
    assert!(found.len() > 50, "this test reads the wrong folder: {}", root.display());
    found
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("module {module} has no layer: add it to the table in lib.rs"))
}

/// The modules that a line names as `crate::module` or `crate::{module, ...}`.
fn named(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let list = rest.strip_prefix('{').map_or(rest, |list| list);
        let parts = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for part in parts {
            let part = part.trim();
            let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
            if end > 0 {
                names.push(&part[..end]);
            }
        }
    }
    names
}

fn assert_none(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

#[test]
fn imports_point_downwards_only() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let own = source.module();
        for (number, line) in source.code() {
            for name in named(line).into_iter().filter(|name| *name != own) {
                let sideways = (own == "receiver" && name == "exporter")
                    || (own == "exporter" && name == "receiver");
                if layer(name) > layer(&own) || sideways {
                    violations.push(format!("{}:{number}: {line}", source.path.display()));
                }
            }
        }
    }
    assert_none(&violations, "a lower layer names a higher one, or receiver and exporter meet");
}

#[test]
fn only_tls_and_the_acceptor_name_the_tls_library() {
    assert_named_only_in(
        &["rustls::", "rustls_pki_types::", "tokio_rustls::"],
        &["tls", "acceptor"],
    );
}

#[test]
fn only_the_command_line_prints_or_ends_the_process() {
    assert_named_only_in(
        &["println!", "eprintln!", "print!(", "io::stdout()", "process::exit", "clap::"],
        &["cli", "main"],
    );
}

fn assert_named_only_in(words: &[&str], modules: &[&str]) {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        if modules.contains(&source.module().as_str()) {
            continue;
        }
        for (number, line) in source.code() {
            // The log's own outputs may be the standard ones.
            let is_log = source.path.ends_with("telemetry/output.rs");
            if !is_log && words.iter().any(|word| line.contains(word)) {
                violations.push(format!("{}:{number}: {line}", source.path.display()));
            }
        }
    }
    assert_none(&violations, &format!("only {modules:?} may name {words:?}"));
}

#[test]
fn every_file_says_what_it_is_for_and_long_ones_say_why() {
    let mut violations = Vec::new();
    for source in sources() {
        let head: String = source.text.lines().take_while(|line| line.starts_with("//")).collect();
        let lines = source.text.lines().count();
        let path = source.path.display();
        if !source.text.starts_with("//!") && !source.is_test() {
            violations.push(format!("{path}: does not begin with //! and what it is for"));
        }
        if lines > MAX_LINES
            && !head.contains("long file")
            && !head.contains("longer than other files")
        {
            violations
                .push(format!("{path}: {lines} lines, and its first comment gives no reason"));
        }
    }
    assert_none(&violations, "files of one idea, at most 400 lines, or a reason for more lines");
}

#[test]
fn the_table_is_the_one_that_the_library_documents() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.path.ends_with("lib.rs")).unwrap();
    for (number, modules) in LAYERS.iter().enumerate() {
        let start = format!("//! | {number} ");
        let row = lib.text.lines().find(|line| line.starts_with(&start)).unwrap();
        for module in modules.iter().filter(|module| **module != "lib") {
            assert!(row.contains(&format!("`{module}`")), "{module} is not in: {row}");
        }
    }
}
