//! Who goes first: the engine's threads take turns where a test wants the same order again.

use std::time::Duration;

use super::simulated::Disk;
use super::state::State;

/// How long those who come first must be still before upkeep has its turn; merges wait four times as long.
const TURN: Duration = Duration::from_micros(1_200);

impl Disk {
    /// Lets the engine's threads take turns: upkeep changes something only when the writer has nothing to change, and merges only when neither
    /// has. So the same calls give the same operations in the same order, unless the machine holds a thread up for long.
    pub fn take_turns(&self) {
        self.state().turns = Some([0; 3]);
    }

    /// Waits until those who come first have been still for a while.
    pub(super) fn await_turn(&self) {
        let rank = rank();
        let earlier = |state: &State| state.turns.map(|turns| turns[..rank].iter().sum::<u64>());
        let mut before = earlier(&self.state());
        if rank > 0 && before.is_some() {
            loop {
                std::thread::sleep(TURN * rank as u32 * rank as u32);
                let now = earlier(&self.state());
                if now == before {
                    break;
                }
                before = now;
            }
        }
        if let Some(turns) = &mut self.state().turns {
            turns[rank] += 1;
        }
    }
}

/// Which threads come first: callers and the writer, then upkeep, then merges.
fn rank() -> usize {
    match std::thread::current().name() {
        Some("trail-upkeep") => 1,
        Some("trail-merge") => 2,
        _ => 0,
    }
}
