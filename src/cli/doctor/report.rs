//! What was found, for people and for programs.

use std::io::{self, Write};

use serde_json::json;

use crate::config::Problem;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// Does not work.
    Problem,
    /// Works here and now.
    Warning,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at, such as `cert_file certs/server.crt` or `resolve`.
    pub(super) what: String,
    /// Stable reason code; empty when all is well.
    pub(super) reason: &'static str,
    /// What was found.
    pub(super) message: String,
    /// The next step; may be empty.
    pub(super) help: String,
}

/// All findings, under headings in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Section>);

#[derive(Debug)]
struct Section {
    /// Which question it answers: `files`, `client`, `upstream` or `new_ca`.
    check: &'static str,
    subject: String,
    findings: Vec<Finding>,
}

/// The key itself without those above it. The name of a trust domain has dots of its own.
pub(super) fn last_key(key_path: &str) -> &str {
    let domain = key_path.split_once(".trust_domains.");
    domain.or_else(|| key_path.rsplit_once('.')).map_or(key_path, |(_, key)| key)
}

impl Report {
    /// Begins a section; findings are added to the last one.
    pub(super) fn section(&mut self, check: &'static str, subject: impl Into<String>) {
        self.0.push(Section { check, subject: subject.into(), findings: Vec::new() });
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        if let Some(section) = self.0.last_mut() {
            section.findings.push(finding);
        }
    }

    /// Adds that something is well.
    pub(super) fn fine(&mut self, what: impl Into<String>, message: impl Into<String>) {
        self.add(Finding {
            level: Level::Fine,
            what: what.into(),
            reason: "",
            message: message.into(),
            help: String::new(),
        });
    }

    /// Adds what the loader of a configuration or of TLS files said.
    pub(super) fn of_loader(&mut self, level: Level, problem: &Problem) {
        let mut what = last_key(&problem.key_path).to_owned();
        if let Some(file) = &problem.span.file {
            what = format!("{what} {file}").trim().to_owned();
            if problem.span.line > 0 {
                what = format!("{what}:{}", problem.span.line);
            }
        }
        self.add(Finding {
            level,
            what,
            reason: problem.reason,
            message: problem.message.clone(),
            help: problem.help.clone().unwrap_or_default(),
        });
    }

    /// How many findings have this level.
    pub(super) fn count(&self, level: Level) -> usize {
        let findings = self.0.iter().flat_map(|section| &section.findings);
        findings.filter(|finding| finding.level == level).count()
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for section in &self.0 {
            writeln!(out, "{}", section.subject)?;
            for finding in &section.findings {
                let colon = if finding.what.is_empty() { "" } else { ": " };
                let (level, what) = (finding.level.name(), &finding.what);
                write!(out, "  {level:<8} {what}{colon}{}", finding.message)?;
                if !finding.reason.is_empty() {
                    write!(out, " [{}]", finding.reason)?;
                }
                writeln!(out)?;
                if !finding.help.is_empty() {
                    writeln!(out, "           next: {}", finding.help)?;
                }
            }
            writeln!(out)?;
        }
        let (problems, warnings) = (self.count(Level::Problem), self.count(Level::Warning));
        let counted = |count: usize, what: &str| match count {
            0 => format!("no {what}"),
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        writeln!(out, "{}, {}", counted(problems, "problem"), counted(warnings, "warning"))
    }

    /// Writes it for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let sections = self.0.iter().map(|section| {
            let findings = section.findings.iter().map(|finding| {
                json!({
                    "level": finding.level.name(),
                    "what": finding.what,
                    "reason": finding.reason,
                    "message": finding.message,
                    "next": finding.help,
                })
            });
            json!({
                "check": section.check,
                "subject": section.subject,
                "findings": findings.collect::<Vec<_>>(),
            })
        });
        json!({
            "ok": self.count(Level::Problem) == 0,
            "problems": self.count(Level::Problem),
            "warnings": self.count(Level::Warning),
            "sections": sections.collect::<Vec<_>>(),
        })
    }
}
