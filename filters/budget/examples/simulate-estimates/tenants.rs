//! Who calls: tenants and their applications, as a table.
//!
//! Medians and spread of chat and code completion are those of the Azure LLM inference traces of 2023 (Patel et al., "Splitwise",
//! ISCA 2024, §III: prompts 1,020 and 1,500 tokens, outputs 129 and 13; means 1,155 and 2,048, 211 and 28). Those traces have
//! no agents, no retrieval and no reasoning; the figures for these, the declared maxima and the bursts are made up after what
//! clients do. Lengths are log-normal, or a mixture of two.

/// Lengths in tokens: log-normal by its median and the standard deviation of its logarithm.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    pub(crate) median: f64,
    pub(crate) sigma: f64,
}

/// One use that a tenant makes of a model. Its declared maximum is part of its code.
pub(crate) struct Application {
    pub(crate) model: &'static str,
    /// Its part of the tenant's calls.
    pub(crate) weight: f64,
    pub(crate) declared: Option<u64>,
    pub(crate) prompt: Length,
    pub(crate) output: Length,
    /// Another kind of answer, and in what share of the calls it comes: a final text between tool calls.
    pub(crate) other: Option<(f64, Length)>,
    /// By how much answers get longer in the middle of the run, when the prompt is changed.
    pub(crate) drift: f64,
}

/// One tenant, or several alike.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    /// Calls a minute, on average.
    pub(crate) rate: f64,
    /// Calls come in bursts: mean seconds of a burst and of the calm after it.
    pub(crate) burst: (f64, f64),
    /// What part of the burst's rate comes in the calm.
    pub(crate) calm_rate: f64,
    /// What it would use if nothing was refused, as a part of its limit.
    pub(crate) demand: f64,
    pub(crate) applications: Vec<Application>,
}

const fn length(median: f64, sigma: f64) -> Length {
    Length { median, sigma }
}

fn application(weight: f64, declared: Option<u64>, prompt: Length, output: Length) -> Application {
    Application { model: "gpt-4.1", weight, declared, prompt, output, other: None, drift: 1.0 }
}

/// The usual part of a burst's rate in the calm.
const CALM: f64 = 0.1;
const CHAT: (Length, Length) = (length(1_020.0, 0.5), length(129.0, 0.99));
const CODE: (Length, Length) = (length(1_500.0, 0.79), length(13.0, 1.24));

/// All of them.
pub(crate) fn all() -> Vec<Tenant> {
    let mut tenants = steady();
    tenants.extend(drifting());
    // Two hundred calls within seconds, now and then, against a limit of a hundred calls' worth; the first ones cold.
    tenants.push(Tenant {
        name: "stampedes",
        count: 1,
        rate: 20.0,
        burst: (5.0, 595.0),
        calm_rate: 0.0,
        demand: 0.2,
        applications: vec![application(1.0, Some(4_096), length(700.0, 0.5), length(600.0, 0.5))],
    });
    tenants.push(Tenant {
        name: "20 small chats",
        count: 20,
        rate: 1.0,
        burst: (60.0, 300.0),
        calm_rate: CALM,
        demand: 0.3,
        applications: vec![application(0.5, Some(4_096), CHAT.0, CHAT.1), application(0.5, None, CHAT.0, CHAT.1)],
    });
    tenants
}

fn steady() -> Vec<Tenant> {
    let tenant = |name, rate, burst, demand, applications| Tenant {
        name,
        count: 1,
        rate,
        burst,
        calm_rate: CALM,
        demand,
        applications,
    };
    let rag = (length(6_000.0, 0.6), length(250.0, 0.7));
    let summary = (length(3_000.0, 0.5), length(160.0, 0.35));
    let reasoning = (length(800.0, 0.8), length(1_800.0, 1.0));
    let chat = vec![
        application(0.6, None, CHAT.0, CHAT.1),
        application(0.25, Some(1_024), CHAT.0, CHAT.1),
        application(0.15, Some(4_096), CHAT.0, CHAT.1),
    ];
    let documents = vec![application(0.7, Some(1_024), rag.0, rag.1), application(0.3, Some(4_096), rag.0, rag.1)];
    let thinking = vec![
        Application { model: "o4-mini", ..application(0.5, None, reasoning.0, reasoning.1) },
        Application { model: "o4-mini", ..application(0.5, Some(32_000), reasoning.0, reasoning.1) },
    ];
    vec![
        tenant("chat", 120.0, (60.0, 180.0), 0.8, chat),
        tenant("code completion", 300.0, (120.0, 120.0), 0.9, vec![application(1.0, Some(256), CODE.0, CODE.1)]),
        tenant("documents (RAG)", 60.0, (60.0, 120.0), 0.9, documents),
        tenant("agents", 60.0, (30.0, 90.0), 0.9, agents()),
        tenant(
            "batch summaries",
            40.0,
            (10.0, 240.0),
            0.5,
            vec![application(1.0, Some(1_024), summary.0, summary.1)],
        ),
        tenant("reasoning", 30.0, (60.0, 120.0), 0.9, thinking),
    ]
}

/// Many tool calls, and now and then a file or a final text; the history makes prompts long.
fn agents() -> Vec<Application> {
    let other = Some((0.3, length(900.0, 0.8)));
    let agent = |weight, declared| Application {
        other,
        ..application(weight, declared, length(12_000.0, 0.9), length(60.0, 0.5))
    };
    vec![agent(0.6, Some(32_000)), agent(0.25, Some(4_096)), agent(0.15, None)]
}

/// Tenants that change their prompt in the middle.
fn drifting() -> Vec<Tenant> {
    let drifting = |name, declared, median, drift| Tenant {
        name,
        count: 1,
        rate: 60.0,
        burst: (60.0, 120.0),
        calm_rate: CALM,
        demand: 0.9,
        applications: vec![Application {
            drift,
            ..application(1.0, declared, length(700.0, 0.5), length(median, 0.6))
        }],
    };
    vec![
        drifting("answers grow", Some(4_096), 80.0, 8.0),
        drifting("answers grow, no maximum", None, 80.0, 8.0),
        drifting("answers shrink", Some(4_096), 800.0, 0.15),
    ]
}
