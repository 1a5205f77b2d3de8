//! Compares the result of a check with its expectation.

use crate::base::check_result::{CheckResult, Verdict};
use crate::config::expect::Expectation;
use jiff::civil::Date;

/// The judgement of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It passed, as expected.
    Pass,
    /// It passed where it was expected to be unsupported: an improvement to report, no failure.
    Surprise(String),
    /// It is unsupported, as expected.
    Unsupported(String),
    /// This machine cannot run it.
    Skipped(String),
    /// It failed, as known.
    KnownFailure(String),
    /// It is not as expected.
    Fail(String),
}

/// Compares `check_result` with `expected`.
pub fn judge(expected: &Expectation, check_result: &CheckResult, today: Date) -> Judgement {
    use crate::config::expect::Expected;
    let why = check_result.why.clone().unwrap_or_else(|| "it gives no reason".to_owned());
    match (check_result.state, &expected.known, expected.word) {
        (Verdict::Skipped, _, _) => Judgement::Skipped(why),
        (Verdict::Fail, Some(known), _) => match known.expired(today) {
            None => Judgement::KnownFailure(format!("{} ({why})", known.why)),
            Some(expired) => Judgement::Fail(format!("{why} (known failure: {}; {expired})", known.why)),
        },
        (Verdict::Fail, None, _) => Judgement::Fail(why),
        // Whether the entry has expired makes no difference: it is wrong either way.
        (Verdict::Pass, Some(known), _) => Judgement::Fail(format!(
            "it passes, although a failure is known ({}): remove `known-failure` if it is mended",
            known.why
        )),
        (Verdict::Pass, None, Expected::Pass) => Judgement::Pass,
        (Verdict::Pass, None, Expected::Unsupported) => {
            Judgement::Surprise("it passes, although `unsupported` is expected: update `expect`".to_owned())
        }
        (Verdict::Unsupported, None, Expected::Unsupported) => Judgement::Unsupported(why),
        (Verdict::Unsupported, None, Expected::Pass) => {
            Judgement::Fail(format!("unsupported, although `pass` is expected: {why}"))
        }
        (Verdict::Unsupported, Some(known), _) => {
            Judgement::Fail(format!("unsupported, although a failure is known ({}): {why}", known.why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::expect::{ActiveKnownFailure, Expected};

    const TODAY: Date = jiff::civil::date(2026, 7, 1);

    fn check_result(state: Verdict) -> CheckResult {
        CheckResult { state, why: Some("the reason".into()), ..CheckResult::default() }
    }

    fn known(until: Option<Date>, outside: Option<&str>) -> Expectation {
        let known = ActiveKnownFailure { why: "PR1".into(), until, outside: outside.map(Into::into) };
        Expectation { word: Expected::Pass, known: Some(known) }
    }

    #[test]
    fn what_is_expected_is_green() {
        let pass = Expectation::default();
        assert_eq!(judge(&pass, &check_result(Verdict::Pass), TODAY), Judgement::Pass);
        let none = Expectation { word: Expected::Unsupported, known: None };
        assert_eq!(
            judge(&none, &check_result(Verdict::Unsupported), TODAY),
            Judgement::Unsupported("the reason".into())
        );
    }

    #[test]
    fn what_is_not_expected_fails_in_both_directions() {
        let pass = Expectation::default();
        assert_eq!(judge(&pass, &check_result(Verdict::Fail), TODAY), Judgement::Fail("the reason".into()));
        let Judgement::Fail(why) = judge(&pass, &check_result(Verdict::Unsupported), TODAY) else { panic!() };
        assert_eq!(why, "unsupported, although `pass` is expected: the reason");
        let Judgement::Fail(why) = judge(&known(None, None), &check_result(Verdict::Pass), TODAY) else { panic!() };
        assert_eq!(why, "it passes, although a failure is known (PR1): remove `known-failure` if it is mended");
    }

    #[test]
    fn support_that_was_not_expected_is_told_and_no_failure() {
        let none = Expectation { word: Expected::Unsupported, known: None };
        assert!(matches!(judge(&none, &check_result(Verdict::Pass), TODAY), Judgement::Surprise(_)));
    }

    #[test]
    fn a_known_failure_holds_until_its_day_and_for_its_versions() {
        let failed = check_result(Verdict::Fail);
        let day = |day| Some(jiff::civil::date(2026, 7, day));
        assert_eq!(judge(&known(day(2), None), &failed, TODAY), Judgement::KnownFailure("PR1 (the reason)".into()));
        let Judgement::Fail(why) = judge(&known(day(1), None), &failed, TODAY) else { panic!() };
        assert_eq!(why, "the reason (known failure: PR1; it was known until 2026-07-01)");
        let Judgement::Fail(why) = judge(&known(None, Some("gcc 17.1.0")), &failed, TODAY) else { panic!() };
        assert_eq!(why, "the reason (known failure: PR1; it was known for other versions than gcc 17.1.0)");
    }

    #[test]
    fn a_skipped_check_is_never_green_and_never_red() {
        for expected in [Expectation::default(), known(None, None)] {
            assert_eq!(
                judge(&expected, &check_result(Verdict::Skipped), TODAY),
                Judgement::Skipped("the reason".into())
            );
        }
    }
}
