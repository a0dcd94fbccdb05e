//! Every field reaches the provider; what cannot work is refused where it stands.

use tollgate_core::config;
use tollgate_fakehost::FakeEnvironment;

use super::*;

const FULL: &str = r#"{
  "url": "https://eu.example.com:8443",
  "credential": { "header": "Api-Key", "scheme": "Bearer", "from_env": "EU_KEY" },
  "region": "eu-west-1",
  "models": { "gpt-4.1": "gpt-4.1-2025" },
  "stand_ins": { "claude": "gpt-4.1", "llama": "mistral" },
  "paths": { "/v1": "/openai/deployments/{model}", "/v1/files/": "/files", "/": "/" },
  "query": { "api-version": "1" },
  "headers": { "OpenAI-Organization": "org 1" },
  "body": { "set": { "store": false, "a": [1, {"b": null}] }, "drop": ["user"] },
  "health_check": "/health",
  "ca_file": "/etc/ca.crt",
  "http2": true
}"#;

fn environment(value: &str) -> FakeEnvironment {
    FakeEnvironment([("EU_KEY".to_owned(), value.to_owned())].into())
}

fn providers(spec: &str, env: &FakeEnvironment, wants_secrets: bool) -> Result<Providers, ConfigError> {
    Providers::new(config::parse(format!("{{\"eu\":{spec}}}").as_bytes())?, env, wants_secrets)
}

fn refused(fields: &str) -> String {
    let separator = if fields.is_empty() { "" } else { "," };
    let spec = format!(r#"{{"url":"https://h"{separator}{fields}}}"#);
    providers(&spec, &environment("k"), true).expect_err(fields).to_string()
}

#[test]
fn every_field_reaches_the_provider() {
    let all = providers(FULL, &environment(" sk-1\n"), true).unwrap();
    let eu = all.get("eu").unwrap();
    assert_eq!((eu.name.as_str(), eu.authority.as_str()), ("eu", "eu.example.com:8443"));
    let credential = eu.credential.as_ref().unwrap();
    assert_eq!((credential.header.as_str(), credential.scheme.as_str()), ("api-key", "Bearer "));
    assert!(matches!(&credential.source, Source::Env(Some(secret)) if secret.expose() == "sk-1"));
    let text = |text: &str| Piece::Text(text.into());
    assert_eq!(
        eu.paths,
        [
            PathRule { prefix: "/v1/files".into(), replacement: vec![text("/files")] },
            PathRule { prefix: "/v1".into(), replacement: vec![text("/openai/deployments/"), Piece::Model] },
            PathRule { prefix: String::new(), replacement: vec![] },
        ]
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(eu.query, [pair("api-version", "1")]);
    assert_eq!(eu.headers, [pair("openai-organization", "org 1")]);
    assert_eq!(eu.set, [pair("a", r#"[1,{"b":null}]"#), pair("store", "false")]);
    assert_eq!(eu.drop, ["user"]);
    assert!(all.get("us").is_none());
}

#[test]
fn a_model_has_the_providers_name_or_another_stands_in_for_it() {
    let all = providers(FULL, &environment("k"), true).unwrap();
    let eu = all.get("eu").unwrap();
    for (decided, model, name, stands_in) in [
        ("gpt-4.1", "gpt-4.1", "gpt-4.1-2025", false),
        ("claude", "gpt-4.1", "gpt-4.1-2025", true),
        ("llama", "mistral", "mistral", true),
        ("GPT-4.1", "GPT-4.1", "GPT-4.1", false),
        ("", "", "", false),
    ] {
        assert_eq!(eu.serves(decided), Served { model, name, stands_in }, "{decided}");
    }
    let mut models: Vec<_> = eu.models().collect();
    models.sort_unstable();
    models.dedup();
    assert_eq!(models, ["claude", "gpt-4.1", "llama", "mistral"]);
}

#[test]
fn who_wants_no_secrets_does_not_ask_for_them() {
    let all = providers(FULL, &FakeEnvironment::default(), false).unwrap();
    assert_eq!(all.get("eu").unwrap().credential.as_ref().unwrap().source, Source::Env(None));
}

#[test]
fn a_secret_that_is_missing_or_odd_is_refused_and_never_shown() {
    let path = "providers.eu.credential.from_env: ";
    let error = providers(FULL, &FakeEnvironment::default(), true).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{path}the environment variable EU_KEY is not set: give it to Envoy and to the filter's VM")
    );
    for (value, problem) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("sk-1 sk-2", "must hold 1 to 8192 visible ASCII characters"),
        ("sk-1\u{e9}", "must hold"),
        ("sk-1\r\nx: y", "must hold"),
        (&"sk".repeat(5_000), "must hold"),
    ] {
        let error = providers(FULL, &environment(value), true).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}the environment variable EU_KEY {problem}")), "{error}");
        assert!(!error.contains("sk"));
    }
    let shown = format!("{:?}", providers(FULL, &environment("sk-1"), true).unwrap());
    assert!(!shown.contains("sk-1"), "{shown}");
}

#[test]
fn numbers_of_providers_and_their_names_are_bounded() {
    let none = FakeEnvironment::default();
    let named = |names: &[String]| {
        let specs = names.iter().map(|name| format!(r#"{name:?}:{{"url":"http://h"}}"#)).collect::<Vec<_>>();
        Providers::new(config::parse(format!("{{{}}}", specs.join(",")).as_bytes()).unwrap(), &none, true)
    };
    let many = |count: usize| (0..count).map(|index| format!("p-{index}")).collect::<Vec<_>>();
    assert_eq!(named(&many(64)).unwrap().iter().count(), 64);
    for count in [0, 65] {
        assert_eq!(named(&many(count)).unwrap_err().to_string(), "providers: give 1 to 64 providers");
    }
    for name in ["", "A", "a_b", "a b", "a.b", &"a".repeat(41)] {
        let error = named(&[name.to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "providers: a provider's name must be 1 to 40 of `a-z`, `0-9` and `-`");
    }
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    for (fields, expected) in [
        (r#""credential":{"header":"authorization"}"#, "credential: give exactly one of `from_file` and `from_env`"),
        (
            r#""credential":{"header":"authorization","from_file":"f","from_env":"EU_KEY"}"#,
            "credential: give exactly one",
        ),
        (r#""credential":{"header":"host","from_file":"f"}"#, "credential.header: must be a plain header"),
        (r#""credential":{"header":":path","from_file":"f"}"#, "credential.header: must be"),
        (r#""credential":{"header":"X-Gateway-Key","from_file":"f"}"#, "credential.header: must be"),
        (r#""credential":{"header":"","from_file":"f"}"#, "credential.header: must be"),
        (r#""credential":{"header":"x","scheme":"a b","from_file":"f"}"#, "credential.scheme: must be one word"),
        (r#""credential":{"header":"x","from_file":"../f"}"#, "credential.from_file: must be the name of a file"),
        (r#""credential":{"header":"x","from_file":".f"}"#, "credential.from_file: must be"),
        (r#""credential":{"header":"x","from_env":"sk-1"}"#, "credential.from_env: must be the name of an"),
        (r#""models":{"a*":"b"}"#, "models: a name of a model must be 1 to 256 bytes"),
        (r#""models":{"a":""}"#, "models.a: must be 1 to 256 bytes"),
        (r#""models":{"a":" b"}"#, "models.a: must be"),
        (r#""stand_ins":{"a":"a"}"#, "stand_ins.a: stands in for itself"),
        (r#""stand_ins":{"a":"b"},"models":{"a":"c"}"#, "stand_ins.a: stands in `models` too"),
        (r#""stand_ins":{"a":"b","b":"c"}"#, "stand_ins.a: what stands in is not run either"),
        (r#""paths":{"v1":"/x"}"#, "paths: a prefix must be whole segments"),
        (r#""paths":{"/v1/..":"/x"}"#, "paths: a prefix must be"),
        (r#""paths":{"//v1":"/x"}"#, "paths: a prefix must be"),
        (r#""paths":{"/v1":"/x","/v1/":"/y"}"#, "paths./v1/: stands here twice"),
        (r#""paths":{"/v1":"x"}"#, "paths./v1: must be a path"),
        (r#""paths":{"/v1":"/x?y"}"#, "paths./v1: must be a path"),
        (r#""paths":{"/v1":"/{models}"}"#, "paths./v1: must be a path"),
        (r#""paths":{"/v1":"/a/%2e%2e"}"#, "paths./v1: must be a path"),
        (r#""paths":{"/v1":"/a%2"}"#, "paths./v1: must be a path"),
        (r#""paths":{"/v1":"/a b"}"#, "paths./v1: must be a path"),
        (r#""query":{"":"x"}"#, "query: a parameter's name must be text"),
        (r#""query":{"Key":"x"}"#, "query: `key` carries a credential"),
        (r#""query":{"a":"x\n"}"#, "query.a: must be text of one line"),
        (r#""query":{"a":"x","A":"y"}"#, "query.a: stands here twice"),
        (r#""headers":{"Authorization":"x"}"#, "headers: `authorization` carries a credential"),
        (
            r#""headers":{"x-k":"x"},"credential":{"header":"X-K","from_file":"f"}"#,
            "headers: `x-k` carries a credential",
        ),
        (r#""headers":{"Host":"x"}"#, "headers: a header here must be a plain name"),
        (r#""headers":{"te":"x"}"#, "headers: a header here must be"),
        (r#""headers":{"x-gateway-pool":"x"}"#, "headers: a header here must be"),
        (r#""headers":{":path":"x"}"#, "headers: a header here must be"),
        (r#""headers":{"a b":"x"}"#, "headers: a header here must be"),
        (r#""headers":{"a":"x\r\ny: z"}"#, "headers.a: must be 1 to 4096 visible"),
        (r#""headers":{"a":""}"#, "headers.a: must be"),
        (r#""headers":{"a":"x","A":"y"}"#, "headers.a: stands here twice"),
        (r#""body":{"set":{"Model":"x"}}"#, "body.set: `model` cannot be changed here"),
        (r#""body":{"drop":["stream"]}"#, "body.drop: `stream` cannot be changed here"),
        (r#""body":{"drop":[""]}"#, "body.drop: a member's name must be"),
        (r#""body":{"drop":["a","A"]}"#, "body.drop: the same name stands here twice"),
        (r#""body":{"set":{"a":1},"drop":["b","A"]}"#, "body.drop[1]: stands in `set` too"),
        (r#""region":"a b""#, "region: must be"),
        (r#""health_check":"health""#, "health_check: must be a path"),
        (r#""ca_file":"ca.crt""#, "ca_file: must be the whole path"),
    ] {
        let error = refused(fields);
        assert!(error.starts_with(&format!("providers.eu.{expected}")), "{fields}: {error}");
    }
    for fields in [r#""models":{"a":"b","a":"c"}"#, r#""body":{"set":{"a":1,"a":2}}"#] {
        assert!(refused(fields).contains("the same name stands here twice"), "{fields}");
    }
    assert!(refused(r#""uri":"x""#).contains("unknown field `uri`"));
}

#[test]
fn a_header_is_one_providers_credential_or_anothers_setting_but_not_both() {
    let specs = r#"{
      "a": {"url": "https://a.example", "credential": {"header": "X-K", "from_file": "a.yaml"}},
      "b": {"url": "https://b.example", "headers": {"x-k": "v"}}
    }"#;
    let error = Providers::new(config::parse(specs.as_bytes()).unwrap(), &environment(""), false).unwrap_err();
    let expected = "providers.b.headers: `x-k` carries the credential of provider `a`: use another header";
    assert_eq!(error.to_string(), expected);
}
