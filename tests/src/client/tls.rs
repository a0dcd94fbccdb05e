//! A client that speaks TLS with the gateway, and an authority's certificates for both.
#![allow(clippy::panic, reason = "test support: a set-up that fails must end the test at once and say why")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::provider::tls::{Authority, Pair};

/// What a certificate is for.
pub const NAME: &str = "localhost";

/// Puts a pair into a folder as `tls.crt` and `tls.key`, in the way of who renews certificates: written beside and moved.
pub fn place(pair: &Pair, dir: &Path) {
    for (name, text) in [("tls.crt", &pair.certificate), ("tls.key", &pair.key)] {
        let beside = dir.join(format!("{name}.new"));
        fs::write(&beside, text).expect("the folder is writable");
        fs::rename(&beside, dir.join(name)).expect("the folder is writable");
    }
}

/// Connects, offering these protocols and showing a certificate if there is one.
///
/// # Errors
/// If one side refuses the other. With TLS 1.3 the gateway's refusal of a certificate comes with the first read instead.
pub async fn connect(
    address: SocketAddr,
    authority: &Authority,
    protocols: &[&str],
    shown: Option<&Pair>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("an authority is PEM");
    roots.add(root).expect("an authority is a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS")
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(pair) => {
            let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a pair is PEM");
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a pair is PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("a key fits its certificate")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The certificate that the other side showed, in DER.
pub fn shown_by(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let certificates = stream.get_ref().1.peer_certificates();
    certificates.and_then(|chain| chain.first()).unwrap_or_else(|| panic!("the gateway shows none")).to_vec()
}
