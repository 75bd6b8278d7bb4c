//! The stream of a tail: its lines, and what happens when it breaks.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

#[test]
fn reads_events_and_signs_of_life() {
    assert!(matches!(read_line(b"{\"a\": 1}\n").unwrap(), Line::Event(found) if found.event.get() == "{\"a\": 1}"));
    assert!(matches!(read_line(b"# 4711\n").unwrap(), Line::UpTo(4711)));
    for quiet in [b": alive\n".as_slice(), b"# alive\n", b"\n"] {
        assert!(matches!(read_line(quiet).unwrap(), Line::Quiet));
    }
    assert_eq!(read_line(b"{broken\n").unwrap_err().exit, Exit::Refused);
}

/// Answers requests with these bodies, one after the other; gives the requests' first lines.
fn serve(bodies: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move || {
        let mut asked = Vec::new();
        for body in bodies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            asked.push(String::from_utf8_lossy(&request).lines().next().unwrap().to_owned());
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
        asked
    };
    (url, trail_engine::threads::spawn("answer", answer).unwrap())
}

#[test]
fn goes_on_where_it_broke_without_repeating() {
    let (url, server) =
        serve(&["# 10\n{\"n\":11}\n# 12\n{\"n\":13}\n{\"n\":14}\n", "{\"n\":13}\n{\"n\":14}\n{\"n\":15}\n# 15\n{\"n\":16", ""]);
    let client = Client::new(&url, None, None).unwrap();
    let args = TailArgs { query: vec!["a:b c".into()], after: None, fields: vec![], json: true };
    let mut position = Position::default();
    let mut seen = Vec::new();
    let mut follow_once = |position: &mut Position| {
        follow(&client, &args, position, |found| {
            seen.push(found.event.get().to_owned());
            Ok(())
        })
    };
    assert_eq!(follow_once(&mut position), Ok(()));
    assert_eq!(position, Position { after: Some(12), since: 2 });
    assert_eq!(follow_once(&mut position).unwrap_err().exit, Exit::Unreachable, "half a line is no event");
    assert_eq!(position, Position { after: Some(15), since: 0 });
    assert_eq!(follow_once(&mut position), Ok(()));
    assert_eq!(seen, ["{\"n\":11}", "{\"n\":13}", "{\"n\":14}", "{\"n\":15}"]);
    let asked = server.join().unwrap();
    assert!(asked[0].contains("q=a") && !asked[0].contains("after"), "{asked:?}");
    assert!(asked[1].contains("after=12") && asked[2].contains("after=15"), "{asked:?}");
}
