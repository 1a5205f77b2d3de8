//! What a checker of a format says: rules with codes that never change, and findings.

use serde::Serialize;
use std::fmt;

/// Declares rules and `RULES`, the list of them all, by code:
/// `NAME "SF001" Error "title" "explanation" source;`
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

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Readers cope, or the format only recommends otherwise.
    Warning,
    /// The data is wrong: a reader that trusts it goes astray.
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

/// One rule of a format. A code, once released, keeps its meaning for ever.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `SF012`
    pub code: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What is wrong when it is broken, in a few words: `function ranges overlap`.
    pub title: &'static str,
    /// What it means, what follows from breaking it, and what to do.
    pub explanation: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
}

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: &'static Rule,
    /// Offset into the section, bytes, where there is one.
    pub offset: Option<u64>,
    /// The function, type or section it is about, where one is known.
    pub subject: Option<String>,
    /// What was found, with the offending value.
    pub message: String,
}

impl Finding {
    /// A finding without offset and subject.
    pub fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self { rule, offset: None, subject: None, message: message.into() }
    }

    /// With an offset into the section.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// With what it is about.
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
