//! The README shows what is accepted.

use std::collections::BTreeSet;

use tollgate_core::Refusal;

use super::*;
use crate::denial::Denial;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_example_of_the_readme_is_accepted() {
    let example = README.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let env = [("TOLLGATE_API_KEYS", "[]"), ("KEYS_TOKEN", "secret")];
    let policy = read_in(&env, &serde_json::from_str(example).unwrap()).unwrap();
    assert_eq!(policy.remotes().count(), 2);
    assert_eq!(caller(&policy, "abc").identity.tier.as_deref(), Some("gold"));
}

#[test]
fn the_readme_lists_every_code_under_its_status() {
    let by_grant = [Refusal::EndpointNotAllowed, Refusal::ModelNotAllowed, Refusal::InvalidRequest];
    let refusals = Denial::ALL.iter().map(|denial| denial.refusal()).chain(by_grant);
    let expected: BTreeSet<(u16, &str)> = refusals.map(|refusal| (refusal.status(), refusal.code())).collect();
    let known: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
    let mut listed = BTreeSet::new();
    for line in README.lines() {
        let Some((status, codes)) = line.strip_prefix("| ").and_then(|line| line.split_once(" | ")) else { continue };
        let Ok(status) = status.parse() else { continue };
        listed.extend(codes.split('`').filter(|word| known.contains(word)).map(|code| (status, code)));
    }
    assert_eq!(listed, expected);
}
