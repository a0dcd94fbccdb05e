use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn what_exists_is_kept_and_only_its_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let names = ["acme.key", "globex.key", "api-keys.json", "issuer-key.json", "jwks.json", "provider-key.yaml"];
    Secrets::create(dir.path(), None).unwrap();
    let before = names.map(read);
    Secrets::create(dir.path(), None).unwrap();
    assert_eq!(names.map(read), before);
    for name in names {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn pasted_entries_stay() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(dir.path(), None).unwrap();
    let mut entries: Vec<Value> = serde_json::from_str(&secrets.api_keys().unwrap()).unwrap();
    entries.push(key_entry("initech", "initech-1", "key"));
    fs::write(dir.path().join("api-keys.json"), Value::from(entries.clone()).to_string()).unwrap();
    Secrets::create(dir.path(), None).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&secrets.api_keys().unwrap()).unwrap(), entries);
}

#[test]
fn a_given_provider_key_replaces_the_stored_one() {
    let dir = tempfile::tempdir().unwrap();
    Secrets::create(dir.path(), None).unwrap();
    Secrets::create(dir.path(), Some("sk-\"given\"")).unwrap();
    let resource: Value =
        serde_norway::from_str(&fs::read_to_string(dir.path().join("provider-key.yaml")).unwrap()).unwrap();
    assert_eq!(resource["resources"][0]["generic_secret"]["secret"]["inline_string"], "sk-\"given\"");
}

#[test]
fn every_provider_gets_the_key_that_it_is_configured_with() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(dir.path(), None).unwrap();
    let providers = json!({"providers": {
        "a": {"credential": {"header": "api-key", "from_file": "a.yaml"}},
        "b": {"credential": {"header": "api-key", "from_env": "B_KEY"}},
        "c": {},
    }});
    secrets.create_provider_keys(&providers).unwrap();
    let variable = ("B_KEY".to_owned(), secrets.provider_key("B_KEY").unwrap());
    assert_eq!(secrets.variables(), [variable]);
    let resource = fs::read_to_string(dir.path().join("a.yaml")).unwrap();
    assert!(resource.contains(&secrets.provider_key("a").unwrap()), "{resource}");
    secrets.replace_provider_key("a", "another").unwrap();
    assert_eq!(secrets.provider_key("a").unwrap(), "another");
}

#[test]
fn the_entry_holds_the_digest_of_the_key() {
    let entry = key_entry("acme", "acme-1", "abc");
    assert_eq!(entry["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_published_key_verifies_tokens_and_holds_nothing_private() {
    use jwt_simple::prelude::{ECDSAP256PublicKeyLike as _, ES256PublicKey};
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(dir.path(), None).unwrap();
    let jwks: Value = serde_json::from_str(&secrets.jwks().unwrap()).unwrap();
    assert_eq!(jwks["keys"][0].get("d"), None);
    let key = ES256PublicKey::from_jwk(&jwks["keys"][0].to_string()).unwrap();
    let token = secrets.token("acme", Duration::from_secs(60)).unwrap();
    let claims = key.verify_token::<Value>(&token, None).unwrap();
    assert_eq!(claims.custom["tenant"], "acme");
    assert_eq!(claims.issuer.as_deref(), Some(ISSUER));
}

#[test]
fn tenant_names_are_plain_words() {
    assert!(["acme", "a.b-c_9"].iter().all(|name| check_tenant(name).is_ok()));
    assert!(["", "-a", "A", "a b", "ä", &"a".repeat(65)].iter().all(|name| check_tenant(name).is_err()));
}
