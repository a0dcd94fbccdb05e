//! TLS for clients: which versions and protocols, a certificate that is replaced under calls, and certificates of clients.

use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tollgate_tests::client::http2::Http2Client;
use tollgate_tests::client::raw::post;
use tollgate_tests::client::tls::{NAME, connect, place, shown_by};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, on_own, wait_until};
use tollgate_tests::provider::tls::{Authority, Pair};
use tollgate_tests::render::Tls;

const CHAT: &str = "/v1/chat/completions";

/// An authority, and the folder in which the gateway's certificate and that authority lie.
struct Site {
    authority: Authority,
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { authority: Authority::new().unwrap(), dir: tempfile::tempdir().unwrap() };
        place(&site.authority.pair(NAME).unwrap(), site.dir.path());
        std::fs::write(site.file("ca.crt"), site.authority.pem()).unwrap();
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn setup(&self, is_mutual: bool) -> Setup {
        let client_ca = is_mutual.then(|| self.file("ca.crt"));
        Setup::default().tls(Tls { certificate: self.file("tls.crt"), key: self.file("tls.key"), client_ca })
    }

    async fn connect(&self, gateway: &Gateway, shown: Option<&Pair>) -> io::Result<TlsStream<TcpStream>> {
        connect(gateway.envoy.gateway(), &self.authority, &["http/1.1"], shown).await
    }
}

/// Declares a test with a site of its own for every supported Envoy.
macro_rules! with_site {
    ($name:ident, $is_mutual:expr) => {
        mod $name {
            use super::*;

            fn run(prefix: &str) {
                let site = Site::new();
                on_own(prefix, &site.setup($is_mutual), async |gateway| super::rules::$name(gateway, &site).await);
            }

            #[test]
            fn v1_40() {
                run("1.40");
            }

            #[test]
            fn v1_36() {
                run("1.36");
            }
        }
    };
}

with_site!(only_new_versions_are_spoken, false);
with_site!(the_better_protocol_is_chosen, false);
with_site!(a_certificate_is_replaced_under_calls, false);
with_site!(a_client_shows_a_certificate_of_the_authority_or_is_refused, true);
with_site!(no_caller_can_say_that_it_showed_one, true);

/// The status of a call on a connection that is there.
async fn ask(gateway: &Gateway, stream: &mut TlsStream<TcpStream>, lines: &[&str]) -> io::Result<String> {
    let bearer = format!("authorization: Bearer {}", gateway.key("acme"));
    let mut all = vec![bearer.as_bytes()];
    all.extend(lines.iter().map(|line| line.as_bytes()));
    stream.write_all(&post(CHAT, &all, chat_body(&unique("prompt")).to_string().as_bytes())).await?;
    let mut answer = Vec::new();
    // The scripted answer is one JSON object, which ends so.
    while !answer.ends_with(b"}") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer[..12]).into_owned())
}

/// A ClientHello of that version, which offers what every server of its time takes; the first bytes of the answer.
async fn hello(gateway: &Gateway, minor: u8) -> Vec<u8> {
    // ECDHE suites with AES and their groups and signatures (RFC 5246 §7.4.1.2, RFC 8422).
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
    let extensions: [&[u8]; 3] =
        [&[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0], &[0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4, 1]];
    let extensions = extensions.concat();
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 10]);
    body.extend(suites);
    body.extend([1, 0, 0, u8::try_from(extensions.len()).unwrap()]);
    body.extend(&extensions);
    let length = u8::try_from(body.len()).unwrap();
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let mut stream = TcpStream::connect(gateway.envoy.gateway()).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

mod rules {
    use super::*;

    pub(super) async fn only_new_versions_are_spoken(gateway: &Gateway, _: &Site) {
        // TLS 1.0 and 1.1 get the alert `protocol_version` (70), 1.2 a handshake.
        for minor in [1, 2] {
            let answer = hello(gateway, minor).await;
            assert_eq!((answer[0], answer[6]), (21, 70), "{answer:?}");
        }
        assert_eq!(hello(gateway, 3).await[0], 22);
        // Without TLS nobody is answered.
        assert!(gateway.chat(&unique("prompt")).try_open().await.is_none());
        assert!(gateway.provider.requests().is_empty());
    }

    pub(super) async fn the_better_protocol_is_chosen(gateway: &Gateway, site: &Site) {
        let address = gateway.envoy.gateway();
        for (offered, chosen) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
            let stream = connect(address, &site.authority, offered, None).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen.as_bytes()));
        }
        let stream = connect(address, &site.authority, &["h2"], None).await.unwrap();
        let mut client = Http2Client::over(stream).await;
        let (bearer, body) = (format!("Bearer {}", gateway.key("acme")), chat_body(&unique("prompt")).to_string());
        let answer = client.post(CHAT, &[("authorization", &bearer)], &body, None).await.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(super) async fn a_certificate_is_replaced_under_calls(gateway: &Gateway, site: &Site) {
        let mut open = site.connect(gateway, None).await.unwrap();
        let old = shown_by(&open);
        assert_eq!(ask(gateway, &mut open, &[]).await.unwrap(), "HTTP/1.1 200");
        // A key that does not fit is not taken, whoever comes.
        std::fs::write(site.file("other"), site.authority.pair(NAME).unwrap().key).unwrap();
        std::fs::rename(site.file("other"), site.file("tls.key")).unwrap();
        wait_until("the pair that does not fit was refused", async || {
            gateway.envoy.log().contains("Failed to load") || gateway.envoy.log().contains("gateway-certificate")
        })
        .await;
        assert_eq!(shown_by(&site.connect(gateway, None).await.unwrap()), old);
        place(&site.authority.pair(NAME).unwrap(), site.dir.path());
        wait_until("the new certificate is shown", async || {
            let mut stream = site.connect(gateway, None).await.expect("some certificate is always shown");
            assert_eq!(ask(gateway, &mut stream, &[]).await.unwrap(), "HTTP/1.1 200");
            shown_by(&stream) != old
        })
        .await;
        assert_eq!(ask(gateway, &mut open, &[]).await.unwrap(), "HTTP/1.1 200", "an open connection broke");
    }

    pub(super) async fn a_client_shows_a_certificate_of_the_authority_or_is_refused(gateway: &Gateway, site: &Site) {
        let stranger = Authority::new().unwrap().pair("client").unwrap();
        for shown in [None, Some(&stranger)] {
            let refused = match site.connect(gateway, shown).await {
                Ok(mut stream) => ask(gateway, &mut stream, &[]).await,
                Err(error) => Err(error),
            };
            assert!(refused.is_err(), "{shown:?}: {refused:?}");
        }
        assert!(gateway.provider.requests().is_empty());
        assert!(gateway.metrics_text().await.contains("ssl_fail_verify"));
        let own = site.authority.pair("client").unwrap();
        let mut stream = site.connect(gateway, Some(&own)).await.unwrap();
        assert_eq!(ask(gateway, &mut stream, &[]).await.unwrap(), "HTTP/1.1 200");
    }

    pub(super) async fn no_caller_can_say_that_it_showed_one(gateway: &Gateway, site: &Site) {
        let own = site.authority.pair("client").unwrap();
        let mut stream = site.connect(gateway, Some(&own)).await.unwrap();
        let mark = unique("edge");
        let lines = [&format!("{MARK}: {mark}"), "x-forwarded-client-cert: Subject=\"CN=admin\""];
        assert_eq!(ask(gateway, &mut stream, &lines).await.unwrap(), "HTTP/1.1 200");
        assert!(gateway.upstream_request(&mark).header("x-forwarded-client-cert").is_none());
    }
}
