//! The providers' keys: bare, in Envoy Secret files or for variables of the environment.

use std::fs;

use serde_json::{Value, json};

use super::{Secrets, pretty, random};
use crate::failure::Failure;

/// What the file of a variable's key ends in.
const VARIABLE: &str = ".variable";

impl Secrets {
    /// Makes what the providers of a providers.json are to be called with: a key in each `from_file` and each `from_env`.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn create_provider_keys(&self, providers: &Value) -> Result<(), Failure> {
        let members = providers.get("providers").and_then(Value::as_object);
        for credential in members.into_iter().flatten().filter_map(|(_, provider)| provider.get("credential")) {
            let named = |key: &str| credential.get(key).and_then(Value::as_str);
            if let Some(name) = named("from_file").and_then(|file| file.strip_suffix(".yaml")) {
                self.create_provider_key(name, None)?;
            }
            if let Some(name) = named("from_env") {
                let file = format!("{name}{VARIABLE}");
                if !self.has(&file) {
                    self.write(&file, &scripted_key()?)?;
                }
            }
        }
        Ok(())
    }

    /// The key in the Envoy Secret `name.yaml`, or in the variable `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn provider_key(&self, name: &str) -> Result<String, Failure> {
        let file = format!("{name}{VARIABLE}");
        Ok(self.read(if self.has(&file) { &file } else { name })?.trim().to_owned())
    }

    /// The variables that Envoy must be started with for `from_env`.
    pub fn variables(&self) -> Vec<(String, String)> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(VARIABLE)?.to_owned()));
        names.filter_map(|name| self.provider_key(&name).ok().map(|key| (name, key))).collect()
    }

    /// Replaces a provider's key while Envoy runs.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn replace_provider_key(&self, name: &str, key: &str) -> Result<(), Failure> {
        self.create_provider_key(name, Some(key))
    }

    /// Leaves a file that holds no key. Without any file Envoy would not start.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn withhold_provider_key(&self, name: &str) -> Result<(), Failure> {
        self.write(&format!("{name}.yaml"), &pretty(&json!({"resources": []})))
    }

    /// Envoy reads a provider's key as a secret resource; the filter puts it into the provider's header.
    pub(super) fn create_provider_key(&self, name: &str, given: Option<&str>) -> Result<(), Failure> {
        match given {
            Some(key) => self.write(name, key)?,
            None if !self.has(name) => self.write(name, &scripted_key()?)?,
            None => {}
        }
        let key = self.read(name)?;
        let resource = json!({
            "resources": [{
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": name,
                "generic_secret": {"secret": {"inline_string": key.trim()}},
            }],
        });
        // JSON is YAML, and quotes whatever the key holds.
        self.write(&format!("{name}.yaml"), &pretty(&resource))
    }
}

/// A key for a scripted provider, which takes any.
fn scripted_key() -> Result<String, Failure> {
    Ok(format!("sk-scripted-{}", random(16)?))
}
