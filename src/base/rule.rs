//! Rules of format checkers, with codes that never change, and findings.

use serde::Serialize;
use std::fmt;

/// Declares rules and `RULES`, the list of all of them by code: `NAME "SF001" Error "title"
/// "explanation" source;`
macro_rules! rules {
    ($($name:ident $code:literal $severity:ident $title:literal $explanation:literal $source:expr;)*) => {
        $(
            #[doc = $title]
            pub static $name: $crate::base::rule::Rule = $crate::base::rule::Rule {
                code: $code,
                severity: $crate::base::rule::Severity::$severity,
                title: $title,
                explanation: $explanation,
                source: $source,
            };
        )*
        /// All rules, by code.
        pub static RULES: &[&$crate::base::rule::Rule] = &[$(&$name),*];
    };
}
pub(crate) use rules;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Readers cope with it, or the format only recommends against it.
    Warning,
    /// The data is wrong: a reader that trusts it fails or returns wrong results.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A rule of a format. A released code never changes its meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `SF012`
    pub code: &'static str,
    /// The severity of a violation.
    pub severity: Severity,
    /// The violation in a few words: `function ranges overlap`.
    pub title: &'static str,
    /// The meaning, the consequences of a violation, and what to do.
    pub explanation: &'static str,
    /// The source of the rule.
    pub source: &'static str,
}

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// Offset into the section in bytes, if there is one.
    pub offset: Option<u64>,
    /// The function, type or section concerned, if known.
    pub subject: Option<String>,
    /// The message, with the offending value.
    pub message: String,
}

impl Finding {
    /// Creates a finding without offset and subject.
    pub fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self { rule, offset: None, subject: None, message: message.into() }
    }

    /// Sets the offset into the section.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.rule.severity, self.rule.code, self.rule.title)?;
        if let Some(subject) = &self.subject {
            write!(f, ": {subject}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(offset) = self.offset {
            write!(f, " (at offset {offset:#x})")?;
        }
        Ok(())
    }
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Finding", 6)?;
        fields.serialize_field("code", self.rule.code)?;
        fields.serialize_field("severity", &self.rule.severity)?;
        fields.serialize_field("title", self.rule.title)?;
        fields.serialize_field("offset", &self.offset)?;
        fields.serialize_field("subject", &self.subject)?;
        fields.serialize_field("message", &self.message)?;
        fields.end()
    }
}
