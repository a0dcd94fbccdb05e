//! Envoy's foreign function `verify_signature` as the port [`Signatures`]: BoringSSL judges, some fifty times faster than
//! WebAssembly can. It knows RSASSA-PKCS1-v1_5 and ECDSA.
//!
//! Argument and result are the messages of Envoy's `source/extensions/common/wasm/ext/verify_signature.proto`. What it
//! answers is told apart with care: "no" only if the signature itself was refused. A hash that it does not know, a key
//! that it cannot read, a host without the function: all mean that it cannot judge, and the filter must.

use prost::Message;
use tollgate_core::ports::{Hash, Signatures};

use crate::abi;

const FUNCTION: &str = "verify_signature";
/// How Envoy begins the error of a signature that does not hold, seen in 1.36.4 and 1.40.0. Should it ever read otherwise,
/// every bad signature costs a second look and no verdict changes; the end-to-end tests would tell.
const REFUSED: &str = "Failed to verify digest";

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`, without `public_key_pem`.
#[derive(Clone, PartialEq, Message)]
struct Arguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

/// `envoy.source.extensions.common.wasm.VerifySignatureResult`
#[derive(Clone, PartialEq, Message)]
struct Verdict {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(string, tag = "2")]
    error: String,
}

/// Envoy's cryptography.
pub(crate) struct HostSignatures;

impl Signatures for HostSignatures {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let arguments = Arguments {
            hash_function: hash.as_str().to_owned(),
            public_key: spki.to_vec(),
            signature: signature.to_vec(),
            text: text.to_vec(),
        };
        let answer = abi::call_foreign_function(FUNCTION, &arguments.encode_to_vec())?;
        let verdict = Verdict::decode(answer.as_slice()).ok()?;
        match verdict {
            Verdict { result: true, .. } => Some(true),
            Verdict { error, .. } if error.starts_with(REFUSED) => Some(false),
            Verdict { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_fakehost::abi::{self as fake, ForeignFunction};

    use super::*;

    fn ask(function: Option<ForeignFunction>) -> Option<bool> {
        fake::reset();
        fake::with(|abi| abi.foreign_functions.extend(function.map(|function| (FUNCTION.to_owned(), function))));
        HostSignatures.verify(Hash::Sha384, b"key", b"sig", b"text")
    }

    fn says(result: bool, error: &str) -> Option<Vec<u8>> {
        Some(Verdict { result, error: error.into() }.encode_to_vec())
    }

    #[test]
    fn the_argument_is_the_protobuf_that_envoy_reads() {
        // Field number and wire type 2, length, bytes (protobuf encoding, "length-delimited records").
        const EXPECTED: &[u8] = b"\x0a\x06sha384\x12\x03key\x1a\x03sig\x22\x04text";
        assert_eq!(ask(Some(|argument| if argument == EXPECTED { Some(vec![0x08, 1]) } else { None })), Some(true));
    }

    #[test]
    fn only_a_refused_signature_is_a_no() {
        assert_eq!(ask(Some(|_| says(false, "Failed to verify digest. Error code: 0"))), Some(false));
        assert_eq!(ask(Some(|_| says(false, "sha3 is not supported."))), None);
        assert_eq!(ask(Some(|_| says(false, "Failed to initialize digest verify."))), None);
        assert_eq!(ask(Some(|_| Some(Vec::new()))), None, "a result without a word");
    }

    #[test]
    fn a_host_that_cannot_judge_is_no_verdict() {
        assert_eq!(ask(None), None);
        assert_eq!(ask(Some(|_| None)), None);
        assert_eq!(ask(Some(|_| Some(b"\xff\xff".to_vec()))), None, "not protobuf");
    }
}
