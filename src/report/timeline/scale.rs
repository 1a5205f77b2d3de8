//! The size of the drawing, and where a time is in it.

use crate::run::log::model::RunModel;

/// The drawing's size and the place of the bars in it.
pub(super) const WIDTH: f64 = 1200.0;
pub(super) const LEFT: f64 = 120.0;
/// Room for the name of a stage that ends last.
pub(super) const RIGHT: f64 = 64.0;

/// Horizontal position of a time.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) whole_ms: f64,
}

impl Scale {
    pub(super) fn x(self, ms: u64) -> f64 {
        LEFT + (ms as f64 / self.whole_ms).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

/// Returns a coordinate.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Returns the time the drawing spans.
pub(super) fn whole_ms(model: &RunModel) -> u64 {
    let ends = model.stages.values().filter_map(|stage| stage.ended_ms);
    ends.chain([model.latest_ms]).max().unwrap_or(0).max(1)
}
