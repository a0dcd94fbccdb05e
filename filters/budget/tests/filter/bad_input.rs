//! What callers and providers send that no contract foresees: a clear refusal or a safe estimate, never a panic, never a free call.

mod answers;
mod requests;

use tollgate_budget::filter::BudgetStream;
use tollgate_core::Reply;
use tollgate_fakehost::Call;

use crate::gateway::{Gateway, tenant};

const CHAT: &str = "/v1/chat/completions";
const JSON_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const UNITS: [&str; 4] = ["tokens", "input_tokens", "output_tokens", "usd"];

/// One rule of this unit; `members` are added to it.
fn gateway_of(unit: &str, members: &str) -> Gateway {
    let limit = if unit == "usd" { r#""1000""# } else { "1000000" };
    Gateway::new(&format!(
        r#"{{"rules":[{{"name":"{unit}","unit":"{unit}","window":{{"calendar":"month"}},"limit":{limit},"per":["tenant"]{members}}}],
            "prices":{{"*":{{"input":"1","output":"10"}}}},"slots":64,"max_body_bytes":10485760}}"#
    ))
}

fn gateway() -> Gateway {
    gateway_of("tokens", "")
}

fn ask(gateway: &Gateway, path: &str, body: &[u8]) -> Result<Call<BudgetStream>, Reply> {
    let mut call = gateway.call(&tenant("acme"));
    call.request(&[(":method", "POST"), (":path", path)], body).map(|_| call)
}

fn body(members: &str) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Say something nice."}}]{members}}}"#).into_bytes()
}

fn answer(usage: &str) -> String {
    let text = "x".repeat(400);
    format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{text}"}},"finish_reason":"stop"}}]{usage}}}"#)
}
