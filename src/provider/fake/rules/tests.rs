use super::*;

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
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
            rule(&format!("{pattern}=busy")).matches(number),
            expected,
            "{pattern} {number}"
        );
    }
}

#[test]
fn every_behaviour_of_the_help_text_reads() {
    for (word, ending) in Ending::ALL {
        assert_eq!(word.parse::<Behaviour>().unwrap(), Behaviour::End(ending));
    }
    let rule = rule(
        "*=seq:busy/no_answer/completed, slow:20s,late:0.5s,dup,reorder,lost,false_404,unknown_word,garbage,early,error_after_accept,reset_after_accept",
    );
    assert_eq!(rule.behaviours.len(), 12);
    assert_eq!(
        "reject:404,rate_limit,rate_limit:5"
            .split(',')
            .map(|w| w.parse().unwrap())
            .collect::<Vec<Behaviour>>(),
        [
            Behaviour::Reject(404),
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
        "*=rate_limit:x",
    ] {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}

#[test]
fn a_sequence_goes_on_by_its_last_word_and_the_first_rule_decides() {
    let rules = [rule("*07=seq:busy/completed,dup"), rule("*=lost")];
    let ending = |nth| Plan::read(&rules, "+14155550107", nth).ending;
    assert_eq!(ending(0), Some(Ending::Busy));
    assert_eq!(ending(1), Some(Ending::Completed));
    assert_eq!(ending(7), Some(Ending::Completed));
    let plan = Plan::read(&rules, "+14155550107", 0);
    assert!(plan.does(&Behaviour::Dup) && !plan.does(&Behaviour::Lost));
    assert!(Plan::read(&rules, "+14155550100", 0).does(&Behaviour::Lost));
}
