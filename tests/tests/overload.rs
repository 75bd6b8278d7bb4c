//! More than the server can do (classes 15 to 18 of the fault matrix): ten times the batches that it takes, ten thousand connections that
//! say nothing, clients that drip, no file descriptors, no threads, little memory. It refuses with a time to come back, keeps its
//! promises, serves who behaves, and is well again when it is over.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use trail_tests::binary::{binary, clean};
use trail_tests::cage::Cage;
use trail_tests::client::{Client, connect};
use trail_tests::crowd::{SENDERS, load, open_loop, recovers};
use trail_tests::fixtures::ALWAYS;
use trail_tests::ledger::{Batch, Ledger};
use trail_tests::load::{Sent, Source, everything, send};
use trail_tests::mounts::{system, text};
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::table::{Row, scale, skip};

/// What a server with heads of 16 MiB may grow to: bodies and answers that wait (256 MiB each at most), up to four heads, ten thousand
/// connections, batches on their way.
const OVERLOADED_BYTES_MAX: u64 = 900 << 20;

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
        // Silent ones are to stay for all of it.
        ("TRAILD_HEADER_TIMEOUT", "1h"),
    ];
    let own = std::process::id().to_string();
    if let Err(why) = system(&["prlimit", "--pid", &own, &format!("--nofile={}:", IDLE + 2_000)]) {
        return skip(17, "overload x10, 10,000 idle", &why);
    }
    let mut command = clean(Command::new("sh"));
    command.args(["-c", "ulimit -n 20000 2>/dev/null; exec \"$0\" \"$@\""]).arg(binary());
    let server = Server::try_start(command, &folder.path().join("log"), &[], &settings).unwrap();
    let mut ledger = Ledger::default();
    let time = Duration::from_secs(scale(6, 60));
    load(&server, 4, time / 4, "warm", &mut random).into_ledger(&mut ledger);
    let peak = load(&server, 4, time, "peak", &mut random);
    let before = peak.events();
    peak.into_ledger(&mut ledger);
    let idle = silent(&server, IDLE);
    assert_eq!(idle.len(), IDLE, "not all of the silent connections were taken");
    let over = load(&server, 40, Duration::from_secs(scale(60, 1_800)), "over", &mut random);
    let (after, refused) = (over.events(), over.refused.load(Ordering::Relaxed));
    println!(
        "{before} events with 4 clients, {after} with 40 that do not wait, of which {refused} batches were refused, {:?} broken",
        over.gone
    );
    over.into_ledger(&mut ledger);
    // The clients of ten times as much work take their share of the same two cores: four fifths are asked where they do not, in the open loop.
    let times = scale(60, 1_800) as f64 / time.as_secs_f64();
    assert!(after as f64 >= before as f64 * times / 3.0, "goodput fell from {before} in {time:?} to {after} in {times:.0} times as long");
    let open = idle.iter().filter(|connection| is_open(connection.get_ref())).count();
    assert_eq!(open, IDLE, "silent connections were closed");
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

/// How many connections say nothing.
const IDLE: usize = 10_000;

/// Whether nothing came on a connection that says nothing, not even its end.
fn is_open(connection: &std::net::TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    connection.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
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
    wide_events(&server, &mut ledger);
    let calm = descriptors(&server);
    for (name, start, piece) in [
        ("head", "POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx: ", "y"),
        ("body", "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n{", " "),
        (
            "read",
            "GET /v1/events?from=1700-01-01T00:00:00Z&to=2200-01-01T00:00:00Z&q=event_id:wide-*&limit=10 HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "",
        ),
    ] {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| drip(&server, start, piece, calm, &over));
            // Good clients at the beginning; all that they sent is held against the ledger, so not for all of it.
            let (start, time) = (Instant::now(), Duration::from_secs(scale(20, 300)));
            let good = load(&server, 2, time / 5, name, &mut random);
            thread::sleep(time.saturating_sub(start.elapsed()));
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

/// Gives it events by which an answer is far longer than what the system takes for a reader that does not read.
fn wide_events(server: &Server, ledger: &mut Ledger) {
    for batch in 0..2 {
        let ids: Vec<String> = (0..10).map(|i| format!("wide-{batch}-{i}")).collect();
        let event = |id: &String| format!("{{\"eventID\":\"{id}\",\"text\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes();
        let batch = Batch { events: ids.iter().map(event).collect(), ids };
        assert!(matches!(send(&mut server.client(), &batch), Sent::Kept));
        ledger.promised(batch);
    }
}

/// How many descriptors the server has open.
fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// How many begin something and go on slowly, and how many ask and do not read: as many as the server has room for whole answers.
const DRIPPING: usize = 300;
const NOT_READING: usize = 24;
/// How many descriptors a server may have open more than before, for good clients and what it writes.
const OTHERS: usize = 15;

/// Connections that begin something and go on a byte a time; all are closed while it lasts. Who does not read does not see that: of slow
/// readers it shows in the server, which has no connection left but those of good clients.
fn drip(server: &Server, start: &str, piece: &str, calm: usize, over: &AtomicBool) {
    let count = if piece.is_empty() { NOT_READING } else { DRIPPING };
    let mut open: Vec<_> = (0..count)
        .filter_map(|_| {
            let mut connection = connect(server.address).ok()?;
            connection.get_mut().write_all(start.as_bytes()).ok()?;
            connection.get_ref().set_nonblocking(true).ok()?;
            Some(connection)
        })
        .collect();
    let (begun, mut most, mut least) = (open.len(), 0, usize::MAX);
    while !over.load(Ordering::SeqCst) {
        open.retain_mut(|connection| {
            let closed = || !piece.is_empty() && connection.get_ref().peek(&mut [0]).is_ok();
            !closed() && connection.get_mut().write_all(piece.as_bytes()).is_ok()
        });
        most = most.max(descriptors(server));
        least = descriptors(server);
        thread::sleep(Duration::from_millis(200));
    }
    assert!(begun == count && (piece.is_empty() || open.is_empty()), "{} of {begun} slow clients are still served", open.len());
    assert!(most >= calm + count * 3 / 4, "there were no slow clients: {most} descriptors, {calm} before");
    assert!(least <= calm + OTHERS, "{least} descriptors at the end, {calm} before, {most} at most: slow clients are still served");
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
    let stranger = Stranger::new(folder.path());
    let settings = [("TRAILD_HEAD_BYTES_MAX", "256KiB"), ("TRAILD_JOURNAL_BYTES", "256KiB")];
    let server = Server::try_start(stranger.traild(), &folder.path().join("log"), &[], &settings).unwrap();
    let mut ledger = Ledger::default();
    let pid = server.pid().to_string();
    let mut source = Source::new("starved", random.fork());
    for round in 0..row.target() {
        let kind = if round % 3 == 2 { "nproc" } else { "nofile" };
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let high = soft(server.pid(), if kind == "nproc" { "Max processes" } else { "Max open files" });
        let low = if kind == "nproc" { 1 } else { open + 2 + usize::try_from(random.below(4)).unwrap() };
        // Connections from before: they must be served whatever there is none of.
        let mut clients = [server.client(), server.client()];
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/healthz").status, 200));
        stranger.limit(&pid, &format!("--{kind}={low}:"));
        if kind == "nproc" {
            assert!(!stranger.may_fork(), "the limit on processes does not hold for this user");
        }
        let before = processor(server.pid());
        let crowd = silent(&server, 50);
        thread::sleep(Duration::from_millis(600));
        let spent = processor(server.pid()) - before;
        assert!(spent < Duration::from_millis(400), "{spent:?} of the processor in 600 ms: it spins");
        starved(&mut clients, &mut source, &mut ledger, &format!("round {round}, {kind}={low}"));
        drop(crowd);
        stranger.limit(&pid, &format!("--{kind}={high}:"));
        recovers(&server, &mut ledger, &mut random);
        row.hit();
    }
    row.judge(ledger.check(&everything(&server)), "afterwards");
    row.no_panic(server.log());
    server.stop();
    row.end();
}

/// Sends and asks while there is none left: batches are kept or refused with a time to come back, questions are answered, nothing hangs.
fn starved([sender, asker]: &mut [Client; 2], source: &mut Source, ledger: &mut Ledger, place: &str) {
    let end = Instant::now() + Duration::from_millis(400);
    let (mut sends, mut answered) = (true, 0);
    while Instant::now() < end {
        if sends {
            let batch = source.batch();
            match send(sender, &batch) {
                Sent::Kept => ledger.promised(batch),
                Sent::Refused(answer) => {
                    let wait = answer.header("retry-after");
                    assert!([429, 503, 507].contains(&answer.status) && wait.is_some(), "{place}: {}", answer.text());
                    // With that the connection may end, and another is not to be had.
                    sends = answer.header("connection") != Some("close");
                    ledger.unknown(&batch);
                }
                Sent::Gone(error) => panic!("{place}: a connection from before is not served: {error}"),
            }
        }
        let start = Instant::now();
        let count = asker.json(&format!("/v1/count?{ALWAYS}"))["count"].as_u64().unwrap();
        assert!(count >= ledger.len() as u64, "{place}: {count} events of {}", ledger.len());
        assert!(start.elapsed() < Duration::from_secs(10), "{place}: a question took {:?}", start.elapsed());
        answered += 1;
    }
    assert!(answered > 0, "{place}");
}

/// A user of whom nothing else runs, where the test is root's: no limit on processes holds for root.
struct Stranger {
    words: Vec<String>,
    binary: std::path::PathBuf,
}

impl Stranger {
    /// The user's number: of nobody known.
    const USER: &str = "61234";

    /// Makes the folder the user's, with a copy of the binary in it, which may stand where only root goes.
    fn new(folder: &Path) -> Stranger {
        let is_root = system(&["id", "-u"]).is_ok_and(|id| id.trim() == "0");
        if !is_root {
            return Stranger { words: Vec::new(), binary: binary().to_owned() };
        }
        let copy = folder.join("traild");
        fs::copy(binary(), &copy).unwrap();
        system(&["chown", "-R", Stranger::USER, text(folder)]).unwrap();
        let words = ["setpriv", "--reuid", Stranger::USER, "--regid", Stranger::USER, "--clear-groups"];
        Stranger { words: words.map(ToOwned::to_owned).to_vec(), binary: copy }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut all = self.words.iter().map(String::as_str).chain(words.iter().copied());
        let mut command = clean(Command::new(all.next().unwrap()));
        command.args(all);
        command
    }

    fn traild(&self) -> Command {
        self.command(&[text(&self.binary)])
    }

    /// Sets a soft limit of a process of the user, as that user: root in a container may not.
    fn limit(&self, pid: &str, limit: &str) {
        let status = self.command(&["prlimit", "--pid", pid, limit]).status().unwrap();
        assert!(status.success(), "prlimit --pid {pid} {limit}: {status}");
    }

    /// Whether a process of the user that may have one process can make another.
    fn may_fork(&self) -> bool {
        self.command(&["prlimit", "--nproc=1", "sh", "-c", "sh -c : & wait $!"])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    }
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
