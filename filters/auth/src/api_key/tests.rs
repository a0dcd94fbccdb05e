use tollgate_core::Identity;

use super::*;
use crate::grant::Grant;

/// SHA-256("abc"), FIPS 180-2 appendix B.1.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn key(digest: KeyDigest, id: &str, validity: Validity) -> ApiKey {
    let identity = Identity { tenant: "acme".into(), credential_id: id.into(), tier: None };
    ApiKey::new(digest, validity, Caller::new(identity, Grant::default(), &BTreeMap::new()))
}

fn keys(list: &[(KeyDigest, &str)]) -> ApiKeys {
    let mut keys = ApiKeys::default();
    for (digest, id) in list {
        keys.insert(key(*digest, id, Validity::default()));
    }
    keys
}

fn id(keys: &ApiKeys, presented: &str) -> Option<String> {
    let caller = keys.find(&KeyDigest::of(presented))?.judge(Timestamp::default()).unwrap();
    Some(caller.identity.credential_id.clone())
}

#[test]
fn a_key_is_found_by_its_digest_alone() {
    let keys = keys(&[(KeyDigest::from_hex(ABC).unwrap(), "k")]);
    assert_eq!(id(&keys, "abc").as_deref(), Some("k"));
    assert_eq!(id(&keys, "abd"), None);
    assert_eq!(id(&keys, ABC), None, "the digest is not the key");
}

#[test]
fn digests_of_one_prefix_are_told_apart_by_all_their_bytes() {
    let mut twin = KeyDigest::of("abc");
    twin.0[31] ^= 1;
    assert_eq!(id(&keys(&[(twin, "twin")]), "abc"), None);
    assert_eq!(id(&keys(&[(twin, "twin"), (KeyDigest::of("abc"), "k")]), "abc").as_deref(), Some("k"));
}

#[test]
fn a_key_is_good_from_its_first_second_and_over_at_its_last() {
    let key = key(KeyDigest::of("abc"), "k", Validity { begin: 100, end: 200 });
    for (now, expected) in [
        (0, Some(Denial::KeyNotYetValid)),
        (99, Some(Denial::KeyNotYetValid)),
        (100, None),
        (199, None),
        (200, Some(Denial::KeyExpired)),
        (u64::MAX / 2_000_000_000, Some(Denial::KeyExpired)),
    ] {
        assert_eq!(key.judge(Timestamp::from_secs(now)).err(), expected, "{now}");
    }
}

#[test]
fn hex_is_read_in_either_case_and_nothing_else_is() {
    assert!(KeyDigest::from_hex(&ABC.to_uppercase()) == KeyDigest::from_hex(ABC));
    for bad in [
        "",
        "ba",
        &ABC.replacen("ba", "b", 1),
        &format!("{ABC}00"),
        &ABC.replacen('b', "g", 1),
        &ABC.replacen("ba", "+a", 1),
    ] {
        assert!(KeyDigest::from_hex(bad).is_none(), "{bad}");
    }
}
