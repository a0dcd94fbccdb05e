use super::*;

fn shipped() -> Vectors {
    serde_json::from_str(include_str!("../../tests/data/jws-vectors.json")).unwrap()
}

#[test]
fn every_vector_gets_its_verdict_from_the_module_and_from_the_proxy() {
    let tally = run(&shipped());
    assert_eq!(tally.disagreements, Vec::<String>::new());
    assert_eq!((tally.valid, tally.invalid, tally.acceptable), (26, 206, 0));
}

/// The second way is one: where the proxy may judge, its word counts.
#[test]
fn the_proxy_is_asked_for_rs_and_es_and_for_nothing_else() {
    struct Naysayer;
    impl Signatures for Naysayer {
        fn verify(&self, _hash: Hash, _spki: &[u8], _signature: &[u8], _text: &[u8]) -> Option<bool> {
            Some(false)
        }
    }
    for group in shipped().groups {
        for test in group.tests.iter().filter(|test| test.result == "valid") {
            let jws = Jws::parse(test.jws.as_str().unwrap()).unwrap();
            let is_asked = jws.algorithm().starts_with("RS") || jws.algorithm().starts_with("ES");
            assert_eq!(judge(&group, test, &Naysayer).is_ok(), !is_asked, "{}", jws.algorithm());
        }
    }
}

#[test]
fn a_wrong_expectation_is_a_disagreement() {
    let mut vectors = shipped();
    vectors.groups.truncate(1);
    vectors.groups[0].tests.truncate(2);
    vectors.groups[0].tests[0].result = "invalid".into();
    vectors.groups[0].tests[1].result = "acceptable".into();
    let tally = run(&vectors);
    assert_eq!((tally.valid, tally.invalid, tally.acceptable), (0, 1, 1));
    let line = "test 1 (RFC 7515 appendix A (HS256): the example) should be invalid; module: valid; proxy: valid";
    assert_eq!(tally.disagreements, [line]);
}
