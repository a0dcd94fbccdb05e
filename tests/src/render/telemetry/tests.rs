use super::*;

const GATEWAY: &str = include_str!("../../../../envoy/envoy.yaml");

/// The connection manager and the collector's cluster.
fn put_into(telemetry: &Telemetry) -> [Value; 2] {
    let mut root = serde_norway::from_str(GATEWAY).unwrap();
    put(&mut root, telemetry).unwrap();
    let resources = root.get_mut("static_resources").unwrap();
    let cluster = named(resources, "clusters", CLUSTER).unwrap().clone();
    [manager(named(resources, "listeners", "gateway").unwrap()).unwrap().clone(), cluster]
}

fn told(is_for_1_36: bool) -> Telemetry {
    Telemetry { collector: "otel.example:4317".parse().unwrap(), sampled: 0.25, is_for_1_36 }
}

/// The logger's configuration.
fn logger(manager: &mut Value) -> Value {
    let loggers = loggers(manager).unwrap();
    assert!(loggers.iter().any(|logger| name_of(logger) == "envoy.access_loggers.stdout"), "the access log stays");
    loggers.last().unwrap().get("typed_config").unwrap().clone()
}

fn names(list: &Value, name: &str) -> Vec<String> {
    let members = list.as_sequence().unwrap().iter();
    members.map(|member| member.get(name).unwrap().as_str().unwrap().to_owned()).collect()
}

#[test]
fn log_records_and_spans_of_a_gateway_tell_the_same() {
    let [mut manager, cluster] = put_into(&told(false));
    let (logger, tracing) = (logger(&mut manager), manager.get("tracing").unwrap());
    let tags = names(logger.get("custom_tags").unwrap(), "tag");
    assert!(tags.contains(&"gen_ai.usage.input_tokens".into()) && tags.contains(&"gateway.tenant".into()));
    assert_eq!(names(tracing.get("custom_tags").unwrap(), "tag"), tags);
    assert!(serde_norway::to_string(tracing).unwrap().contains("numerator: 250000\n"));
    let text = serde_norway::to_string(&cluster).unwrap();
    assert!(text.contains("address: otel.example") && text.contains("port_value: 4317"), "{text}");
    assert!(serde_norway::to_string(&manager).unwrap().contains(r#""gen_ai_attributes":true"#));
}

#[test]
fn envoy_1_36_gets_the_same_as_attributes_of_log_records() {
    let [mut manager, _] = put_into(&told(true));
    let logger = logger(&mut manager);
    let [mut newer, _] = put_into(&told(false));
    let tags = names(self::logger(&mut newer).get("custom_tags").unwrap(), "tag");
    assert_eq!(names(logger.get("attributes").unwrap().get("values").unwrap(), "key"), tags);
    let common = logger.get("common_config").unwrap();
    assert_eq!(common.get("log_name").and_then(Value::as_str), Some("tollgate"));
    assert!(common.get("grpc_service").is_some() && logger.get("grpc_service").is_none());
    assert!(manager.get("tracing").unwrap().get("custom_tags").is_none());
}

#[test]
fn no_header_query_or_body_of_a_call_is_told() {
    let text = fs::read_to_string(repository().join(FILE)).unwrap();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for operator in [
            "%REQ(",
            "%RESP(",
            "%PATH",
            "%REQUEST_HEADER",
            "%LOCAL_REPLY",
            "wasm.tollgate_identity",
            "wasm.tollgate_metadata",
        ] {
            let rest = line.replace("%REQ(:METHOD)%", "");
            assert!(!rest.contains(operator), "{operator} in {line}");
        }
    }
}
