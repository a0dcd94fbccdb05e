//! One call at route, phase by phase.

use std::fmt;
use std::rc::Rc;

use tollgate_core::handoff::{self, Routing};
use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, Flow, HeaderList, Reply, Stream, header};
use tollgate_llm::{Api, BadRequest, Dialect, model_in_body};

use super::asked::{self, Asked, Unclear};
use super::decide;
use super::lane::{Lane, Patience};
use super::meters::Verdict;
use super::outcome::{self, PROVIDER};
use super::{Route, answer, sticky};
use crate::config::{is_name, key};
use crate::cooling::Cooling;

/// What the gateway itself answers.
const OWN_PATHS: &[u8] = b"/gateway/";
/// Headers that tell Envoy or the caller what was decided. Nobody outside may send them.
const OURS: &[&str] = &["x-gateway-pool", "x-gateway-model", "x-gateway-lane", "x-gateway-sticky", PROVIDER];
/// Those that carry a provider's credential begin so.
const CREDENTIALS: &str = "x-gateway-credential";

/// One call.
pub struct RouteStream {
    route: Rc<Route>,
    dialect: Dialect,
    phase: Phase,
    /// Whether the pool has more than one endpoint to ask.
    has_choice: bool,
}

impl fmt::Debug for RouteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteStream").finish_non_exhaustive()
    }
}

enum Phase {
    /// The gateway answers it, or it was refused.
    Outside,
    /// The body will name the model.
    Reading(Api),
    /// It is known where it goes; the body will tell what it has in common with others.
    Sticking(String),
    /// All is known.
    Decided,
}

/// Where a call goes.
struct Gone {
    /// The model that runs, where calls of one prompt go to one endpoint.
    sticks_by: Option<String>,
}

impl RouteStream {
    /// Opens it.
    pub fn open(route: &Rc<Route>) -> Self {
        Self { route: Rc::clone(route), dialect: Dialect::OpenAi, phase: Phase::Outside, has_choice: false }
    }
}

impl Stream for RouteStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let all = headers.all();
        strip(&all, headers);
        let path = all.first(":path").unwrap_or_default();
        if path.starts_with(OWN_PATHS) {
            return Flow::Continue;
        }
        self.dialect = Dialect::of(path);
        match asked::at_head(&all, path, last) {
            Asked::InBody => {
                let most = self.route.policy.max_body_bytes;
                if header::declared_length(&all).is_some_and(|length| length > most as u64) {
                    return self.refuse(cx, answer::too_large(self.dialect, most));
                }
                self.phase = Phase::Reading(Api::of(path));
                Flow::Continue
            }
            Asked::Model(model) => match self.decide(cx, Some(&model)) {
                Ok(Gone { sticks_by: Some(model) }) if !last && asked::may_be_json(&all) => {
                    self.phase = Phase::Sticking(model);
                    Flow::Continue
                }
                Ok(_) => self.go_on(),
                Err(reply) => Flow::Reply(reply),
            },
            Asked::Nothing => match self.decide(cx, None) {
                Ok(_) => self.go_on(),
                Err(reply) => Flow::Reply(reply),
            },
            Asked::Unclear(unclear) => self.refuse(cx, answer::unclear(self.dialect, &unclear)),
        }
    }

    fn reads_request_body(&self) -> bool {
        matches!(self.phase, Phase::Reading(_) | Phase::Sticking(_))
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let most = self.route.policy.max_body_bytes;
        let is_too_long = body.len() > most;
        match &self.phase {
            Phase::Outside | Phase::Decided => Flow::Continue,
            Phase::Reading(_) if is_too_long => self.refuse(cx, answer::too_large(self.dialect, most)),
            // Which endpoint it meets is a matter of cost alone.
            Phase::Sticking(_) if is_too_long => self.go_on(),
            Phase::Reading(_) | Phase::Sticking(_) if !last => Flow::Wait,
            Phase::Sticking(model) => {
                stick(cx, model, &body.read());
                self.go_on()
            }
            Phase::Reading(api) => {
                let bytes = body.read();
                let asked = match asked_in_body(*api, &bytes) {
                    Ok(asked) => asked,
                    Err(bad) => return self.refuse(cx, answer::unclear(self.dialect, &Unclear::Body(bad))),
                };
                match self.decide(cx, asked.as_deref()) {
                    Ok(gone) => {
                        if let Some(model) = gone.sticks_by {
                            stick(cx, &model, &bytes);
                        }
                        self.go_on()
                    }
                    Err(reply) => {
                        self.phase = Phase::Outside;
                        Flow::Reply(reply)
                    }
                }
            }
        }
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        if !matches!(self.phase, Phase::Decided) {
            return Flow::Continue;
        }
        let sees = outcome::Sees { provider: self.route.policy.show_provider, failure_of_one: !self.has_choice };
        match outcome::of_head(cx, headers, self.dialect, sees) {
            Some(reply) => Flow::Reply(reply),
            None => Flow::Continue,
        }
    }
}

impl RouteStream {
    /// Decides, and leaves it for those behind and for Envoy.
    fn decide(&mut self, cx: &mut Cx<'_>, asked: Option<&str>) -> Result<Gone, Reply> {
        let route = Rc::clone(&self.route);
        let Route { policy, meters, dice } = &*route;
        let caller = if policy.overrides.is_empty() { None } else { handoff::identity(cx.handoff) };
        let asked = asked.filter(|name| !key(name).is_empty());
        if asked.is_some_and(|name| !is_name(name)) {
            meters.count(cx.meter, Verdict::Refused);
            return Err(answer::unclear(self.dialect, &Unclear::NoName));
        }
        let decision = match asked {
            Some(name) => decide::with_model(policy, dice, caller.as_ref(), name),
            None => decide::without_model(policy, dice, caller.as_ref()),
        };
        let found = decision.and_then(|decision| Some((policy.pools.get(decision.pool)?, decision)));
        let Some((pool, decision)) = found else {
            meters.count(cx.meter, Verdict::NotFound);
            return Err(self.not_found(asked));
        };
        let model = decision.model;
        let cooling = Cooling::load(cx.store);
        let patience = Patience { now: cx.now, most: policy.max_cooldown };
        match Lane::of(pool, model.as_deref(), &policy.providers, &cooling, patience) {
            Lane::All => {}
            Lane::Some(lane) => cx.handoff.set(handoff::LANE, lane.as_bytes()),
            Lane::None(until) => {
                meters.count(cx.meter, Verdict::Cooling(decision.pool));
                return Err(answer::cooling(self.dialect, until.since(cx.now)));
            }
        }
        meters.count(cx.meter, Verdict::Sent(decision.pool, decision.how));
        self.has_choice = pool.endpoints.len() > 1;
        let sticks_by = model.clone().filter(|_| pool.is_sticky);
        let routing = Routing { asked: asked.map(str::to_owned), model, pool: pool.name.clone() };
        handoff::set_routing(cx.handoff, &routing);
        cx.route.forget();
        Ok(Gone { sticks_by })
    }

    fn not_found(&self, asked: Option<&str>) -> Reply {
        match (asked, &self.phase) {
            (Some(name), _) => answer::model_not_found(self.dialect, name),
            (None, Phase::Reading(api)) if api.is_inference() => answer::unclear(self.dialect, &Unclear::Nameless),
            (None, _) => answer::not_found(self.dialect),
        }
    }

    fn go_on(&mut self) -> Flow {
        self.phase = Phase::Decided;
        Flow::Continue
    }

    fn refuse(&mut self, cx: &mut Cx<'_>, reply: Reply) -> Flow {
        self.route.meters.count(cx.meter, Verdict::Refused);
        self.phase = Phase::Outside;
        Flow::Reply(reply)
    }
}

/// Takes out what only the gateway may say.
fn strip(all: &HeaderList, headers: &mut dyn Headers) {
    let names = all.iter().filter_map(|(name, _)| str::from_utf8(name).ok());
    for name in names.filter(|name| OURS.contains(name) || name.starts_with(CREDENTIALS)) {
        headers.remove(name);
    }
}

/// The model that a whole body names. At endpoints that run no model we know, what is no JSON object names none.
fn asked_in_body(api: Api, body: &[u8]) -> Result<Option<String>, BadRequest> {
    if !api.is_inference() && !body.trim_ascii_start().starts_with(b"{") {
        return Ok(None);
    }
    model_in_body(body)
}

fn stick(cx: &mut Cx<'_>, model: &str, body: &[u8]) {
    let tenant = handoff::identity(cx.handoff).map(|caller| caller.tenant).unwrap_or_default();
    if let Some(hash) = sticky::hash(&tenant, model, body) {
        cx.handoff.set(handoff::STICKY, hash.as_bytes());
    }
}
