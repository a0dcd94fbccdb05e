//! A JSON Web Key Set: no key serves what was not asked for, and none verifies a known token but that token's own key.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use tollgate_core::config;

use super::canary::{is_discreet, planted};
use super::known::{Good, algorithms, known};
use super::{Promise, hold};
use crate::jwt::{Algorithm, Jwks, Jws, Key, KeySet, Kind, MAX_KEYS, read_keys, usable_keys};
use crate::vectors::{NoProxy, OverSpki};

/// As many keys as are tried for one token.
const ALL_TRIED: usize = 16;

/// Takes the bytes for the set.
pub fn key_set(bytes: &[u8]) -> Promise {
    let known = known()?;
    let set: Jwks = match config::parse(bytes) {
        Ok(set) => set,
        Err(error) => return is_discreet(&error),
    };
    let pick = bytes.iter().map(|byte| usize::from(*byte)).sum();
    let with_canary = Jwks { keys: set.keys.iter().map(|key| planted(key, pick)).collect() };
    let public = algorithms(false);
    let one = public.get(pick % public.len().max(1)).copied().into_iter().collect();
    for asked in [one, public, algorithms(true)] {
        // A variable may hold shared secrets, the document may not.
        let is_public = asked.iter().all(|algorithm| algorithm.kind() != Kind::Secret);
        read_keys(&with_canary, &asked, "jwks", is_public).err().as_ref().map_or(Ok(()), is_discreet)?;
        match read_keys(&set, &asked, "jwks", is_public) {
            Ok(keys) => {
                let is_refused = read_keys(&set, &asked, "jwks", true).is_err();
                hold(is_public || is_refused || keys.keys.is_empty(), || "a secret in the document was read".into())?;
                hold(keys.keys.len() <= set.keys.len(), || "more keys than there are".into())?;
                keys.keys.iter().try_for_each(|key| is_bound(key, &asked))?;
                has_no_private_key(&set, &keys, is_public)?;
                verifies_its_own(&set, &keys, &known.good, pick)?;
            }
            Err(error) => is_discreet(&error)?,
        }
    }
    fetched(&set, &known.good, pick)
}

/// The same set out of a server's hands: sound public keys come of it, or none.
fn fetched(set: &Jwks, good: &[Good], pick: usize) -> Promise {
    let asked = algorithms(false);
    let Ok(keys) = usable_keys(set, &asked) else { return Ok(()) };
    hold(keys.keys.len() <= MAX_KEYS, || "too many keys".into())?;
    hold(keys.keys.is_empty() == set.keys.is_empty(), || "a set of keys that say nothing was taken".into())?;
    keys.keys.iter().try_for_each(|key| is_bound(key, &asked))?;
    has_no_private_key(set, &keys, true)?;
    verifies_its_own(set, &keys, good, pick)
}

/// To algorithms that were asked for, one at least, all of one kind.
pub(super) fn is_bound(key: &Key, asked: &[Algorithm]) -> Promise {
    let served: Vec<&Algorithm> = Algorithm::ALL.iter().filter(|algorithm| key.serves(**algorithm)).collect();
    let is_asked = served.iter().all(|algorithm| asked.contains(algorithm));
    let kind = served.first().map(|algorithm| algorithm.kind());
    let is_one_kind = kind.is_some() && served.iter().all(|algorithm| Some(algorithm.kind()) == kind);
    hold(is_asked && is_one_kind, || format!("asked for {asked:?}, a key serves {served:?}"))
}

fn has_no_private_key(set: &Jwks, keys: &KeySet, is_public: bool) -> Promise {
    let without = set.keys.iter().filter(|key| key.get("d").is_none()).count();
    hold(!is_public || keys.keys.len() <= without, || "a private key was read".into())
}

/// One of the tokens that the keys could have signed.
pub(super) fn verifies_its_own(set: &Jwks, keys: &KeySet, good: &[Good], pick: usize) -> Promise {
    let is_served = |good: &&Good| keys.keys.iter().any(|key| key.serves(good.algorithm));
    let served: Vec<&Good> = good.iter().filter(is_served).collect();
    let Some(good) = served.get(pick.checked_rem(served.len()).unwrap_or_default()) else { return Ok(()) };
    let jws = Jws::parse(&good.token).map_err(|denial| format!("{denial:?}"))?;
    let (here, there) = (keys.check_signature(&jws, &NoProxy), keys.check_signature(&jws, &OverSpki));
    hold(here == there, || format!("module: {here:?}, proxy: {there:?}"))?;
    let is_there = set.keys.iter().any(|key| is_same(key, &good.key));
    hold(here.is_err() || is_there, || format!("a key verifies a token of another: {:?}", good.algorithm))?;
    let must = set.keys.len() <= ALL_TRIED && set.keys.contains(&good.key);
    hold(here.is_ok() || !must, || format!("a key does not verify its own token: {here:?}"))
}

/// Whether two keys are made of the same numbers, however they are written. Zeros at either end make no other key: not of
/// an RSA modulus, nor of an HMAC secret.
fn is_same(key: &Value, other: &Value) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let number = |key: &Value, name: &str| {
        let bytes =
            key.get(name).and_then(Value::as_str).and_then(|text| LENIENT.decode(text).ok()).unwrap_or_default();
        let is_digit = |byte: &u8| *byte != 0;
        let begin = bytes.iter().position(is_digit).unwrap_or_default();
        let end = bytes.iter().rposition(is_digit).map_or(0, |last| last + 1);
        bytes.get(begin..end).map(<[u8]>::to_vec).unwrap_or_default()
    };
    ["k", "n", "x", "y"].iter().all(|name| other.get(name).is_none() || number(key, name) == number(other, name))
}
