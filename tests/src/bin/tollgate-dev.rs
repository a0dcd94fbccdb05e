//! What the scripts need and a shell cannot do: keys, tokens, and an Envoy configuration for one run.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};
use tollgate_tests::failure::{Failure, OrFail as _, exit};
use tollgate_tests::render::{Address, Run, Telemetry, Tls, Upstream, render};
use tollgate_tests::secrets::{Secrets, check_tenant, key_entry, random_id, random_key};

/// Where `scripts/up` keeps the demo secrets.
const SECRETS: &str = ".run/secrets";
/// Longest life of a demo token: 30 days.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Helper of Tollgate's scripts.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Makes the demo keys that are missing in a folder; UPSTREAM_API_KEY replaces the provider's key.
    DemoSecrets {
        /// The folder.
        dir: PathBuf,
    },
    /// Prints a fresh API key, once, and the entry to paste into the list of keys.
    NewKey {
        /// Who pays.
        tenant: String,
        /// What logs call the key; made up unless given.
        #[arg(long)]
        id: Option<String>,
    },
    /// Prints a JWT of the demo issuer.
    NewToken {
        /// Who pays.
        tenant: String,
        /// How long it is valid: 45s, 10m, 1h or 7d.
        #[arg(long, default_value = "1h")]
        ttl: String,
        /// The folder of the demo secrets.
        #[arg(long, default_value = SECRETS)]
        secrets: PathBuf,
    },
    /// Writes envoy.yaml with the addresses and files of one run.
    RenderEnvoy(Box<RenderArgs>),
}

#[derive(Args)]
struct RenderArgs {
    /// The committed configuration.
    #[arg(long, default_value = "envoy/envoy.yaml")]
    input: PathBuf,
    /// Where the result goes.
    #[arg(long)]
    output: PathBuf,
    /// HOST:PORT where clients call.
    #[arg(long)]
    listen: String,
    /// HOST:PORT of Envoy's admin page.
    #[arg(long)]
    admin: String,
    /// HOST:PORT where Prometheus reads.
    #[arg(long)]
    metrics: String,
    /// Folder of the wasm modules.
    #[arg(long)]
    filters: PathBuf,
    /// http://HOST:PORT or https://HOST in place of the address of the provider `primary`.
    #[arg(long)]
    upstream: Option<String>,
    /// http://HOST:PORT of an OpenTelemetry collector that takes OTLP over gRPC.
    #[arg(long)]
    otlp: Option<String>,
    /// The share of calls without a trace of their own that are traced, 0 to 1.
    #[arg(long, default_value_t = 1.0, requires = "otlp")]
    sampled: f64,
    /// For Envoy 1.36, which cannot say all of it.
    #[arg(long = "for-1.36", requires = "otlp")]
    for_1_36: bool,
    /// PEM file of the certificate that clients are shown; they speak TLS then.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// PEM file of the authority that clients' certificates must be of.
    #[arg(long, requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Folder of the secrets.
    #[arg(long, default_value = SECRETS)]
    secrets: PathBuf,
    /// HTTP filter to leave out, by name; may be repeated.
    #[arg(long, value_name = "FILTER")]
    without: Vec<String>,
    /// Configuration of a filter from another file, as FILTER=FILE; may be repeated.
    #[arg(long, value_name = "FILTER=FILE")]
    config: Vec<String>,
}

fn main() -> ExitCode {
    exit(run(Command::parse()))
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::DemoSecrets { dir } => {
            let key = env::var("UPSTREAM_API_KEY").ok().filter(|key| !key.is_empty());
            Secrets::create(&dir, key.as_deref()).map(drop)
        }
        Command::NewKey { tenant, id } => new_key(&tenant, id),
        Command::NewToken { tenant, ttl, secrets } => {
            print(&Secrets::open(&secrets).token(&tenant, parse_ttl(&ttl)?)?)
        }
        Command::RenderEnvoy(args) => render_envoy(*args),
    }
}

fn new_key(tenant: &str, id: Option<String>) -> Result<(), Failure> {
    check_tenant(tenant)?;
    let id = match id {
        Some(id) => check_tenant(&id).map(|()| id)?,
        None => random_id(tenant)?,
    };
    let key = random_key()?;
    let entry = key_entry(tenant, &id, &key);
    print(&format!(
        "key, shown this once: {key}\n\
         entry for the array in .run/secrets/api-keys.json (then scripts/down and scripts/up), or in the variable \
         TOLLGATE_API_KEYS,\nor in `api_keys.inline` of the auth filter:\n{entry}"
    ))
}

fn render_envoy(args: RenderArgs) -> Result<(), Failure> {
    let mut configurations = BTreeMap::new();
    for pair in &args.config {
        let (filter, file) = pair
            .split_once('=')
            .ok_or_else(|| Failure::new(format_args!("--config {pair} has no `=`"), "write FILTER=FILE"))?;
        let text =
            std::fs::read_to_string(file).or_fail(format_args!("cannot read {file}"), "give an existing file")?;
        configurations.insert(filter.to_owned(), text);
    }
    let absolute = |path: PathBuf| {
        std::path::absolute(&path)
            .or_fail(format_args!("cannot resolve {}", path.display()), "give an existing folder")
    };
    let secrets = absolute(args.secrets)?;
    let tls = match (args.tls_cert, args.tls_key) {
        (Some(certificate), Some(key)) => {
            let client_ca = args.tls_client_ca.map(absolute).transpose()?;
            Some(Tls { certificate: absolute(certificate)?, key: absolute(key)?, client_ca })
        }
        _ => None,
    };
    if let Some(tls) = &tls {
        tls.write(&secrets)?;
    }
    let run = Run {
        listen: args.listen.parse::<Address>()?,
        admin: args.admin.parse()?,
        metrics: args.metrics.parse()?,
        filters: absolute(args.filters)?,
        providers: None,
        upstream: args.upstream.map(|url| url.parse::<Upstream>()).transpose()?,
        is_http2: false,
        secrets,
        configurations,
        without: BTreeSet::from_iter(args.without),
        moves: Vec::new(),
        clusters: BTreeMap::new(),
        telemetry: args.otlp.as_deref().map(|url| telemetry(url, args.sampled, args.for_1_36)).transpose()?,
        tls,
        edits: Vec::new(),
        route_timeout: None,
        is_unrouted: false,
        is_split: false,
        pushed: None,
    };
    let text = render(&args.input, &run)?;
    std::fs::write(&args.output, text)
        .or_fail(format_args!("cannot write {}", args.output.display()), "give a writable --output")
}

/// Where `http://HOST[:PORT]` leads, as the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn telemetry(url: &str, sampled: f64, is_for_1_36: bool) -> Result<Telemetry, Failure> {
    if !(0.0..=1.0).contains(&sampled) {
        return Err(Failure::new(format_args!("`{sampled}` is no share of the calls"), "write 0 to 1, as 0.1"));
    }
    let wrong = || {
        let remedy = "write http://HOST:4317, a collector that takes OTLP over gRPC; one that wants TLS needs a cluster of your own, see envoy/OPENTELEMETRY.md";
        Failure::new(format_args!("the collector's address `{url}` is not http://HOST:PORT"), remedy)
    };
    let authority = url.strip_prefix("http://").ok_or_else(wrong)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(wrong());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let address = if has_port { authority.parse() } else { format!("{authority}:4317").parse() };
    Ok(Telemetry { collector: address.map_err(|_: Failure| wrong())?, sampled, is_for_1_36 })
}

/// `45s`, `10m`, `1h` or `7d`.
fn parse_ttl(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        Failure::new(
            format_args!("`{}` is no time to live", text.escape_debug()),
            "write 45s, 10m, 1h or 7d, at most 30d",
        )
    };
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        _ => return Err(wrong()),
    };
    let count: u64 = text.trim_end_matches(['s', 'm', 'h', 'd']).parse().map_err(|_| wrong())?;
    let ttl = count.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)?;
    if ttl.is_zero() || ttl > MAX_TTL { Err(wrong()) } else { Ok(ttl) }
}

fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").or_fail("cannot write the result", "keep stdout open")
}
