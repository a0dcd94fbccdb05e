//! What is to be said of labels, and of the metrics as a whole.

/// The labels whose values are not plain from their name.
pub(super) const LABEL_NOTES: &[(&str, &str)] = &[
    ("route", "Envoy's route name; `none` where no route matched or it has no name"),
    (
        "model",
        "the model that ran; where none ran, the one that the provider filter decided on; without that filter, the one that the call \
         names. `other`: it is not listed in `models` of `metrics.json` (of attempts: not named in `providers.json`); `none`: there is \
         none",
    ),
    (
        "provider",
        "the provider asked last, so the one that answered, by its name in `providers.json`; without a provider filter, or before \
         anybody was asked, the cluster that the call's route led to; `none`: answered by the gateway itself (refusal, cache hit), \
         or no route",
    ),
    (
        "status",
        "the response code; `0`: the client left before any response began; of attempts `no_answer`: none began; `other`: no \
         HTTP status",
    ),
    (
        "tenant",
        "who is charged, as auth says; `none`: nobody (no credential was accepted, or no auth filter runs); `other`: neither listed in \
         `tenants` of `metrics.json` nor among the first that came",
    ),
    ("unit", "`tokens`, `requests` or `microusd`, millionths of a US dollar"),
    (
        "type",
        "of tokens `input` or `output`, the provider's own totals (OpenTelemetry `gen_ai.token.type`); of signatures \
         `remembered` (by this worker), `proxy` (checked by Envoy) or `module` (checked in the filter)",
    ),
    ("part", "disjoint parts; of input `uncached`, `cached`, `cache_write`; of output `answer`, `reasoning`"),
    ("pool", "a pool of `providers.json`; `none`: no pool was chosen"),
    ("source", "`api_keys`, or the name of the issuer"),
    (
        "result",
        "of auth `allowed`, `denied`; of a fetch `fetched`, `not_modified`, `unreachable`, `status` (any other than 200, 304, 503 \
         and 504), `too_large`, `unreadable`; of a route `routed`, `overridden`, `unknown_model`, `no_model` (by the rule of that name), `cooling` (all its \
         providers asked for patience), `not_found`, `refused` (not understood); of the cache `bypass`, `hit`, `miss`, `refresh`; of an answer that could be stored `stored`, `not_cacheable` (its status or \
         headers), `too_large`, `incomplete` (cut, an error, or ended by a limit), `stand_in` (another model answered)",
    ),
    ("reason", "allowed: how the caller proved who it is; denied: the code of the refusal"),
    (
        "decision",
        "`allowed`, `denied`, `bypassed`; `shadow_denied`: a rule in shadow mode would have; `ended`: a stream was ended at a \
         hard cap; `capped`: a provider reported more than any call can use; shared state gave out: `exhausted`, `contended`, \
         `unsettled`",
    ),
    ("rule_name", "the rule that made the decision `denied`, `shadow_denied` or `ended`; others name none"),
    (
        "filter",
        "`metrics`, `auth`, `provider`, `budget`, `cache`; of durations `route` and `adapt` in place of `provider`, and a call of \
         `adapt` is one attempt",
    ),
    ("le", "upper edge in the histogram's unit; the last is `+Inf`"),
];

/// What is true of all of them.
pub(super) const NOTES: &str = "\
- `sum by (type) (gateway_tokens_total)` is what providers bill as input and output; a plain `sum` counts each token once.
- Tokens of a fallback to another model are of that model, as `model` of the call is. A stand-in that is not listed is `other`, never
  the model that was asked.
- A failed call (status 400 or above) counts tokens only if its provider reported them. A call that was cut before its
  provider reported any counts an estimate: the budget filter's, or where none runs, of the output alone.
- Time per output token counts where the provider reported the tokens: not of a stream that was cut.
- The histograms are Envoy's own; the page shows what its last flush brought, every 5 seconds. Edges stand in
  `stats_config.histogram_bucket_settings` of `envoy/envoy.yaml`. Buckets are exact; `_sum` is made of Envoy's own finer bins
  and off by up to a few per cent.
- Histograms in seconds: where `histograms` of `metrics.json` is `access_log`, Envoy's stats access loggers make them (Envoy 1.37 or
  later). Where it is `microseconds` (Envoy 1.36, Istio) the page has `…_microseconds` in their stead, with the same labels, and the recording
  rules of `envoy/prometheus/` make the ones in seconds.
- Costs are whole millionths: each worker holds back less than one of each series.
- A series appears with its first call. Label values come from closed sets, so clients cannot make series.
";
