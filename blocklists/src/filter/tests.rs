use proptest::prelude::*;

use super::*;
use crate::{Compiler, ListKind, RulePolicies, Scope};

const KEY: HashKey = HashKey(*b"a key of a test.");
const STRICT: PolicyId = PolicyId(0);
const LOOSE: PolicyId = PolicyId(1);

fn name(text: &str) -> WireName {
    WireName::parse(text).unwrap()
}

fn user(id: &str, text: &str, scope: Scope, action: Action, policies: RulePolicies) -> UserRule {
    UserRule { id: id.to_owned(), name: name(text), scope, action, policies }
}

/// `ads` is used by both policies, `social` by the strict one, `ok` by both.
fn filter(rules: Vec<UserRule>, protected: &[&str]) -> CompiledFilter {
    let mut compiler = Compiler::new(KEY);
    let lists = [
        (
            "ads",
            ListKind::Block,
            "ads.example\n0.0.0.0 exact.example\n||hard.example^$important\n@@||fine.ads.example^\nnas.home.arpa\n",
        ),
        ("social", ListKind::Block, "chat.example\nx.ads.example\nads.example\n"),
        ("ok", ListKind::Allow, "ok.ads.example\nok.hard.example\n"),
        ("unused", ListKind::Block, "ads.example\nunused.example\n"),
    ];
    for (id, kind, text) in lists {
        compiler.add_list(id, kind, [0; 32], text.as_bytes()).unwrap();
    }
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let parts = FilterParts {
        policies: vec![ids(&["ads", "social", "ok", "not-there"]), ids(&["ok", "ads"])],
        list_names: vec![("ads".to_owned(), "Ads and more".to_owned())],
        rules,
        protected: protected.iter().map(|text| name(text)).collect(),
    };
    CompiledFilter::new(compiler.finish().unwrap(), &parts)
}

fn ask(filter: &CompiledFilter, text: &str, policy: PolicyId) -> String {
    let words = |what: &str, rule: RuleRef| {
        let rule_name = name(text).suffix(usize::from(rule.labels));
        format!("{what} {rule_name} ({})", filter.list_name(rule.list))
    };
    match filter.verdict(name(text).as_bytes(), policy) {
        Verdict::NoMatch => "-".to_owned(),
        Verdict::Allowed(rule) => words("allow", rule),
        Verdict::Blocked(rule) => words("block", rule),
    }
}

#[test]
fn each_policy_sees_its_own_lists() {
    let filter = filter(vec![], &[]);
    assert_eq!(ask(&filter, "chat.example", STRICT), "block chat.example (social)");
    assert_eq!(ask(&filter, "chat.example", LOOSE), "-");
    assert_eq!(ask(&filter, "ads.example", LOOSE), "block ads.example (Ads and more)");
    assert_eq!(ask(&filter, "unused.example", STRICT), "-");
    // A policy that nobody knows filters nothing.
    assert_eq!(ask(&filter, "ads.example", PolicyId(9)), "-");
}

#[test]
fn a_tree_rule_holds_below_and_an_exact_one_does_not() {
    let filter = filter(vec![], &[]);
    assert_eq!(ask(&filter, "a.b.ads.example", LOOSE), "block ads.example (Ads and more)");
    assert_eq!(ask(&filter, "notads.example", LOOSE), "-");
    assert_eq!(ask(&filter, "exact.example", LOOSE), "block exact.example (Ads and more)");
    assert_eq!(ask(&filter, "www.exact.example", LOOSE), "-");
}

#[test]
fn allow_wins_over_block_and_important_over_both() {
    let filter = filter(vec![], &[]);
    assert_eq!(ask(&filter, "www.ok.ads.example", LOOSE), "allow ok.ads.example (ok)");
    assert_eq!(ask(&filter, "fine.ads.example", LOOSE), "allow fine.ads.example (Ads and more)");
    assert_eq!(ask(&filter, "ok.hard.example", LOOSE), "block hard.example (Ads and more)");
}

#[test]
fn the_longest_rule_is_named_and_the_first_list_of_it() {
    let filter = filter(vec![], &[]);
    assert_eq!(ask(&filter, "www.x.ads.example", STRICT), "block x.ads.example (social)");
    assert_eq!(ask(&filter, "www.ads.example", STRICT), "block ads.example (Ads and more)");
}

#[test]
fn the_households_rules_win_over_every_list() {
    let filter = filter(
        vec![
            user("1", "hard.example", Scope::Subtree, Action::Allow, RulePolicies::All),
            user("2", "ok.ads.example", Scope::Exact, Action::Block, RulePolicies::All),
            user("3", "zip", Scope::Subtree, Action::Block, RulePolicies::These(vec![STRICT])),
            user("4", "fine.zip", Scope::Subtree, Action::Allow, RulePolicies::All),
        ],
        &[],
    );
    assert_eq!(ask(&filter, "a.hard.example", LOOSE), "allow hard.example (household rules)");
    assert_eq!(ask(&filter, "ok.ads.example", LOOSE), "block ok.ads.example (household rules)");
    assert_eq!(ask(&filter, "www.ok.ads.example", LOOSE), "allow ok.ads.example (ok)");
    assert_eq!(ask(&filter, "any.zip", STRICT), "block zip (household rules)");
    assert_eq!(ask(&filter, "any.zip", LOOSE), "-");
    assert_eq!(ask(&filter, "www.fine.zip", STRICT), "allow fine.zip (household rules)");
}

#[test]
fn no_list_touches_a_protected_tree_but_the_household_may() {
    let rule = user("1", "cam.home.arpa", Scope::Exact, Action::Block, RulePolicies::All);
    let filter = filter(vec![rule], &["home.arpa"]);
    assert_eq!(ask(&filter, "nas.home.arpa", STRICT), "-");
    assert_eq!(ask(&filter, "cam.home.arpa", STRICT), "block cam.home.arpa (household rules)");
    let why = filter.explain(&name("nas.home.arpa"), STRICT);
    assert!(why.protected && why.decided().is_none() && why.matches.len() == 1, "{why:?}");
}

#[test]
fn an_explanation_has_every_match_and_marks_the_one_that_decided() {
    let rule =
        user("7", "example", Scope::Subtree, Action::Block, RulePolicies::These(vec![LOOSE]));
    let filter = filter(vec![rule], &[]);
    let why = filter.explain(&name("www.ads.example"), STRICT);
    let seen: Vec<_> =
        why.matches.iter().map(|m| (m.list_id.as_str(), m.rule(), m.applies, m.decided)).collect();
    assert_eq!(
        seen,
        [
            ("7", "||example^".to_owned(), false, false),
            ("ads", "||ads.example^".to_owned(), true, true),
            ("social", "||ads.example^".to_owned(), true, false),
            ("unused", "||ads.example^".to_owned(), false, false),
        ]
    );
    assert_eq!(why.matches[1].policies, [STRICT, LOOSE]);
    assert_eq!(why.matches[2].policies, [STRICT]);
    assert_eq!(
        why.to_string(),
        "www.ads.example is blocked by ||ads.example^ of Ads and more (and 1 more)"
    );
    let allowed = filter.explain(&name("ok.ads.example"), STRICT);
    assert_eq!(allowed.decided().unwrap().rule(), "@@||ok.ads.example^");
    let important = filter.explain(&name("ok.hard.example"), STRICT);
    assert_eq!(important.decided().unwrap().rule(), "||hard.example^$important");
}

#[test]
fn a_filter_without_lists_blocks_nothing() {
    let filter = CompiledFilter::empty(KEY);
    assert_eq!(filter.verdict(name("ads.example").as_bytes(), STRICT), Verdict::NoMatch);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let rule = user("1", "zip", Scope::Subtree, Action::Block, RulePolicies::All);
        filter(vec![rule], &["home.arpa"]).verdict(&bytes, STRICT);
    }

    #[test]
    fn the_explanation_agrees_with_the_verdict(text in "((a|ok|x|fine)\\.)?(ads|hard|chat|exact)\\.example") {
        let filter = filter(vec![], &[]);
        for policy in [STRICT, LOOSE] {
            let why = filter.explain(&name(&text), policy);
            match why.verdict {
                Verdict::NoMatch => assert!(why.matches.iter().all(|m| !m.applies)),
                Verdict::Allowed(r) | Verdict::Blocked(r) => {
                    let decided = why.decided().unwrap();
                    assert_eq!(decided.list, r.list);
                    assert_eq!(decided.rule_name.labels().count(), usize::from(r.labels));
                }
            }
        }
    }
}
