//! Configuration: from a text to a tree, to settings, and back to a text.

use crate::config::{Environment, Problem, Source, load, resolve, to_json, to_yaml};

/// Reads the input as a configuration. Nothing panics; what is wrong is said with words that are
/// fit for a terminal; and what is printed of it is read as the same again.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files of whoever runs this are none of its business.
    if text.replace("_file:", "").contains("file:") {
        return;
    }
    let loaded = load(&source(text));
    match &loaded {
        Ok((_, problems)) => problems.warnings.iter().for_each(fit),
        Err(problems) => {
            assert!(!problems.errors.is_empty(), "refused without a reason");
            problems.errors.iter().chain(&problems.warnings).for_each(fit);
        }
    }
    let Ok((tree, _)) = resolve(&source(text)) else {
        assert!(loaded.is_err(), "settings of no tree");
        return;
    };
    for printed in [to_yaml(&tree, true), to_json(&tree, true)] {
        let (again, _) = resolve(&source(&printed)).expect("our own text is read");
        assert_eq!(to_json(&again, true), to_json(&tree, true), "{printed}");
        let back = load(&source(&printed));
        match (&loaded, back) {
            (Ok((config, _)), Ok((back, _))) => assert_eq!(&back, config, "{printed}"),
            (Err(_), Err(_)) => {}
            (Ok(_), Err(problems)) => panic!("{printed}: {problems:?}"),
            (Err(problems), Ok(_)) => panic!("{printed} is accepted, and not {problems:?}"),
        }
    }
}

fn source(text: &str) -> Source {
    let env = Environment::new(|name| match name {
        "X" => Some("x: [1, $$, ${env:Y}]".to_owned()),
        "Y" => Some("7".to_owned()),
        "Z" => Some(String::new()),
        _ => None,
    });
    Source { configs: vec![format!("yaml:{text}")], env, ..Source::default() }
}

fn fit(problem: &Problem) {
    assert!(!problem.reason.is_empty() && !problem.message.is_empty(), "{problem:?}");
    let shown = problem.to_string();
    let is_bad = |c: char| c.is_control() && c != '\n';
    assert!(!shown.chars().any(is_bad), "control characters: {shown:?}");
}
