//! What the gateway promises, held by real Envoys: one file a promise.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests fail loudly, and their names say the rule"
)]

mod auth;
mod auth_minted;
mod auth_models;
mod auth_outgoing;
mod auth_remote;
mod auth_rotation;
mod auth_tokens;
mod budget;
mod budget_faults;
mod budget_load;
mod budget_promises;
mod budget_sdk;
mod budget_slots;
mod cache;
mod chain;
mod container;
mod drill_load;
mod drill_page;
mod drill_provider;
mod drill_region;
mod edge_callers;
mod edge_http1;
mod edge_http2;
mod edge_overload;
mod edge_tls;
mod faults;
mod front;
mod front_regions;
mod front_restarts;
mod hosttraps;
mod hot_reload;
mod mesh;
mod metrics;
mod metrics_catalogue;
mod metrics_ends;
mod metrics_listener;
mod metrics_money;
mod metrics_times;
mod monitoring;
mod monitoring_load;
mod protocol;
mod provider_accounts;
mod provider_bad_input;
mod provider_bodies;
mod provider_cache;
mod provider_cooling;
mod provider_credentials;
mod provider_dialects;
mod provider_fallback;
mod provider_fleet;
mod provider_outage;
mod provider_paths;
mod provider_routing;
mod provider_sdk;
mod provider_secrets;
mod provider_sticky;
mod provider_streams;
mod provider_traps;
mod rendered;
mod sdk;
mod streaming;
mod telemetry;
mod telemetry_secrets;
