//! The end of a check: its result file decides.

use super::build::Runner;
use super::check;
use crate::base::check_result::{CheckResult, Verdict};
use crate::run::Error;
use crate::run::context::StageEnd;
use crate::run::log::event::{Failure, StageOutcome};
use crate::run::workspace::{Begin, Workspace};

impl Runner<'_> {
    // The state that follows from a check's result; `good` is the state of a pass.
    pub(super) fn judged(&self, check_result: &CheckResult, good: StageOutcome) -> StageOutcome {
        let expect = self.work.expect.clone().unwrap_or_default();
        let (state, remark) = check::state(&expect, check_result, self.context.options.today, good);
        if let Some(remark) = remark {
            self.context.emitter.notice(Some(&self.work.name), true, remark);
        }
        state
    }

    // All steps of a check succeeded; its result file decides.
    pub(super) async fn checked(&mut self, space: &mut Workspace, begin: Begin) -> Result<StageEnd, Error> {
        let dest = space.root().join("dest");
        let check_result = match check::read(&dest) {
            Ok(check_result) => check_result,
            Err(why) => return self.failed_check(space, why, None),
        };
        if !check_result.is_final() {
            // Evidence stays where it is; the next run must not take it for finished.
            space.failed()?;
            let check_result = check::absolute(check_result, &dest);
            let state = self.judged(&check_result, StageOutcome::Done);
            let failure = matches!(state, StageOutcome::Failed { .. })
                .then(|| check::failure(&self.work.name, self.work.job.steps.last(), &check_result));
            return Ok(StageEnd { check_result: Some(check_result), ..self.end(state, failure) });
        }
        let end = self.publish(space, begin).await?;
        if end.state != StageOutcome::Done {
            return Ok(end);
        }
        // Its evidence is in the published tree now.
        let check_result = match end.result.as_deref() {
            Some(tree) => check::absolute(check_result, tree),
            None => check_result,
        };
        let state = self.judged(&check_result, StageOutcome::Done);
        Ok(StageEnd { state, check_result: Some(check_result), ..end })
    }

    // A step of a check failed; it may have reported the reason before that.
    pub(super) fn failed_check(
        &mut self,
        space: &mut Workspace,
        why: String,
        failure: Option<Failure>,
    ) -> Result<StageEnd, Error> {
        space.failed()?;
        let dest = space.root().join("dest");
        let mut check_result = check::read(&dest).unwrap_or_default();
        check_result.state = Verdict::Fail;
        check_result.why = Some(check_result.why.filter(|_| failure.is_some()).unwrap_or(why));
        let check_result = check::absolute(check_result, &dest);
        let state = self.judged(&check_result, StageOutcome::Done);
        let failure = failure.filter(|_| matches!(state, StageOutcome::Failed { .. }));
        Ok(StageEnd { check_result: Some(check_result), ..self.end(state, failure) })
    }
}
