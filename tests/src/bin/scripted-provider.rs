//! The scripted model provider as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_tests::failure::{Failure, OrFail as _, exit};
use tollgate_tests::provider::record::Recorder;
use tollgate_tests::provider::{Site, serve};

/// Answers like OpenAI, Anthropic and Gemini, and fails when request headers say so.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// File that gets the port once connections are accepted.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// What instructions in request headers may call it.
    #[arg(long, default_value = "primary")]
    name: String,
    /// Keep no requests for /_requests; for benchmarks.
    #[arg(long)]
    no_record: bool,
}

fn main() -> ExitCode {
    exit(run(&Args::parse()))
}

#[tokio::main]
async fn run(args: &Args) -> Result<(), Failure> {
    let listener = TcpListener::bind(args.listen)
        .await
        .or_fail(format_args!("cannot listen on {}", args.listen), "free the port or give another with --listen")?;
    let mut terminate =
        signal(SignalKind::terminate()).or_fail("cannot wait for SIGTERM", "run it on Linux or macOS")?;
    let address = listener.local_addr().or_fail("no local address", "give another with --listen")?;
    eprintln!("scripted provider on http://{address}");
    if let Some(path) = &args.port_file {
        tokio::fs::write(path, format!("{}\n", address.port()))
            .await
            .or_fail(format_args!("cannot write {}", path.display()), "give a writable --port-file")?;
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    serve(listener, None, Arc::new(Site::new(&args.name, Recorder::new(!args.no_record))), stop).await;
    Ok(())
}
