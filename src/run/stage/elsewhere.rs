//! Stages that a job of an engine has run on another machine.

use super::build::{StageWork, pull};
use crate::cache;
use crate::process::Usage;
use crate::run::Error;
use crate::run::context::{RunContext, StageEnd};
use crate::run::log::event::StageOutcome;

/// The end of a stage of which it is not known how it ended.
#[must_use]
pub fn interrupted() -> StageEnd {
    StageEnd {
        state: StageOutcome::Interrupted,
        usage: Usage::default(),
        failure: None,
        result: None,
        time: None,
        chosen: None,
        check_result: None,
    }
}

/// Takes the result of a stage that another machine has just built from the cache that it was stored in.
pub async fn pull_built(context: &RunContext, work: StageWork, end: StageEnd) -> Result<StageEnd, Error> {
    let Some(found) = context.caches.find(&work.key).await? else {
        let what = format!("the result of {}, which a node has built,", work.name);
        return Err(cache::Error::Missing { what }.into());
    };
    let pulled = pull(context, work, found).await?;
    let state = if matches!(pulled.state, StageOutcome::Pulled | StageOutcome::BuiltElsewhere) {
        end.state
    } else {
        pulled.state
    };
    Ok(StageEnd { state, result: pulled.result, ..end })
}
