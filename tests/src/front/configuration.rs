//! `envoy/front/envoy.yaml` with the addresses of one test in place of its names.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_norway::Value;

use crate::envoy::repository;

/// Where the committed file listens, and its admin page.
const LISTENS: (&str, u64) = ("0.0.0.0", 8080);
const ADMIN: (&str, u64) = ("127.0.0.1", 9901);

/// Writes it into `dir`. `gateways` are by their places; a place of the file that has none is left out.
pub(super) fn write(
    dir: &Path,
    listen: SocketAddr,
    admin: SocketAddr,
    gateways: &BTreeMap<String, SocketAddr>,
) -> PathBuf {
    let text =
        fs::read_to_string(repository().join("envoy/front/envoy.yaml")).expect("envoy/front/envoy.yaml is there");
    let mut root: Value = serde_norway::from_str(&text).expect("envoy/front/envoy.yaml is YAML");
    let mut addresses = Addresses { listen, admin, gateways, placed: 0 };
    addresses.put(&mut root);
    assert_eq!(addresses.placed, gateways.len() + 2, "addresses of envoy/front/envoy.yaml that the test knows");
    fs::create_dir_all(dir).expect("the folder is writable");
    let path = dir.join("envoy.yaml");
    fs::write(&path, serde_norway::to_string(&root).expect("what was YAML is YAML")).expect("the folder is writable");
    path
}

struct Addresses<'a> {
    listen: SocketAddr,
    admin: SocketAddr,
    gateways: &'a BTreeMap<String, SocketAddr>,
    placed: usize,
}

impl Addresses<'_> {
    /// Puts addresses in place of names under `value`.
    fn put(&mut self, value: &mut Value) {
        match value {
            Value::Mapping(fields) => {
                if let Some(endpoints) = fields.get_mut("endpoints").and_then(Value::as_sequence_mut) {
                    endpoints.retain(|endpoint| !self.is_empty(endpoint));
                }
                let address = fields.get("address").and_then(Value::as_str);
                let port = fields.get("port_value").and_then(Value::as_u64);
                let found = address.zip(port).map(|(host, port)| self.of(host, port));
                if let Some(address) = found {
                    fields.insert("address".into(), address.ip().to_string().into());
                    fields.insert("port_value".into(), address.port().into());
                    return;
                }
                fields.iter_mut().for_each(|(_, field)| self.put(field));
            }
            Value::Sequence(items) => items.iter_mut().for_each(|item| self.put(item)),
            _ => {}
        }
    }

    fn of(&mut self, host: &str, port: u64) -> SocketAddr {
        let gateway =
            host.strip_prefix("gateways.").and_then(|rest| self.gateways.get(rest.strip_suffix(".internal")?));
        let found = match (host, port) {
            LISTENS => Some(self.listen),
            ADMIN => Some(self.admin),
            _ => gateway.copied(),
        };
        self.placed += usize::from(found.is_some());
        // Other fronts are not called.
        found.unwrap_or(self.listen)
    }

    /// Whether an entry of a load assignment is the place of a gateway that the test has not.
    fn is_empty(&self, endpoint: &Value) -> bool {
        let host = (|| {
            let address = endpoint.get("lb_endpoints")?.get(0)?.get("endpoint")?.get("address")?;
            address.get("socket_address")?.get("address")?.as_str()
        })();
        let place = host.and_then(|host| host.strip_prefix("gateways.")?.strip_suffix(".internal"));
        place.is_some_and(|place| !self.gateways.contains_key(place))
    }
}
