//! The result of a check: a text file, one item per line, that a shell script writes as easily as a
//! program.
//!
//! ```text
//! state unsupported
//! why as: Error: .sframe not supported for target
//! summary v3, 15,399 FDEs
//! figure fdes 15399
//! finding error[SF064]: f +0x30: fp is c-32 in SFrame, undefined in DWARF
//! findings 1038
//! evidence console.log
//! ```
//!
//! Every line is optional; a check without a `state` line that exited with 0 has passed. Unknown
//! keywords are refused: a typo must not turn a failure into a pass.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

/// The verdict of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything checked is correct.
    #[default]
    Pass,
    /// Something checked is wrong.
    Fail,
    /// The target or the versions do not have what is checked.
    Unsupported,
    /// This machine lacks a tool that the check needs.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::Skipped => "skipped",
        })
    }
}

/// The result that a check reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The verdict.
    pub state: Verdict,
    /// Why it did not pass.
    pub why: Option<String>,
    /// A summary of a few words, for a table.
    pub summary: Option<String>,
    /// Figures by name.
    pub figures: Vec<(String, f64)>,
    /// The first findings as text, the most significant first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Total number of findings; 0 if the check does not count them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub findings_total: u64,
    /// Files in the stage's result that show the verdict.
    pub evidence: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The reason why a file is not a check result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An unknown keyword.
    #[error("line {line}: unknown word `{word}`; known are state, why, summary, figure, finding, findings, evidence")]
    Word {
        /// The line number, from 1.
        line: usize,
        /// The keyword.
        word: String,
    },
    /// An unknown state.
    #[error("line {line}: unknown state `{state}`; known are pass, fail, unsupported, skipped")]
    State {
        /// The line number, from 1.
        line: usize,
        /// The state.
        state: String,
    },
    /// A figure that is not a number.
    #[error("line {line}: `figure NAME NUMBER` or `findings NUMBER` expected, not `{text}`")]
    Figure {
        /// The line number, from 1.
        line: usize,
        /// The text found there.
        text: String,
    },
}

impl CheckResult {
    /// Returns whether the verdict holds until the inputs change: failed and skipped checks run
    /// again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.state, Verdict::Pass | Verdict::Unsupported)
    }

    /// Returns the first findings as lines, and the number of the others.
    #[must_use]
    pub fn findings_in_words(&self) -> Vec<String> {
        let mut lines = self.findings.clone();
        let more = self.findings_total.saturating_sub(lines.len() as u64);
        if more > 0 && !lines.is_empty() {
            lines.push(format!("… and {} more", crate::base::units::grouped(more)));
        }
        lines
    }

    /// Parses a check result.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut check_result = Self::default();
        for (index, whole) in text.lines().enumerate() {
            let line = index + 1;
            let (word, rest) = whole.trim().split_once(' ').unwrap_or((whole.trim(), ""));
            let rest = rest.trim();
            match word {
                "" => {}
                "state" => {
                    check_result.state = match rest {
                        "pass" => Verdict::Pass,
                        "fail" => Verdict::Fail,
                        "unsupported" => Verdict::Unsupported,
                        "skipped" => Verdict::Skipped,
                        _ => return Err(Error::State { line, state: rest.to_owned() }),
                    }
                }
                "why" => check_result.why = Some(rest.to_owned()),
                "summary" => check_result.summary = Some(rest.to_owned()),
                "finding" => check_result.findings.push(rest.to_owned()),
                "findings" => {
                    let count = rest.parse().map_err(|_| Error::Figure { line, text: rest.to_owned() });
                    check_result.findings_total = count?;
                }
                "evidence" => check_result.evidence.push(rest.to_owned()),
                "figure" => {
                    let figure = rest.split_once(' ').and_then(|(name, number)| {
                        let number = number.trim().parse::<f64>().ok().filter(|number| number.is_finite())?;
                        Some((name.to_owned(), number))
                    });
                    check_result.figures.push(figure.ok_or(Error::Figure { line, text: rest.to_owned() })?);
                }
                _ => return Err(Error::Word { line, word: word.to_owned() }),
            }
        }
        Ok(check_result)
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line break in a message must not start a line of its own.
        let flat =
            |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let mut text = String::new();
        writeln!(text, "state {}", self.state)?;
        if let Some(why) = &self.why {
            writeln!(text, "why {}", flat(why))?;
        }
        if let Some(summary) = &self.summary {
            writeln!(text, "summary {}", flat(summary))?;
        }
        for (name, number) in &self.figures {
            writeln!(text, "figure {name} {number}")?;
        }
        for finding in &self.findings {
            writeln!(text, "finding {}", flat(finding))?;
        }
        if self.findings_total > 0 {
            writeln!(text, "findings {}", self.findings_total)?;
        }
        for file in &self.evidence {
            writeln!(text, "evidence {file}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let check_result = CheckResult {
            state: Verdict::Unsupported,
            why: Some("as: Error: no such\noption".into()),
            summary: Some("v3, 15 FDEs".into()),
            figures: vec![("fdes".into(), 15.0), ("share".into(), 0.25)],
            findings: vec!["error[SF064]: f +0x30".into()],
            findings_total: 1038,
            evidence: vec!["console.log".into()],
        };
        let read = CheckResult::parse(&check_result.to_string()).unwrap();
        assert_eq!(read.why.as_deref(), Some("as: Error: no such option"));
        assert_eq!(CheckResult { why: check_result.why.clone(), ..read }, check_result);
    }

    #[test]
    fn nothing_said_is_a_pass() {
        assert_eq!(CheckResult::parse("").unwrap().state, Verdict::Pass);
    }

    #[test]
    fn typos_are_refused() {
        assert!(matches!(CheckResult::parse("stat fail"), Err(Error::Word { line: 1, .. })));
        assert!(matches!(CheckResult::parse("\nstate failed"), Err(Error::State { line: 2, .. })));
        assert!(matches!(CheckResult::parse("figure a NaN"), Err(Error::Figure { .. })));
        assert!(matches!(CheckResult::parse("findings many"), Err(Error::Figure { line: 1, .. })));
        assert!(matches!(CheckResult::parse("figure a"), Err(Error::Figure { .. })));
    }
}
