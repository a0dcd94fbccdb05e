use super::*;

const COMMITTED: &str = include_str!("../../../../envoy/envoy.yaml");

fn tls(client_ca: Option<&str>) -> Tls {
    Tls { certificate: "/tls/a.crt".into(), key: "/tls/a.key".into(), client_ca: client_ca.map(PathBuf::from) }
}

fn text(tls: &Tls) -> String {
    let mut root = serde_norway::from_str(COMMITTED).unwrap();
    put(&mut root, tls).unwrap();
    serde_norway::to_string(&root).unwrap()
}

#[test]
fn the_listener_speaks_tls_and_asks_for_certificates_only_with_an_authority() {
    let plain = text(&tls(None));
    assert!(plain.contains("gateway-certificate") && plain.contains("TLSv1_2"), "{plain}");
    assert!(!plain.contains("require_client_certificate") && !plain.contains("gateway-client-ca"), "{plain}");
    let mutual = text(&tls(Some("/ca/a.crt")));
    assert!(mutual.contains("require_client_certificate: true") && mutual.contains("gateway-client-ca"), "{mutual}");
    assert!(mutual.contains("gateway-certificate") && mutual.contains("TLSv1_2"), "{mutual}");
}

#[test]
fn the_secrets_name_the_files_and_watch_their_folders() {
    let dir = tempfile::tempdir().unwrap();
    tls(Some("/ca/a.crt")).write(dir.path()).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let certificate = read(CERTIFICATE);
    for there in ["/tls/a.crt", "/tls/a.key", "path: /tls\n"] {
        assert!(certificate.contains(there), "{there} is not in\n{certificate}");
    }
    let authority = read(CLIENT_CA);
    assert!(authority.contains("/ca/a.crt") && authority.contains("path: /ca\n"), "{authority}");
}
