//! A credential that may be a token: nothing but a known token verifies, and what it says of itself is said alike.

use super::known::{Good, Known, Trust, known};
use super::{Promise, hold};
use crate::credential::MAX_LEN;
use crate::denial::Denial;
use crate::jwt::{Claims, Jws};
use crate::vectors::{NoProxy, OverSpki};

/// Takes the bytes for a credential.
pub fn token(bytes: &[u8]) -> Promise {
    let known = known()?;
    let Ok(text) = str::from_utf8(bytes) else { return Ok(()) };
    form(text)?;
    for trust in [&known.public, &known.secret] {
        nothing_is_forged(&known, trust, text, both_ways(trust, text)?)?;
    }
    Ok(())
}

/// Whether the signature holds. Judged by the module or by the proxy, it comes to the same.
fn both_ways(trust: &Trust, text: &str) -> Result<bool, String> {
    let Ok(jws) = Jws::parse(text) else { return Ok(false) };
    let (here, there) = (trust.keys.check_signature(&jws, &NoProxy), trust.keys.check_signature(&jws, &OverSpki));
    hold(here == there, || format!("module: {here:?}, proxy: {there:?}"))?;
    Ok(here.is_ok())
}

/// Only what was signed verifies, and all of it does.
pub(super) fn nothing_is_forged(known: &Known, trust: &Trust, text: &str, holds: bool) -> Promise {
    let is_read = trust.policy.tokens.read(text, &NoProxy).is_ok();
    hold(holds || !is_read, || "a token was read whose signature does not hold".into())?;
    let (signed, _) = text.rsplit_once('.').unwrap_or_default();
    let is_origin = |good: &&Good| good.signed() == signed && trust.keys.algorithms.contains(&good.algorithm);
    let origins: Vec<&Good> = known.good.iter().filter(is_origin).collect();
    let is_known = origins.iter().any(|good| good.token == text);
    hold(holds || !is_known, || "a good token does not verify".into())?;
    hold(!holds || !origins.is_empty(), || "a token verifies that nobody signed".into())?;
    // An ECDSA signature has a mirror, and the vectors hold two salts of PS* for one text. All others are the only ones.
    let has_sibling = |good: &&Good| !matches!(good.algorithm.as_str().get(..2), Some("RS" | "HS" | "Ed"));
    hold(!holds || is_known || origins.iter().any(has_sibling), || "a signature verifies that nobody made".into())
}

/// What is taken apart has three parts in strict base64url; claims read alike by every accessor.
fn form(text: &str) -> Promise {
    let jws = match Jws::parse(text) {
        Ok(jws) => jws,
        Err(denial) => {
            let is_long = text.len() > MAX_LEN;
            let expected = if is_long { Denial::TooLong } else { Denial::TokenMalformed };
            return hold(denial == expected, || format!("{denial:?} for a form"));
        }
    };
    hold(text.len() <= MAX_LEN, || "a long token was taken apart".into())?;
    hold(text.split('.').count() == 3, || "a token without three parts was taken apart".into())?;
    let Ok(claims) = Claims::decode(&jws) else { return Ok(()) };
    let paths = ["iss", "aud", "sub", "exp", "org.id", "a.b.c", "", ".", "scope", jws.algorithm()];
    for path in paths.into_iter().chain(jws.key_id()) {
        accessors(&claims, path)?;
    }
    Ok(())
}

fn accessors(claims: &Claims, path: &str) -> Promise {
    const NO_WORD: &str = "no word of any claim \0";
    let (text, words, wanted) = (claims.text(path), claims.words(path), claims.require(path, NO_WORD));
    let is_alike = match (&text, &words) {
        (Ok(Some(text)), Ok(Some(words))) => *words == text.split_ascii_whitespace().collect::<Vec<_>>(),
        (Ok(None), words) => *words == Ok(None),
        (Ok(Some(_)), _) | (Err(_), Ok(None)) => false,
        (Err(_), _) => true,
    };
    hold(is_alike, || format!("a claim reads {text:?} as text and {words:?} as words"))?;
    let expected = match &words {
        Ok(None) => Err(Denial::ClaimMissing),
        Ok(Some(_)) => Err(Denial::ClaimMismatch),
        Err(denial) => Err(*denial),
    };
    hold(wanted == expected, || format!("a claim without the word is {wanted:?}"))?;
    let found = words.iter().flatten().flatten().all(|word| claims.require(path, word).is_ok());
    hold(found, || "a word of a claim is not found in it".into())?;
    let is_one_thing = !matches!(claims.date(path), Ok(Some(_))) || text.is_err();
    hold(is_one_thing, || "a claim is a text and a date".into())
}
