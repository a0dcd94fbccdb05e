//! The server: which path is which API, and what is outside of every API (`/_requests`, `/_stats`, `/health`).

use std::borrow::Cow;
use std::future::{Future, IntoFuture as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::answer::Invalid;
use super::gemini::Framing;
use super::listener::{ResetSwitch, SwitchedListener};
use super::openai::Endpoint;
use super::prompts::Prompts;
use super::record::Recorder;
use super::script::Script;
use super::wire::Reply;
use super::{anthropic, embeddings, gemini, openai, responses};

/// Longest body that is read: 64 MiB, above every limit of the gateway.
const MAX_BODY_BYTES: usize = 64 << 20;

/// How long calls that run at the end may take to finish: 5 s.
const GRACE: Duration = Duration::from_secs(5);

/// What makes one provider of several: its name, and what it remembers.
#[derive(Debug)]
pub struct Site {
    name: String,
    recorder: Recorder,
    prompts: Prompts,
}

impl Site {
    /// A provider that remembers nothing yet.
    pub fn new(name: &str, recorder: Recorder) -> Self {
        Self { name: name.to_owned(), recorder, prompts: Prompts::default() }
    }

    /// What was asked of it.
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

/// Serves on `listener` until `stop` is ready; calls that run then may finish, within bounds.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    site: Arc<Site>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let app = Router::new().fallback(handle).with_state(site);
    let service = app.into_make_service_with_connect_info::<ResetSwitch>();
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        let _: Result<_, _> = stopping.send(());
    };
    let serving =
        axum::serve(SwitchedListener::new(listener, tls), service).with_graceful_shutdown(stop).into_future();
    let overtime = async {
        let _: Result<_, _> = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = serving => if let Err(error) = result {
            eprintln!("scripted provider: {error}");
        },
        () = overtime => {}
    }
}

async fn handle(
    State(site): State<Arc<Site>>,
    ConnectInfo(switch): ConnectInfo<ResetSwitch>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = &*api_path(parts.uri.path());
    if let Some(reply) = own(&site.recorder, &parts.method, path) {
        return reply.send(&Script::default());
    }
    let mut script = Script::of(&parts.headers, &site.name);
    let dialect = Dialect::of(path);
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return dialect.error(StatusCode::PAYLOAD_TOO_LARGE, "The request body did not arrive whole.").send(&script);
    };
    let number = site.recorder.record(&parts, &body);
    if script.prompt_cache {
        script.cached = serde_json::from_slice(&body).map_or(0, |body| site.prompts.cached(&body));
    }
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    if script.reset {
        switch.throw();
    }
    let reply = match script.status {
        Some(status) => {
            let reply = dialect.error(status, "The scripted provider was told to fail.");
            match script.retry_after {
                Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
                None => reply,
            }
        }
        None if parts.method == Method::GET && path == "/v1/models" => Reply::json(openai::models()),
        None => answer(number, path, parts.uri.query(), &body, &script).unwrap_or_else(|refusal| match refusal {
            Refused::NoSuchPath => {
                dialect.error(StatusCode::NOT_FOUND, &format!("Invalid URL ({} {path})", parts.method))
            }
            Refused::Invalid(message) => dialect.error(StatusCode::BAD_REQUEST, &message),
        }),
    };
    let mut response = reply.send(&script);
    response.headers_mut().insert("x-provider-request", HeaderValue::from(number));
    response
}

/// What belongs to no API.
fn own(recorder: &Recorder, method: &Method, path: &str) -> Option<Reply> {
    Some(Reply::json(match (method.as_str(), path) {
        ("GET", "/health") => json!({"status": "ok"}),
        ("GET", "/_stats") => json!({"requests": recorder.count()}),
        ("GET", "/_requests") => recorder.to_json(),
        ("DELETE", "/_requests") => {
            recorder.clear();
            json!([])
        }
        _ => return None,
    }))
}

/// Why there is no answer.
enum Refused {
    NoSuchPath,
    Invalid(String),
}

impl From<Invalid> for Refused {
    fn from(Invalid(message): Invalid) -> Self {
        Self::Invalid(message)
    }
}

fn answer(number: u64, path: &str, query: Option<&str>, body: &Bytes, script: &Script) -> Result<Reply, Refused> {
    let parse = || -> Result<Value, Refused> {
        serde_json::from_slice(body)
            .map_err(|_| Refused::Invalid("We could not parse the JSON body of your request.".into()))
    };
    Ok(match path {
        "/v1/chat/completions" => Endpoint::Chat.reply(number, &parse()?, script)?,
        "/v1/completions" => Endpoint::Completions.reply(number, &parse()?, script)?,
        "/v1/responses" => responses::reply(number, &parse()?, script)?,
        "/v1/embeddings" => embeddings::reply(&parse()?, script)?,
        "/v1/messages" => anthropic::reply(number, &parse()?, script)?,
        // No model that is metered by tokens.
        "/v1/images/generations" => {
            Reply::json(json!({"created": openai::CREATED, "data": [{"url": "https://images.example/1.png"}]}))
        }
        _ => {
            let (model, method) = gemini_call(path).ok_or(Refused::NoSuchPath)?;
            let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
            let framing = match method {
                "generateContent" => Framing::Json,
                "streamGenerateContent" if is_sse => Framing::Sse,
                "streamGenerateContent" => Framing::JsonArray,
                _ => return Err(Refused::NoSuchPath),
            };
            gemini::reply(number, model, &parse()?, framing, script)?
        }
    })
}

/// The path of the API under whatever prefix a provider serves it. Azure has a deployment in place of `/v1`.
fn api_path(path: &str) -> Cow<'_, str> {
    if let Some((_, rest)) = path.strip_prefix("/openai/deployments/").and_then(|rest| rest.split_once('/'))
        && !rest.starts_with("v1/")
    {
        return Cow::Owned(format!("/v1/{rest}"));
    }
    let at = ["/v1/", "/v1beta/"].iter().filter_map(|version| path.find(version)).min();
    Cow::Borrowed(at.and_then(|at| path.get(at..)).unwrap_or(path))
}

/// Model and method of a Gemini path, which Google serves under two versions.
fn gemini_call(path: &str) -> Option<(&str, &str)> {
    ["/v1beta/models/", "/v1/models/"].iter().find_map(|prefix| path.strip_prefix(prefix))?.rsplit_once(':')
}

/// Whose errors a path answers with.
#[derive(Clone, Copy)]
enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Dialect {
    fn of(path: &str) -> Self {
        if path.starts_with("/v1/messages") {
            Self::Anthropic
        } else if path.starts_with("/v1beta/") || gemini_call(path).is_some() {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    fn error(self, status: StatusCode, message: &str) -> Reply {
        let body = match self {
            Self::OpenAi => openai::error(status, message),
            Self::Anthropic => anthropic::error(status, message),
            Self::Gemini => gemini::error(status, message),
        };
        Reply::json(body).with_status(status)
    }
}
