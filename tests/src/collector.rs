//! An OpenTelemetry collector that keeps what it is told: log records and spans over OTLP, gRPC.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::envoy::free_address;
use crate::listening;

/// Names and values, each as text: Envoy sends nothing else.
pub type Attributes = BTreeMap<String, String>;

/// A log record or a span, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// A span's name; a log record's body.
    pub name: String,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// In lower-case hexadecimal; empty if there is none.
    pub trace_id: String,
    /// The span, or the one that a log record belongs to.
    pub span_id: String,
    /// The span that this one is part of; empty for a root and for log records.
    pub parent_id: String,
    /// What it says.
    pub attributes: Attributes,
    /// What it says of who sent it.
    pub resource: Attributes,
}

impl Told {
    /// An attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// A running collector. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    logs: Vec<Told>,
    spans: Vec<Told>,
    /// Everything, as it came, in words.
    text: String,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl Collector {
    /// Starts on a free port of the loopback address.
    ///
    /// # Errors
    /// If no port or no thread is to be had.
    pub fn start() -> io::Result<Self> {
        let kept = Kept::default();
        let services =
            Routes::new(LogsServiceServer::new(kept.clone())).add_service(TraceServiceServer::new(kept.clone()));
        Ok(Self { address: listening::serve("collector", services.into_axum_router())?, kept })
    }

    /// One that is away: nothing listens.
    ///
    /// # Errors
    /// If no port is to be had.
    pub fn nowhere() -> io::Result<Self> {
        Ok(Self { address: free_address()?, kept: Kept::default() })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log records, oldest first.
    pub fn logs(&self) -> Vec<Told> {
        self.kept.lock().logs.clone()
    }

    /// The spans, oldest first.
    pub fn spans(&self) -> Vec<Told> {
        self.kept.lock().spans.clone()
    }

    /// All that came, names and values, for who looks for what should not be there.
    pub fn text(&self) -> String {
        self.kept.lock().text.clone()
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut kept = self.lock();
        let request = request.into_inner();
        kept.text += &format!("{request:?}\n");
        for of_resource in request.resource_logs {
            let resource = of(of_resource.resource);
            for record in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                kept.logs.push(Told {
                    name: record.body.map(text).unwrap_or_default(),
                    began: record.time_unix_nano,
                    trace_id: hex(&record.trace_id),
                    span_id: hex(&record.span_id),
                    parent_id: String::new(),
                    attributes: attributes(record.attributes),
                    resource: resource.clone(),
                });
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.lock();
        let request = request.into_inner();
        kept.text += &format!("{request:?}\n");
        for of_resource in request.resource_spans {
            let resource = of(of_resource.resource);
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                kept.spans.push(Told {
                    name: span.name,
                    began: span.start_time_unix_nano,
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_id: hex(&span.parent_span_id),
                    attributes: attributes(span.attributes),
                    resource: resource.clone(),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn of(resource: Option<Resource>) -> Attributes {
    attributes(resource.map(|resource| resource.attributes).unwrap_or_default())
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
