//! Demo secrets: API keys, an issuer of tokens and a provider key, made at random for one folder.
//!
//! Nothing here is committed, and every file is readable by its owner only. What exists is kept, so that keys go on
//! working over restarts; a file that was deleted is made anew.

mod provider_keys;
#[cfg(test)]
mod tests;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jwt_simple::prelude::{Claims, ECDSAP256KeyPairLike as _, ES256KeyPair};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::failure::{Failure, OrFail as _};

/// Who signs demo tokens.
pub const ISSUER: &str = "https://issuer.tollgate.example";
/// For whom demo tokens are.
pub const AUDIENCE: &str = "tollgate";
/// The tenants that have a demo key.
pub const TENANTS: [&str; 2] = ["acme", "globex"];

/// A folder of demo secrets.
#[derive(Debug)]
pub struct Secrets {
    dir: PathBuf,
}

/// The claims of a demo token beside the registered ones.
#[derive(Serialize)]
struct TenantClaim<'a> {
    tenant: &'a str,
}

impl Secrets {
    /// Makes what is missing in `dir`. `provider_key` replaces the stored one, if given.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn create(dir: &Path, provider_key: Option<&str>) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .or_fail(format_args!("cannot make {}", dir.display()), "give a writable folder")?;
        let secrets = Self { dir: dir.to_owned() };
        secrets.create_api_keys()?;
        secrets.create_issuer()?;
        secrets.create_provider_key("provider-key", provider_key)?;
        Ok(secrets)
    }

    /// The secrets that an earlier run left in `dir`.
    pub fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The API key of a demo tenant.
    ///
    /// # Errors
    /// If the tenant has none.
    pub fn api_key(&self, tenant: &str) -> Result<String, Failure> {
        Ok(self.read(&format!("{tenant}.key"))?.trim().to_owned())
    }

    /// What `TOLLGATE_API_KEYS` holds: a JSON array of digests.
    ///
    /// # Errors
    /// If the file is missing.
    pub fn api_keys(&self) -> Result<String, Failure> {
        self.read("api-keys.json")
    }

    /// What `TOLLGATE_JWKS` holds.
    ///
    /// # Errors
    /// If the file is missing.
    pub fn jwks(&self) -> Result<String, Failure> {
        self.read("jwks.json")
    }

    /// Puts other keys there until the next start.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn replace_jwks(&self, jwks: &Value) -> Result<(), Failure> {
        self.write("jwks.json", &pretty(jwks))
    }

    /// A JWT of the demo issuer for `tenant`, valid for `ttl` from now.
    ///
    /// # Errors
    /// If the name is no tenant's or the issuer's key is missing.
    pub fn token(&self, tenant: &str, ttl: Duration) -> Result<String, Failure> {
        self.token_made_ago(tenant, Duration::ZERO, ttl)
    }

    /// The same, made `age` ago: over by now if `ttl` is shorter.
    ///
    /// # Errors
    /// If the name is no tenant's or the issuer's key is missing.
    pub fn token_made_ago(&self, tenant: &str, age: Duration, ttl: Duration) -> Result<String, Failure> {
        check_tenant(tenant)?;
        let pair = ES256KeyPair::from_jwk(&self.read("issuer-key.json")?)
            .or_fail("the issuer's key is damaged", "delete issuer-key.json and jwks.json, then start again")?;
        let mut claims = Claims::with_custom_claims(TenantClaim { tenant }, ttl.into())
            .with_issuer(ISSUER)
            .with_audience(AUDIENCE)
            .with_subject("demo");
        for time in [&mut claims.issued_at, &mut claims.invalid_before, &mut claims.expires_at] {
            *time = time.map(|at| at - age.into());
        }
        pair.sign(claims).or_fail("cannot sign", "delete issuer-key.json and jwks.json, then start again")
    }

    fn create_api_keys(&self) -> Result<(), Failure> {
        const ENTRIES: &str = "api-keys.json";
        // Entries that somebody pasted stay.
        let mut entries: Vec<Value> = if self.has(ENTRIES) {
            serde_json::from_str(&self.read(ENTRIES)?)
                .or_fail("api-keys.json is no JSON array", "mend it, or delete it to start afresh")?
        } else {
            Vec::new()
        };
        for tenant in TENANTS {
            let name = format!("{tenant}.key");
            if !self.has(&name) {
                self.write(&name, &random_key()?)?;
            }
            let entry = key_entry(tenant, &format!("{tenant}-demo"), &self.api_key(tenant)?);
            match entries.iter_mut().find(|found| found.get("id") == entry.get("id")) {
                Some(found) => *found = entry,
                None => entries.push(entry),
            }
        }
        self.write(ENTRIES, &pretty(&Value::from(entries)))
    }

    fn create_issuer(&self) -> Result<(), Failure> {
        const KEY: &str = "issuer-key.json";
        if !self.has(KEY) {
            let pair = ES256KeyPair::generate();
            let kid = pair.jwk_thumbprint();
            self.write(KEY, &pair.with_key_id(&kid).to_jwk())?;
        }
        let pair = ES256KeyPair::from_jwk(&self.read(KEY)?)
            .or_fail("the issuer's key is damaged", "delete issuer-key.json, then start again")?;
        let mut key: Value = serde_json::from_str(&pair.public_key().to_jwk())
            .or_fail("the issuer's key is damaged", "delete issuer-key.json, then start again")?;
        if let Value::Object(fields) = &mut key {
            fields.insert("use".into(), json!("sig"));
            fields.insert("alg".into(), json!("ES256"));
        }
        self.write("jwks.json", &pretty(&json!({"keys": [key]})))
    }

    fn has(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    fn read(&self, name: &str) -> Result<String, Failure> {
        let path = self.dir.join(name);
        fs::read_to_string(&path)
            .or_fail(format_args!("cannot read {}", path.display()), "run scripts/up once, it makes the demo secrets")
    }

    /// Written beside and renamed, so that Envoy never reads half a file.
    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!(".{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            writeln!(file, "{}", text.trim_end())?;
            fs::rename(&beside, &path)
        };
        write().or_fail(format_args!("cannot write {}", path.display()), "make the folder writable")
    }
}

/// A fresh API key: `tg_` and 256 random bits.
///
/// # Errors
/// If the system gives no random bytes.
pub fn random_key() -> Result<String, Failure> {
    Ok(format!("tg_{}", random(32)?))
}

/// The entry of `TOLLGATE_API_KEYS` for a key: its digest, never the key.
pub fn key_entry(tenant: &str, id: &str, key: &str) -> Value {
    let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"id": id, "tenant": tenant, "sha256": digest})
}

/// A new id for a key of `tenant`.
///
/// # Errors
/// If the system gives no random bytes.
pub fn random_id(tenant: &str) -> Result<String, Failure> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(format!("{tenant}-{:08x}", u32::from_be_bytes(bytes)))
}

/// Whether `name` can be a tenant's: it stands in metrics, logs and keys of shared data.
///
/// # Errors
/// If it cannot.
pub fn check_tenant(name: &str) -> Result<(), Failure> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| is_word(byte) || matches!(byte, b'-' | b'_' | b'.'))
        && name.bytes().next().is_some_and(is_word);
    if fits {
        return Ok(());
    }
    Err(Failure::new(
        format_args!("`{}` is no tenant name", name.escape_debug()),
        "use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, a letter or digit first",
    ))
}

fn random(bytes: usize) -> Result<String, Failure> {
    let mut random = vec![0; bytes];
    fill(&mut random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    getrandom::fill(bytes).or_fail("the system gives no random bytes", "try again")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
