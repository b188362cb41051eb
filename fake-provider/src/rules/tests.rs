use super::*;

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn to(number: &str) -> Asked<'_> {
    Asked {
        to: number,
        from: None,
        script: None,
        metadata: None,
    }
}

#[test]
fn patterns_match_the_ends_and_the_whole() {
    for (pattern, number, expected) in [
        ("*", "+14155550100", true),
        ("*07", "+14155550107", true),
        ("*07", "+14155550170", false),
        ("+1415*", "+14155550107", true),
        ("+1415*", "+4415", false),
        ("+1*5*7", "+14155550107", true),
        ("+1415555010?", "+14155550107", true),
        ("+1415555010?", "+141555501", false),
    ] {
        assert_eq!(
            rule(&format!("{pattern}=busy")).matches(to(number), || 0.0),
            expected,
            "{pattern} {number}"
        );
    }
}

#[test]
fn a_rule_may_ask_for_what_else_the_request_says_and_for_a_share() {
    let metadata = serde_json::json!({"campaign": "spring", "n": 1});
    let asked = Asked {
        from: Some("+18005550100"),
        script: Some("bad_7"),
        metadata: metadata.as_object(),
        ..to("+14155550107")
    };
    for (pattern, expected) in [
        ("to:*07", true),
        ("script:bad*", true),
        ("script:good*", false),
        ("from:+1800*", true),
        ("metadata.campaign:spring", true),
        ("metadata.n:1", false),
        ("metadata.other:*", false),
        ("script:bad*&*07", true),
        ("script:bad*&*08", false),
        ("6%", true),
        ("5%", false),
        ("script:bad*&5%", false),
        ("0%", false),
        ("100%", true),
    ] {
        let found = rule(&format!("{pattern}=busy")).matches(asked, || 5.0);
        assert_eq!(found, expected, "{pattern}");
    }
    assert!(!rule("from:*=busy").matches(to("+14155550107"), || 0.0));
}

#[test]
fn a_refusal_has_words_and_a_time_to_wait() {
    let rules = [rule("*=reject:503:no room,retry_after:2.5,places_anyway")];
    let plan = Plan::read(&rules, to("+14155550107"), 0, || 0.0);
    let refusal = plan.refusal.clone().unwrap();
    assert_eq!((refusal.status, &*refusal.words), (503, "no room"));
    assert_eq!(refusal.retry_after.as_deref(), Some("2.5"));
    assert!(plan.does(&Behaviour::PlacesAnyway));
}

#[test]
fn every_behaviour_of_the_help_text_reads() {
    for (word, ending) in Ending::ALL {
        assert_eq!(word.parse::<Behaviour>().unwrap(), Behaviour::End(ending));
    }
    let rule = rule(
        "*=seq:busy/no_answer/completed, slow:20s,late:0.5s,dup,reorder,lost,lost_answer,queued:1h,false_404,unknown_word,garbage,early,error_after_accept,reset_after_accept,disposition:do_not_call,call_back:2h",
    );
    assert_eq!(rule.behaviours.len(), 16);
    assert_eq!(
        "reject:404,rate_limit,rate_limit:5"
            .split(',')
            .map(|w| w.parse().unwrap())
            .collect::<Vec<Behaviour>>(),
        [
            Behaviour::Reject(404, None),
            Behaviour::RateLimit(None),
            Behaviour::RateLimit(Some(5))
        ]
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in [
        "",
        "busy",
        "*=",
        "*=bussy",
        "*=reject:200",
        "*=reject",
        "*=seq:",
        "*=slow:x",
        "*=dup:2",
        "*=disposition:",
        "*=disposition:Loud words",
        "*=rate_limit:x",
        "*=reject:503x",
        "colour:red=busy",
        "metadata.:x=busy",
        "101%=busy",
        "x%=busy",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}

#[test]
fn a_sequence_goes_on_by_its_last_word_and_the_first_rule_decides() {
    let rules = [rule("*07=seq:busy/completed,dup"), rule("*=lost")];
    let ending = |nth| Plan::read(&rules, to("+14155550107"), nth, || 0.0).ending;
    assert_eq!(ending(0), Some(Ending::Busy));
    assert_eq!(ending(1), Some(Ending::Completed));
    assert_eq!(ending(7), Some(Ending::Completed));
    let plan = Plan::read(&rules, to("+14155550107"), 0, || 0.0);
    assert!(plan.does(&Behaviour::Dup) && !plan.does(&Behaviour::Lost));
    assert!(Plan::read(&rules, to("+14155550100"), 0, || 0.0).does(&Behaviour::Lost));
}
