use proptest::prelude::*;

use super::*;

/// The data of every whole event.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut parser, mut events, mut data) = (SseParser::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        while let Some(item) = parser.next(&mut rest) {
            match item {
                Item::Data(bytes) => data.extend_from_slice(bytes),
                Item::Event => events.push(std::mem::take(&mut data)),
                Item::Blank | Item::LateLineFeed => {}
            }
        }
        assert!(rest.is_empty(), "all bytes are taken");
    }
    events
}

fn texts(stream: &[u8]) -> Vec<String> {
    events([stream]).into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
}

/// The standard's algorithm, word by word over the whole stream: the slow and plain model.
fn model(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(BOM).unwrap_or(stream);
    let (mut lines, mut line, mut rest) = (Vec::new(), Vec::new(), stream.iter().peekable());
    while let Some(&byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if(|next| **next == b'\n');
                lines.push(std::mem::take(&mut line));
            }
            b'\n' => lines.push(std::mem::take(&mut line)),
            _ => line.push(byte),
        }
    }
    let (mut events, mut data): (_, Vec<u8>) = (Vec::new(), Vec::new());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if line.is_empty() {
            if data.pop().is_some() {
                events.push(std::mem::take(&mut data));
            }
        } else if name == b"data" {
            data.extend_from_slice(value);
            data.push(b'\n');
        }
    }
    events
}

#[test]
fn the_examples_of_the_standard_hold() {
    assert_eq!(texts(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(
        texts(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"),
        ["first event", "second event"]
    );
    assert_eq!(texts(b"data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(texts(b"data:test\n\ndata: test\n\n"), ["test", "test"]);
}

#[test]
fn any_line_end_and_a_byte_order_mark_are_taken() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\rdata: b\r\r",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "\u{feff}data: a\n\ndata: b\r\n\n",
    ] {
        assert_eq!(texts(stream.as_bytes()), ["a", "b"], "{stream:?}");
    }
}

#[test]
fn one_crlf_does_not_end_an_event() {
    assert_eq!(texts(b"event: x\r\ndata: a\r\ndata: b\r\n\r\n"), ["a\nb"]);
}

#[test]
fn other_fields_are_no_data() {
    assert_eq!(texts(b"dat: 1\ndataa: 2\nDATA: 3\n data: 4\n:data: 5\nevent: data\n\n\n"), [""; 0]);
}

proptest! {
    #[test]
    fn any_stream_reads_as_the_standard_says(stream in "(data|:|: |\r|\n|\r\n|a|é|😀|event|\u{feff}| ){0,40}") {
        let expected = model(stream.as_bytes());
        for at in 0..=stream.len() {
            let (left, right) = stream.as_bytes().split_at(at);
            prop_assert_eq!(&events([left, right]), &expected);
        }
        prop_assert_eq!(events(stream.as_bytes().chunks(1)), expected);
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
        prop_assert_eq!(events(bytes.chunks(piece)), model(&bytes));
    }
}
