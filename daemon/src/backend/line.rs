//! [`Line`]: who waits for a turn, and who is next.
//!
//! Problem: with more clients than can be served, a line in the order of coming serves those who have waited longest, and they are about to give up: the work
//! is done, and nobody is there for the answer. Mechanism: one has the turn at a time. As long as nobody has waited for long, the first is next;
//! from then on the last who came is, until the first have given up and gone. So a line that moves is fair, and one that does not
//! serves clients that are still there ("adaptive LIFO": Maurer, Fail at Scale, ACM Queue 13(8), 2015). Limits: who has the turn keeps it, so that one who needs much is not passed by those who need less; apart
//! from that nobody's place is kept. How long one waits is the caller's: to drop the future is to go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::mutants;

/// How long the first may have waited while the line is served in order: less than clients wait for an answer.
const IN_ORDER: Duration = Duration::from_millis(200);

/// A line; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether somebody has the turn.
    is_taken: bool,
    /// Since when who waits, in the order of coming.
    waiting: VecDeque<(Instant, oneshot::Sender<Turn>)>,
}

impl State {
    /// Forgets those at the front who have gone: nobody stays for long, so that nothing grows.
    fn tidy(&mut self) {
        while self.waiting.front().is_some_and(|(_, place)| place.is_closed()) {
            self.waiting.pop_front();
        }
    }

    /// Who is next; the turn is free when nobody is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.tidy();
        while self.waiting.back().is_some_and(|(_, place)| place.is_closed()) {
            self.waiting.pop_back();
        }
        let is_slow = !mutants::is("line_always_in_order") && self.waiting.front().is_some_and(|(since, _)| since.elapsed() >= IN_ORDER);
        let next = if is_slow { self.waiting.pop_back() } else { self.waiting.pop_front() };
        self.is_taken = next.is_some();
        next.map(|(_, place)| place)
    }
}

/// The turn; dropped, it goes to the next.
#[derive(Debug)]
pub(super) struct Turn(Line);

impl Line {
    /// Waits for the turn.
    pub(super) async fn turn(&self) -> Turn {
        loop {
            let place = match self.take() {
                Ok(turn) => return turn,
                Err(place) => place,
            };
            // A place is only given up with the turn.
            if let Ok(turn) = place.await {
                return turn;
            }
        }
    }

    /// The turn, or a place in the line.
    fn take(&self) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_taken {
            state.is_taken = true;
            return Ok(Turn(self.clone()));
        }
        state.tidy();
        let (sender, place) = oneshot::channel();
        state.waiting.push_back((Instant::now(), sender));
        Err(place)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).next();
        // Who has gone in this moment leaves it here, and it goes on to another as it is dropped.
        next.into_iter().for_each(|next| drop(next.send(Turn(self.0.clone()))));
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::sleep;

    use super::*;

    /// Some who come one after the other, each of whom notes its number when it has the turn.
    async fn queue(line: &Line, noted: &Arc<Mutex<Vec<u32>>>, numbers: std::ops::Range<u32>) -> Vec<JoinHandle<()>> {
        let mut waiting = Vec::new();
        for number in numbers {
            let (line, noted) = (line.clone(), noted.clone());
            waiting.push(tokio::spawn(async move {
                let _turn = line.turn().await;
                noted.lock().unwrap().push(number);
            }));
            yield_now().await;
        }
        waiting
    }

    async fn served(held_for: Duration) -> Vec<u32> {
        let (line, noted) = (Line::default(), Arc::default());
        let turn = line.turn().await;
        let waiting = queue(&line, &noted, 0..4).await;
        sleep(held_for).await;
        drop(turn);
        for one in waiting {
            one.await.unwrap();
        }
        assert!(!line.0.lock().unwrap().is_taken, "nobody is there, and the turn is taken");
        let noted = noted.lock().unwrap();
        noted.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_moves_is_served_in_order_and_a_slow_one_from_its_end() {
        assert_eq!(served(IN_ORDER / 2).await, [0, 1, 2, 3]);
        assert_eq!(served(IN_ORDER * 2).await, [3, 2, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_is_passed_by_and_forgotten() {
        let (line, noted) = (Line::default(), Arc::default());
        let turn = line.turn().await;
        let waiting = queue(&line, &noted, 0..4).await;
        for gone in [0, 2, 3] {
            waiting[gone].abort();
        }
        yield_now().await;
        // Who comes tidies up; the one in the middle is passed by.
        let last = queue(&line, &noted, 4..5).await;
        assert_eq!(line.0.lock().unwrap().waiting.len(), 4);
        drop(turn);
        for one in waiting.into_iter().skip(1).take(1).chain(last) {
            one.await.unwrap();
        }
        assert_eq!(*noted.lock().unwrap(), [1, 4]);
        let _turn = tokio::time::timeout(Duration::from_secs(1), line.turn()).await.expect("the turn is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_to_somebody_who_goes_is_not_lost() {
        let line = Line::default();
        let turn = line.turn().await;
        let place = line.take().unwrap_err();
        drop(turn);
        // It has been sent and not been taken.
        drop(place);
        let _turn = tokio::time::timeout(Duration::from_secs(1), line.turn()).await.expect("the turn is free");
    }
}
