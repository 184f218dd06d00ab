//! What is accepted: the samples, and every shape that the Collector's documentation shows.

use std::path::{Path, PathBuf};

use super::source;
use crate::config::{Config, Problems, load};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<(Config, Problems), Problems> {
    let env = [
        ("BACKEND_ENDPOINT", "backend.example.com:4317"),
        ("BACKEND_TOKEN", "t0ken"),
        ("HOSTNAME", "gateway-0"),
        ("LOG_LEVEL", "warn"),
        ("MY_POD_IP", "10.0.0.7"),
        ("QUEUE_SIZE", "500"),
    ];
    load(&source(&[&path.display().to_string()], &[], &env))
}

#[test]
fn the_samples_are_read_without_a_warning() {
    let files = files("config");
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let (_, problems) = read(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(problems.warnings, [], "{}", path.display());
    }
}

#[test]
fn every_documented_shape_of_the_collectors_configuration_is_accepted() {
    let files = files("tests/it/config/accepted");
    assert!(files.len() >= 15, "{files:?}");
    let mut wrong = String::new();
    for path in files {
        let problems = match read(&path) {
            Ok((_, problems)) => problems,
            Err(problems) => {
                wrong.push_str(&format!("{problems}\n"));
                continue;
            }
        };
        // A file names the reasons of the warnings that it means to cause.
        #[expect(clippy::disallowed_methods, reason = "a file of this test")]
        let text = std::fs::read_to_string(&path).unwrap();
        let mut wanted: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# warns: "))
            .flat_map(|line| line.split(", "))
            .collect();
        let mut found: Vec<&str> = problems.warnings.iter().map(|p| p.reason).collect();
        wanted.sort_unstable();
        wanted.dedup();
        found.sort_unstable();
        found.dedup();
        if found != wanted {
            wrong.push_str(&format!("{}: {found:?}\n{problems}\n", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
