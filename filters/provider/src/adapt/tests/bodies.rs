//! Bodies are read only where that changes something, and a request never runs another model than was decided on.

use tollgate_core::Stream;

use super::*;

#[test]
fn a_body_that_needs_no_change_is_not_read() {
    for (provider, asked, model, is_read) in [
        ("openai", "gpt", "gpt", false),
        ("plain", "gpt", "gpt", false),
        ("plain", "fast", "gpt", true),
        ("plain", "GPT", "gpt", true),
        ("env", "gpt", "gpt", true),
        ("env", "image", "image", false),
        ("claude", "gpt", "gpt", true),
        ("azure", "unlisted", "unlisted", true),
    ] {
        let mut world = World::chat(&format!(r#"{{"model":"{asked}"}}"#));
        world.route(Some(asked), Some(model));
        let sent = world.attempt(provider).unwrap();
        assert_eq!(sent.call.stream.reads_request_body(), is_read, "{provider} {asked}");
    }
}

#[test]
fn a_body_that_cannot_name_the_model_is_refused() {
    for (content_type, body) in [
        ("application/json", ""),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{}"),
        ("application/json", r#"{"model":null}"#),
        ("application/json", r#"{"model":["gpt"]}"#),
        ("application/json", r#"{"model":"gpt","model":"gpt"}"#),
        ("application/json", r#"{"model":"gpt","Model":"dear"}"#),
        ("text/plain", "model=gpt"),
        ("multipart/form-data; boundary=b", "--b\r\n\r\n--b--"),
    ] {
        for path in ["/v1/chat/completions", "/v1/images/generations", "/v1/messages"] {
            let head = [(":method", "POST"), (":path", path), (":authority", "g"), ("content-type", content_type)];
            let reply = World::new(&head, Some(body)).attempt("env").unwrap_err();
            assert_eq!(reply.status, 400, "{path} {content_type} {body}");
            let is_anthropic = String::from_utf8_lossy(&reply.body).starts_with(r#"{"type":"error""#);
            assert_eq!(is_anthropic, path == "/v1/messages");
            // Where the provider has the caller's name for it, nothing has to change.
            assert_eq!(World::new(&head, Some(body)).attempt("openai").unwrap().text(), body);
        }
    }
    // A form may be JSON as well: where only JSON is taken it is read, elsewhere never.
    for (path, status) in [("/v1/chat/completions", None), ("/v1/images/generations", Some(400))] {
        let head = [(":method", "POST"), (":path", path), (":authority", "g"), ("content-type", "Multipart/x")];
        let attempt = World::new(&head, Some(r#"{"model":"gpt"}"#)).attempt("env");
        assert_eq!(attempt.as_ref().err().map(|reply| reply.status), status, "{path}");
        assert!(attempt.map_or(true, |sent| sent.text() == r#"{"model":"gpt/e"}"#));
    }
    let reply = World::chat(r#"{"model":"gpt","model":"gpt"}"#).attempt("env").unwrap_err();
    assert_eq!(message(&reply), "400 `model` is given twice: give it once.");
    let reply = World::chat("{}").attempt("env").unwrap_err();
    assert!(message(&reply).starts_with("400 The model of this request is served under another name"));
    let get = [(":method", "GET"), (":path", "/v1/x"), (":authority", "g")];
    assert_eq!(World::new(&get, None).attempt("env").unwrap_err().status, 400);
    let upgrade = [(":method", "GET"), (":path", "/v1/x"), (":authority", "g"), ("upgrade", "websocket")];
    assert_eq!(World::new(&upgrade, Some("\u{1}")).attempt("env").unwrap_err().status, 400);
}

#[test]
fn a_path_that_names_the_model_stands_above_the_body() {
    let path = "/openai/deployments/gpt/chat/completions";
    for (body, expected) in [
        (r#"{"model":"other","a":1}"#, r#"{"model":"gpt/e","a":1}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{"model":7}"#, r#"{"model":7}"#),
    ] {
        let head = [(":method", "POST"), (":path", path), (":authority", "g"), ("content-type", "application/json")];
        assert_eq!(World::new(&head, Some(body)).attempt("env").unwrap().text(), expected);
    }
    // Also where the path has the right name already.
    let head = [(":method", "POST"), (":path", path), (":authority", "g"), ("content-type", "multipart/x")];
    for (body, expected) in
        [(r#"{"model":"dear","a":1}"#, r#"{"model":"gpt","a":1}"#), (r#"{"model":"gpt"}"#, r#"{"model":"gpt"}"#)]
    {
        let sent = World::new(&head, Some(body)).attempt("openai").unwrap();
        assert_eq!((sent.text(), sent.header(":path")), (expected, Some(path)));
    }
    // A query does not, where an API goes by its body.
    let head = [(":method", "POST"), (":path", "/v1/chat/completions?model=gpt"), (":authority", "g")];
    let sent = World::new(&head, Some(r#"{"model":"gpt"}"#)).attempt("env").unwrap();
    assert_eq!(sent.text(), r#"{"model":"gpt/e"}"#);
    assert_eq!(sent.header(":path"), Some("/v1/chat/completions?model=gpt&region=eu"));
    // Gemini's body has no say at all.
    let head = [(":method", "POST"), (":path", "/v1beta/models/gpt:generateContent"), (":authority", "g")];
    let body = r#"{"model":"models/gpt"}"#;
    assert_eq!(World::new(&head, Some(body)).attempt("env").unwrap().text(), body);
}

#[test]
fn members_are_set_and_dropped_wherever_there_is_an_object() {
    let head = |path, content_type| {
        [(":method", "POST"), (":path", path), (":authority", "g"), ("content-type", content_type)]
    };
    for (path, content_type, body, expected) in [
        ("/v1/x", "application/json", r#"{"user":1}"#, Some(r#"{"store":false}"#)),
        ("/v1/x", "text/plain", r#"{"user":1}"#, Some(r#"{"store":false}"#)),
        ("/v1/x", "application/octet-stream", "\u{0}bytes", Some("\u{0}bytes")),
        ("/v1/x", "multipart/form-data; boundary=b", r#"{"user":1}"#, Some(r#"{"user":1}"#)),
        ("/v1/chat/completions", "application/json", r#"{"store":true,"x":NaN}"#, None),
        ("/v1beta/models/m:generateContent", "application/json", "{} x", None),
    ] {
        let mut world = World::new(&head(path, content_type), Some(body));
        world.route(None, None);
        match (world.attempt("azure"), expected) {
            (Ok(sent), Some(expected)) => assert_eq!(sent.text(), expected, "{path} {content_type}"),
            (Err(reply), None) => assert_eq!(reply.status, 400),
            (result, _) => panic!("{path} {body}: {result:?}"),
        }
    }
    // What a WebSocket carries is no body, and never ends.
    let mut world =
        World::new(&[(":method", "GET"), (":path", "/v1/realtime"), ("upgrade", "websocket")], Some("{}"));
    world.route(None, None);
    let sent = world.attempt("azure").unwrap();
    assert!(!sent.call.stream.reads_request_body() && sent.text() == "{}");
    // A name in doubt in the body of a deployment decides nothing, but what is forbidden stays forbidden.
    let head = head("/openai/deployments/gpt/chat/completions", "application/json");
    let body = r#"{"Model":"x","store":true}"#;
    assert_eq!(World::new(&head, Some(body)).attempt("azure").unwrap().text(), r#"{"Model":"x","store":false}"#);
}

#[test]
fn a_body_that_is_too_long_is_refused_where_it_must_be_changed() {
    let long = format!(r#"{{"model":"gpt","x":"{}"}}"#, "x".repeat(5_000));
    let reply = World::chat(&long).attempt("env").unwrap_err();
    assert_eq!(message(&reply), "413 The request body is longer than 4096 bytes.");
    assert_eq!(World::chat(&long).attempt("openai").unwrap().text(), long);
    let mut world = World::chat(&long);
    world.route(None, None);
    assert_eq!(world.attempt("azure").unwrap_err().status, 413);
    let head = [(":method", "POST"), (":path", "/v1/files"), (":authority", "g")];
    let mut world = World::new(&head, Some(&long));
    world.route(None, None);
    let sent = world.attempt("azure").unwrap();
    assert_eq!((sent.text(), sent.header("content-length")), (&*long, Some(long.len().to_string().as_str())));
}

#[test]
fn names_of_any_letters_are_written_as_json_and_as_path() {
    let name = "a \"b\"/\\\u{e9}?#\u{1f600}";
    let mut config = config();
    config["providers"]["env"]["models"]["gpt"] = name.into();
    config["providers"]["env"]["paths"] = json!({"/v1": "/m/{model}"});
    let mut world = World::chat(r#"{"model":"gpt"}"#);
    world.filter = world.proxy.configure_root("adapt", &config.to_string()).unwrap();
    let sent = world.attempt("env").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), json!({"model": name}));
    let path = "/m/a%20%22b%22%2F%5C%C3%A9%3F%23%F0%9F%98%80/chat/completions?region=eu";
    assert_eq!(sent.header(":path"), Some(path));
}
