//! What the documents say of the code is there.

use std::fs;
use std::path::Path;

use crate::layering::sources;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Texts between backticks, in order.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_calls_of_both_stories_are_in_the_files_that_are_named() {
    let page = read("ARCHITECTURE.md");
    let mut found = 0;
    for story in ["## One request", "## One rotation"] {
        let (_, rest) = page.split_once(story).unwrap();
        let (story, _) = rest.split_once("\n## ").unwrap();
        for line in story.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
            let words = quoted(line);
            let calls: Vec<_> =
                words.windows(2).filter(|pair| pair[1].starts_with("src/")).collect();
            assert!(!calls.is_empty(), "no call in: {line}");
            for call in calls {
                let name = call[0].rsplit("::").next().unwrap();
                let source = read(call[1]);
                assert!(source.contains(&format!("fn {name}")), "no {} in {}", call[0], call[1]);
                if let Some((owner, _)) = call[0].split_once("::") {
                    assert!(source.contains(&format!(" {owner}")), "{} in {}", call[0], call[1]);
                }
            }
            found += 1;
        }
    }
    assert_eq!(found, 21);
}

#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = read(page);
        for name in quoted(&text) {
            let is_path =
                ["src/", "tests/", "config/", "benches/", "deploy/", "fuzz/", ".ci/", "docs/"]
                    .iter()
                    .any(|folder| name.starts_with(folder));
            // The table of parts names folders of src without it.
            let is_file = name.contains('.') && !name.contains([' ', '*', '<', '$']);
            if is_path && is_file {
                assert!(root.join(name).exists(), "{page} names {name}");
            }
        }
    }
}

#[test]
fn every_reason_code_of_the_readme_is_one_that_the_code_gives() {
    let page = read("README.md");
    let (_, rest) = page.split_once("## Troubleshooting").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let sources = all_sources();
    let codes: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| row.split(" | ").next())
        .flat_map(quoted)
        .collect();
    assert!(codes.len() >= 30, "{codes:?}");
    for code in codes {
        assert!(sources.contains(&format!("\"{code}\"")), "no {code} in src");
    }
}

/// What is between backticks in the second column of a table is a reason, or a value beside it.
#[test]
fn every_reason_code_of_the_page_for_on_call_is_one_that_the_code_gives() {
    let page = read("docs/on-call.md");
    let (_, tables) = page.split_once("## Senders are refused").unwrap();
    let sources = all_sources();
    let codes: Vec<_> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1))
        .flat_map(quoted)
        .collect();
    assert!(codes.len() >= 25, "{codes:?}");
    for code in codes {
        assert!(sources.contains(&format!("\"{code}\"")), "no {code} in src");
    }
}

/// Guarantees: whoever copies an example of the page for migrations gets no error.
#[test]
fn every_configuration_of_the_page_for_migrations_is_accepted() {
    let page = read("docs/migration.md");
    let blocks: Vec<_> = page.split("```yaml\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (yaml, _) = block.split_once("```").unwrap();
        portcullis::Config::from_yaml(yaml).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

fn all_sources() -> String {
    sources().into_iter().map(|source| source.text).collect()
}
