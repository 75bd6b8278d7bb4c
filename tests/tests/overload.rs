//! More than the server can do (classes 15 to 18 of the fault matrix): ten times the batches that it takes, ten thousand connections that
//! say nothing, clients that drip, no file descriptors, no threads, little memory. It refuses with a time to come back, keeps its
//! promises, serves who behaves, and is well again when it is over.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use trail_tests::binary::{binary, clean};
use trail_tests::cage::Cage;
use trail_tests::client::connect;
use trail_tests::ledger::{Batch, Ledger};
use trail_tests::load::{Sent, Source, everything, send};
use trail_tests::mounts::system;
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, scale, skip};

/// What some clients did together.
#[derive(Default)]
struct Tally {
    kept: Mutex<Vec<Batch>>,
    unknown: Mutex<Vec<Batch>>,
    refused: AtomicU64,
    gone: AtomicU64,
}

impl Tally {
    fn events(&self) -> usize {
        self.kept.lock().unwrap().iter().map(|batch| batch.events.len()).sum()
    }

    fn into_ledger(self, ledger: &mut Ledger) {
        self.unknown.into_inner().unwrap().iter().for_each(|batch| ledger.unknown(batch));
        self.kept.into_inner().unwrap().into_iter().for_each(|batch| ledger.promised(batch));
    }
}

/// Clients that send batch after batch for a while, without waiting when they are refused.
fn load(server: &Server, clients: usize, time: Duration, name: &str, random: &mut Random) -> Tally {
    let (tally, end) = (Tally::default(), Instant::now() + time);
    thread::scope(|scope| {
        for i in 0..clients {
            let mut source = Source::new(format!("{name}-{i}"), random.fork());
            (source.events_max, source.filler_max) = (200, 30);
            let tally = &tally;
            scope.spawn(move || {
                let mut client = server.client();
                while Instant::now() < end {
                    let batch = source.batch();
                    match send(&mut client, &batch) {
                        Sent::Kept => tally.kept.lock().unwrap().push(batch),
                        Sent::Refused(answer) => {
                            assert!(
                                [429, 503, 507].contains(&answer.status) && answer.header("retry-after").is_some(),
                                "{}",
                                answer.text()
                            );
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                            tally.unknown.lock().unwrap().push(batch);
                        }
                        Sent::Gone(_) => {
                            tally.gone.fetch_add(1, Ordering::Relaxed);
                            tally.unknown.lock().unwrap().push(batch);
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                }
            });
        }
    });
    tally
}

/// What a server with heads of 16 MiB may grow to: bodies and answers that wait (256 MiB each at most), up to four heads, ten thousand
/// connections, batches on their way.
const OVERLOADED_BYTES_MAX: u64 = 900 << 20;

/// The server answers a question and takes a batch within five seconds.
fn recovers(server: &Server, ledger: &mut Ledger, random: &mut Random) {
    let start = Instant::now();
    let tally = load(server, 1, Duration::from_millis(200), &format!("after-{}", random.number()), random);
    assert!(tally.events() > 0 && start.elapsed() < Duration::from_secs(5), "{:?} later it takes nothing", start.elapsed());
    tally.into_ledger(ledger);
}

#[test]
fn ten_times_as_much_as_it_can_do() {
    let mut random = Random::of_test("overload", "ten_times_as_much_as_it_can_do");
    let row = Row::begin(17, "overload x10, 10,000 idle", 1);
    let folder = tempdir().unwrap();
    let settings = [
        ("TRAILD_PENDING_BYTES_MAX", "256KiB"),
        ("TRAILD_BODY_BYTES_MAX", "1MiB"),
        ("TRAILD_BODY_DECODED_BYTES_MAX", "1MiB"),
        ("TRAILD_INFLIGHT_BYTES_MAX", "2MiB"),
        ("TRAILD_CONNECTIONS_MAX", "12000"),
        ("TRAILD_HEAD_BYTES_MAX", "16MiB"),
    ];
    let mut command = clean(Command::new("sh"));
    command.args(["-c", "ulimit -n 20000 2>/dev/null; exec \"$0\" \"$@\""]).arg(binary());
    let server = Server::try_start(command, &folder.path().join("log"), &[], &settings).unwrap();
    let mut ledger = Ledger::default();
    let time = Duration::from_secs(scale(6, 600));
    load(&server, 4, time / 4, "warm", &mut random).into_ledger(&mut ledger);
    let peak = load(&server, 4, time, "peak", &mut random);
    let before = peak.events();
    peak.into_ledger(&mut ledger);
    let idle = silent(&server, 10_000);
    println!("{} silent connections", idle.len());
    let over = load(&server, 40, time, "over", &mut random);
    let (after, refused) = (over.events(), over.refused.load(Ordering::Relaxed));
    println!(
        "{before} events with 4 clients, {after} with 40 that do not wait, of which {refused} batches were refused, {:?} broken",
        over.gone
    );
    over.into_ledger(&mut ledger);
    // The clients of ten times as much work take their share of the same two cores.
    assert!(after * 10 >= before * if cfg!(debug_assertions) { 5 } else { 8 }, "goodput fell from {before} to {after}");
    recovers(&server, &mut ledger, &mut random);
    println!("{} MiB at most", server.peak_bytes() >> 20);
    assert!(server.peak_bytes() < OVERLOADED_BYTES_MAX, "{} MiB", server.peak_bytes() >> 20);
    drop(idle);
    row.hit();
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    row.end();
}

/// How many requests may be on their way at once in an open loop.
const SENDERS: usize = 400;

/// Sends requests at planned times, whatever became of those before; a batch that was refused is sent again later. How many were sent.
fn open_loop(server: &Server, rate: f64, time: Duration, random: &mut Random) -> (Tally, u64) {
    let (tally, sent, next, start) = (Tally::default(), AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for i in 0..SENDERS {
            let mut source = Source::new(format!("open-{i}"), random.fork());
            (source.events_max, source.filler_max) = (200, 30);
            let (tally, sent, next) = (&tally, &sent, &next);
            scope.spawn(move || {
                let (mut client, mut batch) = (server.client(), source.batch());
                loop {
                    let due = Duration::from_secs_f64(next.fetch_add(1, Ordering::SeqCst) as f64 / rate);
                    if due > time || start.elapsed() > time {
                        return tally.unknown.lock().unwrap().push(batch);
                    }
                    thread::sleep(due.saturating_sub(start.elapsed()));
                    sent.fetch_add(1, Ordering::Relaxed);
                    match send(&mut client, &batch) {
                        Sent::Kept => tally.kept.lock().unwrap().push(std::mem::replace(&mut batch, source.batch())),
                        Sent::Refused(answer) => {
                            let wait = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
                            assert!([429, 503].contains(&answer.status) && wait.is_some(), "{}", answer.text());
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Sent::Gone(_) => drop(tally.gone.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    (tally, sent.into_inner())
}

/// Ten times the requests of its peak, at planned times until all senders wait, against a server that has a fifth of a core, so that its
/// clients take nothing from it: it must still take four fifths of what it takes at its best.
#[test]
fn goodput_in_an_open_loop() {
    const NAME: &str = "open loop x10: goodput 80 %";
    let cage = match Cage::cpu(20) {
        Ok(cage) => cage,
        Err(why) => return skip(17, NAME, &why),
    };
    let mut random = Random::of_test("overload", "goodput_in_an_open_loop");
    let row = Row::begin(17, NAME, 1);
    let folder = tempdir().unwrap();
    // What waits in it is less than what its clients have on their way.
    let settings = [
        ("TRAILD_PENDING_BYTES_MAX", "256KiB"),
        ("TRAILD_BODY_BYTES_MAX", "512KiB"),
        ("TRAILD_BODY_DECODED_BYTES_MAX", "512KiB"),
        ("TRAILD_INFLIGHT_BYTES_MAX", "1MiB"),
        ("TRAILD_HEAD_BYTES_MAX", "16MiB"),
        ("TRAILD_MERGE_CPU_PERCENT", "0"),
        // A tenth of the default, as its part of a machine of two cores.
        ("TRAILD_CONNECTIONS_MAX", "102"),
    ];
    let server = Server::try_start(cage.traild(), &folder.path().join("log"), &[], &settings).unwrap();
    let (mut ledger, time) = (Ledger::default(), Duration::from_secs(scale(5, 300)));
    load(&server, 4, time / 2, "warm", &mut random).into_ledger(&mut ledger);
    let peak = load(&server, 4, time, "peak", &mut random);
    let (best, requests) = (peak.events(), peak.kept.lock().unwrap().len());
    peak.into_ledger(&mut ledger);
    let (over, sent) = open_loop(&server, 10.0 * requests as f64 / time.as_secs_f64(), time, &mut random);
    let (taken, refused, broken) = (over.events(), over.refused.load(Ordering::Relaxed), over.gone.load(Ordering::Relaxed));
    over.into_ledger(&mut ledger);
    println!(
        "{best} events in {requests} requests at its best; {taken} in {sent} begun at ten times the rate, {refused} refused, {broken} broken"
    );
    assert!(sent >= 2 * SENDERS as u64 && refused > 0, "that is no overload: {sent} requests, {requests} at its best");
    assert!(taken * 10 >= best * 8, "goodput fell from {best} to {taken}");
    recovers(&server, &mut ledger, &mut random);
    println!("{} MiB at most", server.peak_bytes() >> 20);
    assert!(server.peak_bytes() < OVERLOADED_BYTES_MAX, "{} MiB", server.peak_bytes() >> 20);
    row.hit();
    server.kill();
    cage.wait_until_empty();
    let server = Server::start(&folder.path().join("log"), &settings);
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    row.end();
}

/// The soft limit of a process, as text.
fn soft(process: impl std::fmt::Display, name: &str) -> String {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// Connections that say nothing; as many as this process may have.
fn silent(server: &Server, count: usize) -> Vec<std::io::BufReader<std::net::TcpStream>> {
    let count = soft("self", "Max open files").parse().map_or(count, |most: usize| count.min(most.saturating_sub(200)));
    (0..count).map_while(|_| connect(server.address).ok()).collect()
}

/// Slow heads, slow bodies, slow readers, while a good client works.
#[test]
fn slow_clients() {
    let mut random = Random::of_test("overload", "slow_clients");
    let row = Row::begin(18, "slowloris: head, body, read", 3);
    let folder = tempdir().unwrap();
    let mut settings = ["TRAILD_HEADER_TIMEOUT", "TRAILD_BODY_TIMEOUT", "TRAILD_WRITE_TIMEOUT"].map(|name| (name, "3s")).to_vec();
    settings.push(("TRAILD_HEAD_BYTES_MAX", "16MiB"));
    let server = Server::start(&folder.path().join("log"), &settings);
    let mut ledger = Ledger::default();
    load(&server, 2, Duration::from_secs(1), "first", &mut random).into_ledger(&mut ledger);
    for (name, start, piece) in [
        ("head", "POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx: ", "y"),
        ("body", "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n{", " "),
        ("read", "GET /v1/events?from=1700-01-01T00:00:00Z&to=2200-01-01T00:00:00Z&limit=10000 HTTP/1.1\r\nhost: localhost\r\n\r\n", ""),
    ] {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| drip(&server, start, piece, &over));
            let good = load(&server, 2, Duration::from_secs(scale(6, 300)), name, &mut random);
            over.store(true, Ordering::SeqCst);
            println!("{name}: {} events of good clients, {} refusals", good.events(), good.refused.load(Ordering::Relaxed));
            assert!(good.events() > 200 && good.gone.load(Ordering::Relaxed) == 0, "good clients suffer from slow ones: {name}");
            good.into_ledger(&mut ledger);
        });
        row.hit();
    }
    assert!(server.peak_bytes() < OVERLOADED_BYTES_MAX, "{} MiB", server.peak_bytes() >> 20);
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    row.end();
}

/// Three hundred connections that begin something and go on a byte a time; all but slow readers are closed while it lasts.
fn drip(server: &Server, start: &str, piece: &str, over: &AtomicBool) {
    let mut open: Vec<_> = (0..300)
        .filter_map(|_| {
            let mut connection = connect(server.address).ok()?;
            connection.get_mut().write_all(start.as_bytes()).ok()?;
            connection.get_ref().set_nonblocking(true).ok()?;
            Some(connection)
        })
        .collect();
    let begun = open.len();
    while !over.load(Ordering::SeqCst) {
        open.retain_mut(|connection| {
            let closed = || !piece.is_empty() && connection.get_ref().peek(&mut [0]).is_ok();
            !closed() && connection.get_mut().write_all(piece.as_bytes()).is_ok()
        });
        thread::sleep(Duration::from_millis(200));
    }
    assert!(begun > 250 && (piece.is_empty() || open.is_empty()), "{} of {begun} slow clients are still served", open.len());
}

/// No file descriptor is left: the loop that accepts waits instead of spinning, and goes on when there are some.
#[test]
fn without_file_descriptors_and_threads() {
    const NAME: &str = "no descriptors, no threads";
    if let Err(why) = system(&["prlimit", "--version"]) {
        return skip(16, NAME, &why);
    }
    let mut random = Random::of_test("overload", "without_file_descriptors");
    let row = Row::begin(16, NAME, scale(10, 100));
    let folder = tempdir().unwrap();
    let server = Server::start(&folder.path().join("log"), &[("TRAILD_HEAD_BYTES_MAX", "256KiB"), ("TRAILD_JOURNAL_BYTES", "256KiB")]);
    let mut ledger = Ledger::default();
    let pid = server.pid().to_string();
    for round in 0..row.target() {
        let kind = if round % 3 == 2 { "nproc" } else { "nofile" };
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let high = soft(server.pid(), if kind == "nproc" { "Max processes" } else { "Max open files" });
        let low = if kind == "nproc" { 1 } else { open + usize::try_from(random.below(4)).unwrap() };
        system(&["prlimit", "--pid", &pid, &format!("--{kind}={low}:")]).unwrap();
        let before = processor(server.pid());
        let crowd = silent(&server, 50);
        thread::sleep(Duration::from_millis(600));
        let spent = processor(server.pid()) - before;
        assert!(spent < Duration::from_millis(400), "{spent:?} of the processor in 600 ms: it spins");
        drop(crowd);
        system(&["prlimit", "--pid", &pid, &format!("--{kind}={high}:")]).unwrap();
        recovers(&server, &mut ledger, &mut random);
        row.hit();
    }
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    row.end();
}

fn processor(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

/// 256 MiB for everything, under ten times the load, again and again on one log that grows: the defaults make do with what there is, so
/// that the system ends no process; what was promised is there.
#[test]
fn with_little_memory() {
    const NAME: &str = "memory limit 256 MiB, load x10";
    let cage = match Cage::memory(256 << 20) {
        Ok(cage) => cage,
        Err(why) => return skip(15, NAME, &why),
    };
    let mut random = Random::of_test("overload", "with_little_memory");
    let row = Row::begin(15, NAME, scale(10, 100));
    let folder = tempdir().unwrap();
    let data = folder.path().join("log");
    let mut ledger = Ledger::default();
    for round in 0..row.target() {
        let mut server = Server::try_start(cage.traild(), &data, &[], &[]).unwrap();
        load(&server, 20, Duration::from_millis(scale(700, 5_000)), &format!("{round}"), &mut random).into_ledger(&mut ledger);
        assert!(server.is_alive(), "round {round}: ended by the system: {}", server.said());
        println!("round {round}: {} MiB at most", server.peak_bytes() >> 20);
        assert!(server.said().contains("256 MiB of memory: heads of 16 MiB"), "{}", server.said());
        server.kill();
        row.hit();
    }
    let server = Server::start(&data, &[]);
    println!("{} events are promised", ledger.len());
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    cage.wait_until_empty();
    row.end();
}
