//! Which columns a table of events has, and when its shape changes.

use serde_json::json;

use super::*;
use crate::cli::terminal::text::width;

fn found(sequence: u64, event: &Value) -> Found {
    let event = RawValue::from_string(event.to_string()).unwrap();
    Found { sequence, received_at: "2026-11-22T08:00:00Z".into(), event_time: "2023-07-10T12:34:45.123Z".into(), event }
}

fn event(error: &str) -> Value {
    json!({"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": "GetBucketAccelerateConfiguration",
        "userIdentity": {"type": "IAMUser", "userName": "a-user-with-a-long-name"}, "sourceIPAddress": "203.0.113.200",
        "errorCode": error, "eventTime": "2023-07-10T12:34:45Z", "awsRegion": "eu-1"})
}

fn table(writer: &EventWriter, events: &[Value]) -> Table {
    let fields = writer.fields.as_ref().unwrap();
    let mut table = Table::new(fields.columns());
    for (sequence, event) in (1..).zip(events) {
        let found = found(sequence, event);
        table.row(fields.cells(Row { sequence, received_at: &found.received_at, event_time: &found.event_time, event }));
    }
    table
}

#[test]
fn the_time_is_whole_and_empty_columns_are_left_out() {
    let mut writer = EventWriter::new(&[], Format::Table).unwrap();
    let table = table(&writer, &[event(""), event("")]);
    for cells in [40, 60, 80, 100, 160] {
        writer.shape = None;
        let lines = writer.lines(&table, cells);
        assert!(lines[0].starts_with("EVENT_TIME                USER"), "{cells}: {lines:?}");
        assert!(!lines[0].contains("RESOURCE_NAME") && !lines[0].contains("ERROR_CODE"), "{cells}: {lines:?}");
        assert!(lines[1].starts_with("2023-07-10T12:34:45.123Z  a-user-w"), "{cells}: {lines:?}");
        assert!(lines.iter().all(|line| width(line) <= cells), "{cells}: {lines:?}");
        assert_eq!(lines[0].contains("SOURCE_IP"), cells >= 80, "{cells}: {lines:?}");
    }
}

#[test]
fn a_column_that_fills_later_begins_the_table_anew() {
    let mut writer = EventWriter::new(&[], Format::Table).unwrap();
    let (empty, filled) = (table(&writer, &[event("")]), table(&writer, &[event("AccessDenied")]));
    assert_eq!(writer.lines(&empty, 160).len(), 2);
    assert_eq!(writer.lines(&empty, 160).len(), 1, "the heading stands once");
    let lines = writer.lines(&filled, 160);
    assert!(lines.len() == 2 && lines[0].ends_with("ERROR_CODE") && lines[1].ends_with("AccessDenied"), "{lines:?}");
    assert_eq!(writer.lines(&empty, 160).len(), 1);
    // What had no room stays away.
    writer.shape = None;
    assert_eq!([writer.lines(&filled, 60).len(), writer.lines(&filled, 60).len()], [2, 1]);
}

#[test]
fn columns_asked_for_are_shown_and_named_when_nothing_was_in_them() {
    let names = ["awsRegion".to_owned(), "requestParameters.buketName".to_owned(), "error_code".to_owned()];
    let mut writer = EventWriter::new(&names, Format::Table).unwrap();
    let lines = table(&writer, &[event("")]);
    assert!(writer.lines(&lines, 20)[0].contains("request"));
    let mut output = Output::new();
    assert_eq!(writer.never_filled().count(), 3);
    writer.write(&[found(1, &event("")), found(2, &event("AccessDenied"))], &mut output).unwrap();
    assert_eq!(writer.never_filled().collect::<Vec<_>>(), ["requestParameters.buketName"]);
}

#[test]
fn a_stream_has_its_columns_before_its_events() {
    let mut writer = EventWriter::streaming(&[], Format::Table).unwrap();
    let shape = writer.shape.as_ref().unwrap();
    let (columns, widths) = (shape.columns.clone(), shape.widths.clone());
    assert!(columns.len() >= 2 && widths[0] >= 20, "{columns:?} {widths:?}");
    let lines = table(&writer, &[event("")]);
    assert_eq!(writer.lines(&lines, 160).len(), 1, "the heading stood already");
    assert_eq!(writer.shape.unwrap().widths, widths);
}

#[test]
fn an_event_too_deep_to_read_still_has_a_row() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let found = Found { event: RawValue::from_string(deep).unwrap(), ..found(3, &Value::Null) };
    let mut writer = EventWriter::new(&["sequence".into(), "a.b".into()], Format::Table).unwrap();
    writer.write(&[found], &mut Output::new()).unwrap();
    assert_eq!(writer.filled, [true, false]);
}

#[test]
fn what_a_stream_does_not_say_is_empty() {
    let event = event("");
    let fields = Fields::parse(&["sequence", "received_at", "event_name"], default_schema().unwrap()).unwrap();
    let row = Row { sequence: 0, received_at: "", event_time: "", event: &event };
    assert_eq!(fields.cells(row), ["", "", "GetBucketAccelerateConfiguration"]);
}
