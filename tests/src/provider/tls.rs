//! Certificates of scripted providers, good ones and bad ones.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a provider shows of itself. All are called `localhost`, and one says that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Signed by the authority, for `localhost`.
    Good,
    /// For `localhost`, signed by nobody else.
    SelfSigned,
    /// Signed by the authority, for another name.
    Misnamed,
    /// Signed by the authority, for `localhost`, and over.
    Expired,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// An authority for one test.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A fresh one.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new() -> io::Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// What Envoy is to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A fresh certificate for a name, good for servers and clients, and its key.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn pair(&self, name: &str) -> io::Result<Pair> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let signed = named(name)?.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok(Pair { certificate: signed.pem(), key: key.serialize_pem() })
    }

    /// What a provider needs to speak TLS.
    pub(super) fn acceptor(&self, certificate: Certificate) -> io::Result<TlsAcceptor> {
        let name = if certificate == Certificate::Misnamed { "another.example" } else { "localhost" };
        let mut params = named(name)?;
        if certificate == Certificate::Expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let signed = match certificate {
            Certificate::SelfSigned => params.self_signed(&key),
            Certificate::Good | Certificate::Misnamed | Certificate::Expired => params.signed_by(&key, &self.issuer),
        };
        let chain = vec![signed.map_err(io::Error::other)?.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn named(name: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
    // Its subject must differ from its issuer's, or it is taken for self-signed.
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
