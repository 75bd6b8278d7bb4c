//! What is asked of a server and how its answers are read; the answers are written as the manual of VictoriaLogs shows them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::*;

/// A server that gives these bodies, one a request, and the targets it was asked for.
fn answering<T>(bodies: &[&str], ask: impl FnOnce(&str) -> T) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}#1", listener.local_addr().unwrap());
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut stream = listener.accept().unwrap().0;
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|line| line.unwrap());
            let targets = bodies.iter().map(|body| {
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                head[0].split(' ').nth(1).unwrap().to_owned()
            });
            targets.collect()
        });
        (ask(&url), server.join().unwrap())
    })
}

fn asked(query: &str) -> String {
    target("/select/logsql/query", &[("query", query)])
}

#[test]
fn questions_and_answers() {
    let bodies = [
        "{\"n\":\"0\"}\n",
        "{\"_time\":\"2026-11-21T23:59:59Z\",\"eventID\":\"a\"}\n{\"_time\":\"2026-11-21T23:59:58.5Z\",\"eventID\":\"b\"}\n",
        "",
        "{\"eventName\":\"Decrypt\",\"n\":\"7\"}\n",
        "{\"_time\":\"1970-01-01T02:00:00Z\",\"n\":\"3\"}\n",
        "{\"n\":\"5\"}\n",
    ];
    let user = vec![(Field::User, "ann.li".to_owned())];
    let triple = [(Field::Service, "s3"), (Field::Region, "eu"), (Field::ReadOnly, "true")].map(|(f, v)| (f, v.to_owned()));
    let (replies, targets) = answering(&bodies, |url| {
        let mut peer = VictoriaLogs::connect(url).unwrap();
        let questions = [
            Question::Newest { filter: user, limit: 2, pages: 2 },
            Question::TopNames { limit: 10 },
            Question::Hours { filter: Filter::new() },
            Question::Count { filter: triple.into() },
        ];
        questions.map(|question| peer.ask(&question).unwrap().unwrap().reply)
    });
    let row = |time, id: &str| Row { time, id: id.into(), whole: None };
    let rows = Reply::Rows(vec![row(1_795_305_599, "a"), row(1_795_305_598, "b")]);
    assert_eq!(replies, [rows, Reply::Terms(vec![("Decrypt".into(), 7)]), Reply::Hours(vec![(2, 3)]), Reply::Count(5)]);
    let user = "(userIdentity.userName:=\"ann.li\" or userIdentity.principalId:~\":ann[.]li$\")";
    let expected = [
        "* | stats count() as n".to_owned(),
        format!("{user} | sort by (_time) desc limit 2"),
        format!("{user} | sort by (_time) desc offset 2 limit 2"),
        "* | stats by (eventName) count() as n | sort by (n) desc limit 10".into(),
        "* | stats by (_time:1h) count() as n".into(),
        "{eventSource=\"s3\"} {awsRegion=\"eu\"} readOnly:=\"true\" | stats count() as n".into(),
    ];
    assert_eq!(targets, expected.map(|query| asked(&query)));
}

#[test]
fn a_server_that_is_not_empty_is_refused() {
    let (refused, _) = answering(&["{\"n\":\"1\"}\n"], |url| VictoriaLogs::connect(url).unwrap_err().to_string());
    assert_eq!(refused, "it holds events already");
}
