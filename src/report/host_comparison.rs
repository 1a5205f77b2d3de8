//! Renders why the keys of two machines differ.

use super::style::harmless;
use crate::base::StageName;
use crate::run::host_comparison::{Comparison, Difference};
use serde_json::json;

/// Stages that a line lists.
const LISTED: usize = 8;

/// Returns it as text.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let Comparison { differences, compared, differing, other_reasons, unpaired } = comparison;
    let mut text = String::new();
    let (concerned, others): (Vec<_>, Vec<_>) = differences.iter().partition(|it| !it.stages.is_empty());
    for difference in concerned {
        let Difference { stages, above, .. } = difference;
        text += &format!("{}\n    {}", values(difference), listed(stages));
        if *above > 0 {
            text += &format!("; {above} more need {}", if stages.len() == 1 { "it" } else { "one of these" });
        }
        text.push('\n');
    }
    for difference in others {
        text += &format!("{}\n    no stage of this request\n", values(difference));
    }
    if !other_reasons.is_empty() {
        text += &format!("not the host: recipes, settings or sources\n    {}\n", listed(other_reasons));
    }
    if *unpaired > 0 {
        text += &format!("{unpaired} stages are planned on one of the machines only\n");
    }
    match (differing.len(), differences.is_empty()) {
        (0, true) => text += &format!("nothing of the host differs: all {compared} keys are equal\n"),
        (0, false) => text += &format!("all {compared} keys are equal\n"),
        (count, _) => text += &format!("{count} of {compared} keys differ\n"),
    }
    text
}

fn values(difference: &Difference) -> String {
    let shown = |value: &Option<String>| match value {
        Some(value) if value.is_empty() => "something without a version".to_owned(),
        Some(value) => format!("`{}`", harmless(value)),
        None => "missing".to_owned(),
    };
    let (name, here, there) = (difference.fact.as_str(), shown(&difference.here), shown(&difference.there));
    format!("{}: here {here}, there {there}", harmless(name))
}

fn listed(stages: &[StageName]) -> String {
    let mut text = stages.iter().take(LISTED).map(|name| harmless(name)).collect::<Vec<_>>().join(", ");
    if stages.len() > LISTED {
        text += &format!(" and {} more", stages.len() - LISTED);
    }
    text
}

/// Returns it as JSON (docs/schema/plan-explain-host.schema.json).
#[must_use]
pub fn json(comparison: &Comparison) -> String {
    let difference = |it: &Difference| {
        json!({
            "fact": it.fact.as_str(), "here": it.here, "there": it.there, "stages": it.stages, "stages_above": it.above,
        })
    };
    let value = json!({
        "schema": 1,
        "equal": comparison.differing.is_empty(),
        "differences": comparison.differences.iter().map(difference).collect::<Vec<_>>(),
        "stages_compared": comparison.compared,
        "stages_unpaired": comparison.unpaired,
        "stages_differing": comparison.differing,
        "not_the_host": comparison.other_reasons,
    });
    format!("{value:#}\n")
}
