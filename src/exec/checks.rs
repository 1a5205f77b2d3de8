//! From what a check says of itself to the state of its stage.

use super::event::{Failure, State, Usage};
use super::shared::StageEnd;
use crate::check::judge::{Judgement, judge};
use crate::config::expect::Expectation;
use crate::formats::verdict::{Account, Verdict};
use crate::plan::job::JobStep;
use jiff::civil::Date;
use std::path::Path;

/// The file of a check's result in which it says how it came out.
const ACCOUNT: &str = "verdict";
/// Lines of evidence shown with a failure.
const EXCERPT: usize = 20;

/// What the check in `dest` says of itself; a check that says nothing has passed.
pub fn read(dest: &Path) -> Result<Account, String> {
    let path = dest.join(ACCOUNT);
    if !path.exists() {
        return Ok(Account::default());
    }
    // A FIFO would never end.
    if !path.is_file() {
        return Err(format!("its `{ACCOUNT}` is not a regular file"));
    }
    let text = fs_err::read_to_string(&path).map_err(|error| error.to_string())?;
    Account::parse(&text).map_err(|error| format!("its `{ACCOUNT}` file cannot be understood: {error}"))
}

/// What a published check said.
pub fn recall(tree: &Path) -> Option<Account> {
    // What was published was read once; damage is the manifest's to find.
    read(tree).ok().map(|account| absolute(account, tree))
}

/// With the evidence as absolute paths.
pub fn absolute(mut account: Account, dest: &Path) -> Account {
    for file in &mut account.evidence {
        *file = dest.join(&*file).display().to_string();
    }
    account
}

/// The state of a check's stage, where `good` stands for a pass, and a remark.
pub fn state(expect: &Expectation, account: &Account, today: Date, good: State) -> (State, Option<String>) {
    match judge(expect, account, today) {
        Judgement::Pass => (good, None),
        Judgement::Surprise(remark) => (good, Some(remark)),
        Judgement::Unsupported(why) => (State::Unsupported { why }, None),
        Judgement::Skipped(why) => (State::Skipped { why }, None),
        Judgement::Known(why) => (State::KnownFailure { why }, None),
        Judgement::Fail(why) => (State::Failed { why }, None),
    }
}

/// How a check ends that this machine cannot run.
pub fn skipped(why: String) -> StageEnd {
    let account = Account { state: Verdict::Skipped, why: Some(why.clone()), ..Account::default() };
    StageEnd {
        state: State::Skipped { why },
        usage: Usage::default(),
        failure: None,
        result: None,
        expected: None,
        chosen: None,
        account: Some(account),
    }
}

/// What a person needs to act on a check that says `fail`.
pub fn failure(name: &str, step: Option<&JobStep>, account: &Account) -> Failure {
    let evidence = account.evidence.first().cloned().unwrap_or_default();
    Failure {
        step: step.map(|step| step.name.clone()).unwrap_or_default(),
        ended: account.why.clone().unwrap_or_else(|| "it says `fail`".to_owned()),
        excerpt: excerpt(account, &evidence),
        log: evidence,
        reproduce: format!("crossmill reproduce {name}"),
    }
}

// The findings in words; else the end of a log. The end of a JSON file explains nothing.
fn excerpt(account: &Account, evidence: &str) -> Vec<String> {
    let findings = account.findings_in_words();
    if !findings.is_empty() || Path::new(evidence).extension().is_some_and(|extension| extension == "json") {
        return findings;
    }
    let text = fs_err::read(evidence).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(EXCERPT)).map(|line| (*line).to_owned()).collect()
}
