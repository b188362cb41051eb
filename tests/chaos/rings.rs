//! Who was rung, as the independent script reads it from the ledgers.

use std::{path::Path, process::Command};

/// What the ledgers show, according to `scripts/judge-ledger`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rings {
    pub(crate) count: usize,
    pub(crate) numbers: usize,
    pub(crate) twice: usize,
    pub(crate) overlapping: usize,
    pub(crate) peak: usize,
    /// Output of the script.
    words: String,
}

impl Rings {
    /// Judges the ledgers together, leaving out providers that rang nobody.
    pub(crate) fn judge<'a>(ledgers: impl Iterator<Item = &'a Path>) -> Self {
        let rang = |path: &&Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        let ledgers: Vec<&Path> = ledgers.filter(rang).collect();
        if ledgers.is_empty() {
            return Self::default();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/judge-ledger");
        let output = Command::new(script).args(ledgers).output().unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let number = |name: &str| {
            let line = words
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            count: number("rings "),
            numbers: number("numbers "),
            twice: number("references rung twice "),
            overlapping: number("overlapping rings "),
            peak: number("peak at once "),
            words,
        }
    }

    /// Details, from the script's output.
    fn offenders(&self) -> String {
        self.words
            .lines()
            .filter(|line| line.starts_with("  "))
            .take(3)
            .collect::<Vec<_>>()
            .join(";")
    }

    /// Checks that nobody was rung twice.
    pub(crate) fn check(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.twice > 0 {
            broken.push(format!(
                "P1: {} references rang twice:{}",
                self.twice,
                self.offenders()
            ));
        }
        if self.overlapping > 0 {
            broken.push(format!(
                "P1: {} rings of a number overlap:{}",
                self.overlapping,
                self.offenders()
            ));
        }
        broken
    }
}
