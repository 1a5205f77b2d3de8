//! The scheduler of a job: it runs the stages of its part, and fetches and unpacks what these need. What else is missing
//! another job had to build, and is not built here.

use super::Scheduler;
use crate::plan::{StageId, Work};
use crate::run::engine::submission::Part;
use std::collections::BTreeSet;

impl Scheduler {
    pub(super) fn keep_part(&mut self, part: &Part) {
        let is_ours = |id: &StageId| {
            let stage = self.plan.stage(*id);
            let is_source = matches!(stage.work, Work::Fetch(_) | Work::Unpack(_));
            is_source || part.stages.contains(&stage.name) || self.states.is_remote(*id)
        };
        let ours: BTreeSet<StageId> = self.plan.ids().filter(is_ours).collect();
        for (id, by) in self.states.only(|id| ours.contains(&id)) {
            let name = self.plan.stage(id).name.clone();
            self.block(id, &format!("{}, which is not built", self.plan.stage(by).name));
            for above in self.states.fail(id) {
                self.block(above, &name);
            }
        }
    }
}
