//! Error bodies in the dialect of the API that was called, so that every SDK raises its proper exception.
//!
//! The stable code of [`Refusal`] stands in each of them: `error.code` (OpenAI, Anthropic; the latter has no such
//! member of its own, and its SDKs pass unknown members on) and `error.details[0].reason` (Gemini, in capitals, as
//! `google.rpc.ErrorInfo` asks).

use serde_json::{Value, json};
use tollgate_core::{Refusal, Reply};

use crate::api::Dialect;

/// The answer to a refused call. `message` is for people; it must not hold a credential.
pub fn refuse(dialect: Dialect, refusal: Refusal, message: &str) -> Reply {
    let body = match dialect {
        Dialect::OpenAi => openai(refusal, message),
        Dialect::Anthropic => anthropic(refusal, message),
        Dialect::Gemini => gemini(refusal, message),
    };
    Reply::json(refusal.status(), body.to_string().into_bytes())
}

fn openai(refusal: Refusal, message: &str) -> Value {
    let kind = match (refusal, refusal.status()) {
        // Here alone type and code are one word.
        (Refusal::InsufficientQuota, _) => refusal.code(),
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (_, 429) => "rate_limit_error",
        (_, 500..) => "server_error",
        _ => "invalid_request_error",
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": refusal.code()}})
}

fn anthropic(refusal: Refusal, message: &str) -> Value {
    let kind = match refusal.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message, "code": refusal.code()}})
}

fn gemini(refusal: Refusal, message: &str) -> Value {
    let status = match refusal.status() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": refusal.code().to_ascii_uppercase(),
        "domain": "tollgate",
    });
    json!({"error": {"code": refusal.status(), "message": message, "status": status, "details": [info]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(dialect: Dialect, refusal: Refusal) -> Value {
        let reply = refuse(dialect, refusal, "say \"please\"\n");
        assert_eq!(reply.status, refusal.status());
        assert_eq!(reply.headers, [("content-type".to_owned(), b"application/json".to_vec())]);
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn openai_bodies_have_all_four_members() {
        let expected = json!({"error": {
            "message": "say \"please\"\n", "type": "authentication_error", "param": null, "code": "invalid_api_key",
        }});
        assert_eq!(body(Dialect::OpenAi, Refusal::InvalidApiKey), expected);
    }

    #[test]
    fn anthropic_bodies_name_the_kind_twice_and_keep_the_code() {
        let expected = json!({"type": "error", "error": {
            "type": "request_too_large", "message": "say \"please\"\n", "code": "request_too_large",
        }});
        assert_eq!(body(Dialect::Anthropic, Refusal::BodyTooLarge), expected);
    }

    #[test]
    fn gemini_bodies_are_google_rpc_statuses() {
        let expected = json!({"error": {
            "code": 401, "message": "say \"please\"\n", "status": "UNAUTHENTICATED",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "INVALID_API_KEY", "domain": "tollgate",
            }],
        }});
        assert_eq!(body(Dialect::Gemini, Refusal::InvalidApiKey), expected);
    }

    #[test]
    fn every_refusal_keeps_its_code_in_every_dialect() {
        for &refusal in Refusal::ALL {
            for (dialect, place) in [
                (Dialect::OpenAi, "/error/code"),
                (Dialect::Anthropic, "/error/code"),
                (Dialect::Gemini, "/error/details/0/reason"),
            ] {
                let body = body(dialect, refusal);
                let code = body.pointer(place).and_then(Value::as_str).unwrap();
                assert_eq!(code.to_ascii_lowercase(), refusal.code());
            }
        }
    }
}
