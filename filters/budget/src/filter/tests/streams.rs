//! Streamed answers: usage that cannot be dodged, and that the client does not notice.

use super::*;

fn asking(options: &str) -> Vec<u8> {
    String::from_utf8(CHAT_STREAM.to_vec())
        .unwrap()
        .replace(r#""stream":true"#, &format!(r#""stream":true{options}"#))
        .into_bytes()
}

#[test]
fn usage_is_asked_for_whatever_the_client_says_and_its_other_options_stay() {
    for options in [
        "",
        r#","stream_options":{}"#,
        r#","stream_options":null"#,
        r#","stream_options":{"include_usage":false}"#,
        r#","stream_options":{"include_obfuscation":false,"include_usage":false}"#,
        r#","stream_options":{"include_usage":true}"#,
    ] {
        let gateway = Gateway::new();
        let mut call = gateway.call("acme");
        let sent: serde_json::Value =
            serde_json::from_slice(&call.request(POST_CHAT, &asking(options)).unwrap()).unwrap();
        assert_eq!(sent["stream_options"]["include_usage"], true, "{options}");
        if options.contains("obfuscation") {
            assert_eq!(sent["stream_options"]["include_obfuscation"], false);
        }
        let (provider, hidden) = stream();
        let seen = call.response(SSE_200, provider.as_bytes());
        let wanted = if options.contains("true") { provider } else { hidden };
        assert_eq!(String::from_utf8(seen).unwrap(), wanted, "{options}");
        call.log();
        assert_eq!(gateway.used("acme"), REPORTED, "{options}");
    }
}

#[test]
fn other_requests_go_on_byte_for_byte() {
    for (path, body) in [
        ("/v1/chat/completions", CHAT),
        ("/v1/messages", CHAT_STREAM),
        ("/v1/chat/completions", &asking(r#","stream_options":{"include_usage":true}"#)),
    ] {
        let sent = Gateway::new().call("acme").request(&[(":method", "POST"), (":path", path)], body).unwrap();
        assert_eq!(sent, body, "{path}");
    }
}

#[test]
fn a_stream_cut_anywhere_is_charged_and_cleaned_alike() {
    let (provider, hidden) = stream();
    let bytes = provider.as_bytes();
    for cut in 0..=bytes.len() {
        let gateway = Gateway::new();
        let mut call = gateway.admitted("acme", CHAT_STREAM);
        call.response_headers(SSE_200, false);
        let mut seen = call.response_chunk(&bytes[..cut], false);
        seen.extend(call.response_chunk(&bytes[cut..], false));
        seen.extend(call.response_chunk(b"", true));
        call.log();
        assert_eq!(String::from_utf8_lossy(&seen), hidden, "cut at {cut}");
        assert_eq!(gateway.used("acme"), REPORTED, "cut at {cut}");
    }
}

#[test]
fn a_stream_byte_by_byte_is_charged_and_cleaned_alike() {
    let (provider, hidden) = stream();
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    let mut seen: Vec<u8> = provider.bytes().flat_map(|byte| call.response_chunk(&[byte], false)).collect();
    seen.extend(call.response_chunk(b"", true));
    call.log();
    assert_eq!((String::from_utf8(seen).unwrap(), gateway.used("acme")), (hidden, REPORTED));
}

#[test]
fn a_stream_whose_last_event_lacks_its_blank_line_is_whole_all_the_same() {
    let (provider, hidden) = stream();
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    let mut seen = call.response_chunk(provider.trim_end().as_bytes(), false);
    seen.extend(call.response_chunk(b"", true));
    call.log();
    assert_eq!((String::from_utf8(seen).unwrap().as_str(), gateway.used("acme")), (hidden.trim_end(), REPORTED));
}

#[test]
fn a_client_that_closes_right_after_the_last_event_is_charged_in_full() {
    // ai-gateway#2563: the OpenAI SDKs close after `[DONE]`, before the stream ends.
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    call.response_chunk(stream().0.as_bytes(), false);
    call.log();
    assert_eq!(gateway.used("acme"), REPORTED);
}

#[test]
fn a_client_that_hangs_up_is_charged_its_input_and_what_passed() {
    // higress#4145, litellm PR#33736: closing early was free.
    let gateway = Gateway::new();
    let mut last = 0;
    for chunks in 0..20 {
        let before = gateway.used("acme");
        let mut call = gateway.admitted("acme", CHAT_STREAM);
        call.response_headers(SSE_200, false);
        for _ in 0..chunks {
            call.response_chunk(content_chunk("twelve bytes").as_bytes(), false);
        }
        let handed_off = handoff::usage(&call.handoff).unwrap();
        call.log();
        let charged = gateway.used("acme") - before;
        assert_eq!(charged, handed_off.total(), "one record for budget and metrics");
        assert!(charged >= estimated_input(CHAT_STREAM) + 2 * chunks && charged >= last, "{chunks}: {charged}");
        assert!(charged <= estimated_input(CHAT_STREAM) + 4 * chunks + 1, "{chunks}: {charged}");
        last = charged;
    }
    assert_eq!(gateway.reserved("acme"), 0);
}

#[test]
fn anthropic_usage_is_the_sum_of_its_two_events() {
    // apisix#13662: only the output was counted.
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":50,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"A rather long piece of text that was sent to the client.\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
        "\"usage\":{\"output_tokens\":20}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let (cut, _) = events.split_once("event: message_delta").unwrap();
    for (sent, least, most) in [(events, 70, 70), (cut, 60, 70)] {
        let gateway = Gateway::new();
        let mut call = gateway.call("acme");
        call.request(&[(":method", "POST"), (":path", "/v1/messages")], CHAT_STREAM).unwrap();
        call.response_headers(SSE_200, false);
        assert_eq!(call.response_chunk(sent.as_bytes(), false), sent.as_bytes());
        call.log();
        assert!((least..=most).contains(&gateway.used("acme")), "{}", gateway.used("acme"));
    }
}

#[test]
fn a_replayed_stream_costs_nothing_and_its_usage_chunk_stays_hidden() {
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    handoff::set_reply(&mut call.handoff, "cache");
    let (provider, hidden) = stream();
    let length = provider.len().to_string();
    let seen = call.response(&[SSE_200, &[("content-length", &length)]].concat(), provider.as_bytes());
    assert_eq!(String::from_utf8(seen).unwrap(), hidden);
    assert_eq!(call.response_headers.get("content-length"), None, "the body became shorter");
    call.log();
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (0, 0));
    assert_eq!(handoff::usage(&call.handoff).unwrap().total(), 0);
}
