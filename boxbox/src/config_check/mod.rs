//! What is wrong with a configuration, found without starting anything: `boxbox config check`.

pub mod files;
pub mod services;

use boxbox_schemas::text::plain;

use crate::cli::secret;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    /// The command would not start, or would fail.
    pub fn problem(&mut self, text: &str) {
        let text = shown(text);
        // Two checks may meet the same error.
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    /// What a person should know; the command would start.
    pub fn note(&mut self, text: &str) {
        self.notes.push(shown(text));
    }

    /// The value; an error is a problem.
    pub fn kept<T>(&mut self, outcome: anyhow::Result<T>) -> Option<T> {
        outcome.map_err(|error| self.problem(&format!("{error:#}"))).ok()
    }

    /// All problems, in the order in which they were found.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// All notes, in the order in which they were found.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// As people may see it: without secrets, and without what does something to a terminal.
fn shown(text: &str) -> String {
    plain(&secret::masked(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_once_and_without_secrets() {
        let mut findings = Findings::default();
        for _ in 0..2 {
            assert_eq!(findings.kept(Err::<(), _>(anyhow::anyhow!("postgres://u:hunter2@db/x is wrong"))), None);
        }
        assert_eq!(findings.problems(), ["postgres://…@db/x is wrong"]);
        assert_eq!(findings.kept(Ok(1)), Some(1));
    }
}
