//! Where a provider is: scheme, host and port, and nothing behind.

use std::net::Ipv6Addr;

use tollgate_core::ConfigError;

/// What stands in `:authority` for a URL. The port is left out where it is the scheme's own, as clients do.
pub(super) fn authority(path: &str, url: &str) -> Result<String, ConfigError> {
    // The text is not repeated: a key may stand in it.
    read(url).ok_or_else(|| {
        let problem = "must be `https://HOST` or `http://HOST`, with `:PORT` if need be, without a path or a user: \
                       what stands in front of paths goes into `paths`";
        ConfigError::at(path, problem)
    })
}

fn read(url: &str) -> Option<String> {
    let (scheme, place) = url.split_once("://")?;
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let (host, port) = split_port(place)?;
    if !is_host(host) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    Some(match port {
        Some(port) if port != own_port => format!("{host}:{port}"),
        _ => host,
    })
}

/// The host, and the port if one is given. An IPv6 address keeps its brackets.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => return Some((place, None)),
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = is_number.then(|| port.parse().ok())??;
    (port != 0).then_some((host, Some(port)))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_named_where_it_is_not_the_schemes_own() {
        for (url, expected) in [
            ("https://api.openai.com", "api.openai.com"),
            ("https://API.OpenAI.com:443", "api.openai.com"),
            ("http://localhost:80", "localhost"),
            ("http://localhost:443", "localhost:443"),
            ("https://localhost:80", "localhost:80"),
            ("http://127.0.0.1:18080", "127.0.0.1:18080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://[2001:db8::1]", "[2001:db8::1]"),
            ("http://my_service.ns", "my_service.ns"),
        ] {
            assert_eq!(authority("url", url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        for url in [
            "",
            "api.openai.com",
            "ftp://host",
            "HTTPS://host",
            "https://",
            "https://host/",
            "https://host/v1",
            "https://host?x",
            "https://host#x",
            "https://user:tg_secret@host",
            "https://tg_secret@host",
            "https://host:",
            "https://host:0",
            "https://host:65536",
            "https://host:+80",
            "https://host:80:80",
            "https://::1",
            "https://[::1",
            "https://[host]",
            "https://a..b",
            "https://a b",
            "https://h\u{f6}st",
            "https://host\r\nx: y",
            &format!("https://{}.com", "a".repeat(64)),
        ] {
            let error = authority("providers.a.url", url).expect_err(url).to_string();
            assert!(error.starts_with("providers.a.url: must be `https://HOST`"), "{error}");
            assert!(!error.contains("tg_secret"));
        }
    }
}
