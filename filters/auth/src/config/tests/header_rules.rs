use super::*;

fn read_headers(headers: Value) -> Result<Policy, String> {
    let mut config = keys(json!([key(json!({}))]));
    config["upstream_headers"] = headers;
    read_in(&[], &config)
}

#[test]
fn headers_of_the_identity_have_names_of_their_own() {
    let policy = read_headers(json!({"tenant": "x-tenant", "credential_id": "x-gateway-caller"})).unwrap();
    assert_eq!(policy.identity_headers.names().collect::<Vec<_>>(), ["x-tenant", "x-gateway-caller"]);
    for (headers, expected) in [
        (json!({"tenant": "X-Tenant"}), "tenant: must be the name of a header, in lower case"),
        (json!({"tenant": ""}), "tenant: must be the name of a header, in lower case"),
        (json!({"tenant": ":path"}), "tenant: must be the name of a header, in lower case"),
        (json!({"tier": "a b"}), "tier: must be the name of a header, in lower case"),
        (
            json!({"tier": "authorization"}),
            "tier: has a meaning of its own on the way to the provider: choose another name",
        ),
        (
            json!({"tier": "content-length"}),
            "tier: has a meaning of its own on the way to the provider: choose another name",
        ),
        (
            json!({"tier": "x-gateway-cache"}),
            "tier: has a meaning of its own on the way to the provider: choose another name",
        ),
        (json!({"tier": "x_tier"}), "tier: may reach the provider as another header's name: write `-` for `_`"),
        (json!({"tenant": "x-who", "tier": "x-who"}), "tier: is given twice: choose another name"),
    ] {
        assert_eq!(read_headers(headers).err(), Some(format!("upstream_headers.{expected}")));
    }
}
