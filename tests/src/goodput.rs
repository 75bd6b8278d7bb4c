//! [`Course`]: what a server took before, during and after an overload, window by window beside a twin that had none; [`Goodput`]: what was left of its peak.
//!
//! Problem: on a machine with others on it a rate says little, and a log that grows costs more by the event, so that a peak from before is not what a server could
//! do later. Mechanism: a twin with the same settings, the same share of the processor and the same ordinary clients runs from the first to the last moment, and never has
//! more than it can do. What the server takes is told as a share of what the twin takes in the same time: what others do, disks and growth are in both. Shares are those of
//! sums over at least ten seconds: each flush of a head takes much of a second from one of the two, so that a second says 0.75 to 1.45 without any overload. Limit: what
//! hits one of the two alone for longer shows as goodput.

use std::fmt;
use std::time::Duration;

/// What must be left of the peak in overload, and be there again right after it.
const GOODPUT_MIN: f64 = 0.8;

/// What one of the two took in a window.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Events that were acknowledged.
    pub events: usize,
    /// What the processor did for it.
    pub processor: Duration,
}

impl Taken {
    /// Events for a second of the processor.
    fn of_processor(self) -> f64 {
        self.events as f64 / self.processor.as_secs_f64()
    }
}

/// What both took in the same window.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The server that is judged.
    pub server: Taken,
    /// Its twin.
    pub twin: Taken,
}

impl Window {
    /// The server's events as a share of its twin's.
    fn by_clock(self) -> f64 {
        self.server.events as f64 / self.twin.events as f64
    }

    /// The same of events for a second of the processor.
    fn by_processor(self) -> f64 {
        self.server.of_processor() / self.twin.of_processor()
    }
}

/// The windows before, during and after an overload.
#[derive(Debug, Default)]
pub struct Course {
    /// Ordinary clients: the peak, and nothing else is.
    pub before: Vec<Window>,
    /// Too many.
    pub during: Vec<Window>,
    /// Ordinary clients again, from the moment on in which the overload ends.
    pub after: Vec<Window>,
}

impl Course {
    /// What was left, by sums.
    ///
    /// # Errors
    /// When the twin took nothing, or the server nothing before: nothing can be said then.
    pub fn goodput(&self) -> Result<Goodput, String> {
        let [before, during, after] = [sum("before", &self.before)?, sum("during", &self.during)?, sum("after", &self.after)?];
        if before.server.events == 0 || before.server.processor.is_zero() {
            return Err("the server took nothing before".to_owned());
        }
        let left = |of: fn(Window) -> f64, part: Window| if part.server.events == 0 { 0.0 } else { of(part) / of(before) };
        Ok(Goodput {
            during: left(Window::by_clock, during),
            after: left(Window::by_clock, after),
            for_processor: left(Window::by_processor, during),
        })
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, windows) in [("before", &self.before), ("during", &self.during), ("after", &self.after)] {
            write!(f, "{name}:")?;
            for Window { server, twin } in windows {
                let [mine, its] = [server, twin].map(|taken| taken.processor.as_millis());
                write!(f, " {}/{} in {mine}/{its} ms;", server.events, twin.events)?;
            }
        }
        Ok(())
    }
}

/// All windows of a part as one.
fn sum(name: &str, windows: &[Window]) -> Result<Window, String> {
    let taken = |of: fn(&Window) -> Taken| Taken {
        events: windows.iter().map(|window| of(window).events).sum(),
        processor: windows.iter().map(|window| of(window).processor).sum(),
    };
    let (server, twin) = (taken(|window| window.server), taken(|window| window.twin));
    if twin.events == 0 || twin.processor.is_zero() {
        return Err(format!("{name}: the twin took nothing in {} windows", windows.len()));
    }
    Ok(Window { server, twin })
}

/// What was left of the peak.
#[derive(Debug, Clone, Copy)]
pub struct Goodput {
    /// In overload.
    pub during: f64,
    /// Right after it.
    pub after: f64,
    /// In overload, for a second of the processor: what refusing costs, without the waiting. Said, not judged.
    pub for_processor: f64,
}

impl Goodput {
    /// Whether that is enough.
    ///
    /// # Errors
    /// What is too little.
    pub fn is_enough(self) -> Result<(), String> {
        for (name, left) in [("in overload", self.during), ("right after it", self.after)] {
            if left < GOODPUT_MIN {
                return Err(format!("{:.0} % of the peak are left {name}: {self:?}", left * 100.0));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows in which the twin took 1,000 events and the server this many.
    fn windows<const N: usize>(events: [usize; N]) -> Vec<Window> {
        beside(events.map(|events| (events, 1_000)))
    }

    fn beside<const N: usize>(events: [(usize, usize); N]) -> Vec<Window> {
        let taken = |events| Taken { events, processor: Duration::from_millis(200) };
        events.map(|(server, twin)| Window { server: taken(server), twin: taken(twin) }).to_vec()
    }

    fn judged(before: Vec<Window>, during: Vec<Window>, after: Vec<Window>) -> Result<(), String> {
        Course { before, during, after }.goodput()?.is_enough()
    }

    const CALM: [usize; 5] = [1_000, 950, 1_050, 1_000, 980];

    #[test]
    fn a_flush_in_one_window_is_none_and_one_good_window_is_none() {
        let judged_during = |during| judged(windows(CALM), windows(during), windows(CALM));
        assert_eq!(judged_during([1_000, 400, 950, 1_000, 900]), Ok(()));
        assert!(judged_during([700, 500, 650, 1_000, 990]).unwrap_err().contains("in overload"));
        assert!(judged_during([100, 100, 100, 100, 1_000]).unwrap_err().contains("in overload"));
    }

    #[test]
    fn what_an_overload_leaves_behind_is_no_peak() {
        // As good after as during, and neither is what was before.
        assert!(judged(windows(CALM), windows([700; 5]), windows([700; 5])).unwrap_err().contains("70 % of the peak are left in overload"));
        assert!(judged(windows(CALM), windows(CALM), windows([700; 5])).unwrap_err().contains("70 % of the peak are left right after it"));
        assert!(judged(windows(CALM), windows(CALM), windows([0; 5])).unwrap_err().contains("0 % of the peak"));
        // It comes back, and too late.
        assert!(judged(windows(CALM), windows(CALM), windows([0, 0, 300, 1_000, 1_000])).is_err());
        assert_eq!(judged(windows(CALM), windows(CALM), windows([200, 900, 1_000, 1_000, 1_000])), Ok(()));
    }

    #[test]
    fn what_hits_both_is_not_of_the_overload() {
        let slow = || beside([(300, 310), (100, 90), (500, 520), (900, 1_000), (350, 240)]);
        assert_eq!(judged(windows(CALM), slow(), slow()), Ok(()));
        // The server alone stays slow as the machine gets quicker.
        assert!(judged(slow(), slow(), beside([(500, 1_000); 5])).is_err());
        // A pair of which one is quicker than the other is judged by itself.
        assert_eq!(judged(beside([(600, 1_000); 5]), beside([(500, 1_000); 5]), beside([(590, 1_000); 5])), Ok(()));
    }

    #[test]
    fn without_its_twin_nothing_is_said() {
        for part in 0..3 {
            let [before, during, after] = std::array::from_fn(|at| if at == part { beside([(1_000, 0); 5]) } else { windows(CALM) });
            assert!(judged(before, during, after).unwrap_err().contains("the twin took nothing"), "{part}");
        }
        assert!(judged(windows(CALM), windows(CALM), Vec::new()).is_err());
        assert!(judged(windows([0; 5]), windows(CALM), windows(CALM)).unwrap_err().contains("the server took nothing before"));
    }
}
