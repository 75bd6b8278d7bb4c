//! The query that asks for one event, without the network: the engine in this process, on the files that the server has left.

use trail_corpus::Facts;
use trail_engine::budget::Cancel;
use trail_engine::{AuditLog, Options};
use trail_rig::{Result, now};

use crate::bounds::{Bound, ID_IN_PROCESS};
use crate::directory::Directory;
use crate::in_process::options;
use crate::queries::{World, require};
use crate::timing::Times;

const WARM_UP: usize = 5;
const RUNS: usize = 400;

/// Opens the log, which no server may have open, to read only; asks and prints.
///
/// # Errors
/// When it cannot be opened, and for every wrong answer.
pub(crate) fn measure(directory: &Directory, world: &World<'_>) -> Result<()> {
    eprintln!("asking Q1 in process");
    let log = AuditLog::open(directory.path(), Options { read_only: true, ..options(0)? })?;
    let (id, mut times) = (&world.questions.id, Times::default());
    for run in 0..WARM_UP + RUNS {
        let start = now();
        let page = log.events_by_id(id, &Cancel::default())?;
        let time = start.elapsed();
        if run >= WARM_UP {
            times.push(time);
        }
        let found: Vec<String> = page.events.iter().filter_map(|event| Some(Facts::read(&event.text)?.id)).collect();
        require(found == [id.as_str()], || format!("{found:?}"))?;
    }
    let (median, worst) = (times.milliseconds(500), times.milliseconds(990));
    println!("\n## In process ({RUNS} runs, warm)\n\n| | median ms | p99 ms | must | aim | reached |\n|---|---|---|---|---|---|");
    let (columns, verdict) = (Bound::columns(ID_IN_PROCESS), Bound::verdict(ID_IN_PROCESS, median));
    println!("| Q1 event id, in process | {median:.3} | {worst:.3} | {columns} | {verdict} |");
    Ok(())
}
