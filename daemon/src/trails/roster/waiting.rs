//! Says when expiry waits for trails, when it waits no longer, and what was dropped although it was to wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;
use trail_engine::Stats;
use trail_engine::id::Sequence;

use crate::backend::Backend;
use crate::trails::keeping::holds::Holds;

/// How often there is a look.
const LOOK: Duration = Duration::from_secs(2);

/// Looks for as long as it is polled.
pub(super) async fn watch(backend: Backend, holds: Arc<Holds>) {
    let mut said = Said::default();
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        said.look(&backend.stats(), backend.oldest_sequence(), &holds.all());
    }
}

/// What was said last.
#[derive(Debug, Default)]
struct Said {
    waits: bool,
    let_go_events: u64,
}

impl Said {
    fn look(&mut self, stats: &Stats, oldest: Sequence, floors: &BTreeMap<String, Sequence>) {
        let waits = stats.held_bytes > 0;
        if waits && !self.waits {
            let least = floors.values().min();
            let trails = named(floors, |floor| Some(floor) == least);
            tracing::warn!(trails, held_bytes = stats.held_bytes, "days over the retention wait for what was not delivered of them");
        } else if self.waits && !waits {
            tracing::info!("no day over the retention waits for a trail any more");
        }
        self.waits = waits;
        let let_go = stats.let_go_events.saturating_sub(self.let_go_events);
        if let_go > 0 {
            let trails = named(floors, |floor| floor.plus(1) < oldest);
            tracing::error!(
                trails,
                events = let_go,
                "events were dropped undelivered although their trails hold the retention: `hold_bytes_max` was reached"
            );
        }
        self.let_go_events = stats.let_go_events;
    }
}

fn named(floors: &BTreeMap<String, Sequence>, wanted: impl Fn(&Sequence) -> bool) -> String {
    let names: Vec<&str> = floors.iter().filter(|(_, floor)| wanted(floor)).map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}
