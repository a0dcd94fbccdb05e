//! Calls whose model route decided on, and whom adapt says to have answered. The test leaves what they would leave.

use tollgate_core::handoff::{Attempt, Routing, set_attempt, set_routing};

use super::*;

impl World {
    /// Asks the question, which names one model, where another was decided on.
    fn ask_routed(&self, model: &str, pool: &str) -> Result<Call<CacheStream>, Reply> {
        let mut call = self.call(Some("acme"));
        // At the head nobody knows yet.
        assert_eq!(call.request_headers(&head(CHAT), false), Flow::Continue);
        let routing = Routing { asked: Some("gpt-4.1".into()), model: Some(model.into()), pool: pool.into() };
        set_routing(&mut call.handoff, &routing);
        call.request_body(&[QUESTION.as_bytes()]).map(|_| call)
    }

    /// The question, routed and answered by this provider with this model.
    fn answered_by(&self, model: &str, provider: &str, ran: &str) -> Call<CacheStream> {
        let mut call = self.ask_routed(model, "gpt").expect("nothing is stored");
        let attempt = Attempt { provider: provider.into(), model: Some(ran.into()), stands_in: ran != model };
        set_attempt(&mut call.handoff, &attempt);
        assert_eq!(
            call.response(JSON_HEAD, ANSWER.as_bytes()),
            ANSWER.as_bytes(),
            "the answer is passed on as it came"
        );
        call.log();
        call
    }
}

#[test]
fn an_alias_that_points_elsewhere_never_brings_the_old_models_answer() {
    let world = World::new("{}");
    world.answered_by("gpt-4.1", "openai", "gpt-4.1");
    assert!(world.ask_routed("gpt-4.1", "gpt").is_err(), "a hit");
    assert!(world.ask_routed("gpt-4.1-mini", "gpt").is_ok(), "the same question, overridden or pointed elsewhere");
    assert!(world.ask_routed("gpt-4.1", "canary").is_ok(), "the same model, split to another pool");
    assert_eq!(world.stored(), None, "nor does a call that nobody routed get it");
}

#[test]
fn what_was_stored_before_anybody_routed_is_not_served_to_a_routed_call() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert!(world.ask_routed("gpt-4.1", "gpt").is_ok());
    assert!(world.stored().is_some());
}

#[test]
fn a_fallback_to_another_provider_of_the_same_model_is_stored_and_served() {
    let world = World::new("{}");
    let mut call = world.ask_routed("gpt-4.1", "gpt").unwrap();
    for provider in ["openai", "azure-eu"] {
        let attempt = Attempt { provider: provider.into(), model: Some("gpt-4.1".into()), stands_in: false };
        set_attempt(&mut call.handoff, &attempt);
    }
    call.response(JSON_HEAD, ANSWER.as_bytes());
    let hit = world.ask_routed("gpt-4.1", "gpt").expect_err("a hit");
    assert_eq!(hit.body, ANSWER.as_bytes());
}

#[test]
fn the_answer_of_a_stand_in_is_passed_on_and_not_stored() {
    let world = World::new("{}");
    let call = world.answered_by("claude-sonnet-4-5", "openai", "gpt-4.1");
    assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("miss"));
    assert_eq!(world.proxy.store.keys(), 0);
    world.answered_by("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5");
    assert!(world.ask_routed("claude-sonnet-4-5", "gpt").is_err(), "the asked model's own answer is");
}
