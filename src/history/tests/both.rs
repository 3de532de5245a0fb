use tokio::sync::watch;

use super::*;
use crate::history::merge::{Merged, merge};
use crate::history::partner::{self, Partner, Reach, What, Word};

/// Two hosts that have answered in turn.
fn hosts() -> (Kept, Kept) {
    let (mut a, mut b) = (Kept::new(), Kept::new());
    for n in 0..40 {
        let host = if n % 3 == 0 { &mut b } else { &mut a };
        // Pairs of rows of one moment.
        host.take(&[(n / 2, event("10.0.20.7", &format!("n{n}.example")))]);
    }
    b.flush();
    (a, b)
}

fn names(merged: &Merged) -> Vec<String> {
    merged.rows.iter().map(|(_, row)| row.name.as_deref().unwrap_or("-").to_owned()).collect()
}

#[test]
fn pages_of_both_hosts_follow_each_other_without_a_gap_or_a_double() {
    let (a, b) = hosts();
    for limit in [1, 2, 5, 39, 100] {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let ask = |host: &Kept| {
                host.history.page(&Filter::default(), None, before, limit).expect("readable")
            };
            let merged = merge(vec![ask(&a), ask(&b)], limit);
            assert!(merged.rows.windows(2).all(|two| two[0].1.seq >= two[1].1.seq));
            all.extend(names(&merged));
            before = merged.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 40, "pages of {limit}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 40);
    }
}

#[test]
fn a_search_that_one_host_has_cut_short_hides_nothing_of_it() {
    let (a, b) = hosts();
    let page = |host: &Kept| host.page(&Filter::default());
    // Host b has only looked at its newest three.
    let mut cut = page(&b);
    cut.rows.truncate(3);
    (cut.next, cut.cut) = (cut.rows.last().map(|row| row.seq), true);
    let floor = cut.next.expect("a place");
    let merged = merge(vec![page(&a), cut], 100);
    assert!(merged.cut && merged.next == Some(floor));
    assert!(merged.rows.iter().all(|(_, row)| row.seq >= floor));
    assert_eq!(merged.rows.iter().filter(|(host, _)| *host == 1).count(), 3);
}

/// Asks `host` as its partner does, through what travels.
fn over_the_wire(host: &History, what: What) -> What {
    let text = serde_json::to_vec(&Word { id: 7, what }).expect("writes");
    let word: Word = serde_json::from_slice(&text).expect("reads");
    assert!(word.what.is_question());
    let answer = partner::answer(host, word).expect("an answer");
    assert_eq!(answer.id, 7);
    let text = serde_json::to_vec(&answer).expect("writes");
    serde_json::from_slice::<Word>(&text).expect("reads").what
}

#[test]
fn a_page_and_sums_arrive_as_they_were_sent() {
    let mut kept = Kept::new();
    kept.take_all([
        event("10.0.20.7", "www.example"),
        blocked("fd00::9", "x.ads.example", "ads.example"),
        forwarded("10.0.20.8", "news.example.org", 30),
    ]);
    let (filter, after, before) = (Filter::default(), None, None);
    let What::Page(page) =
        over_the_wire(&kept.history, What::AskPage { filter, after, before, limit: 50 })
    else {
        panic!("a page");
    };
    assert_eq!(Page::from(page), kept.page(&Filter::default()));
    let What::Sums(sums) = over_the_wire(&kept.history, What::AskSums { hours: 24 }) else {
        panic!("sums");
    };
    let (sums, steps) = sums.read();
    let own = kept.sums();
    assert_eq!((sums.how, sums.latency), (own.how, own.latency));
    assert_eq!((sums.names, sums.clients), (own.names, own.clients));
    assert_eq!((sums.lists, sums.upstreams), (own.lists, own.upstreams));
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].blocked, steps[0].at_once, steps[0].forwarded), (1, 1, 1));
    let doubled = merge_steps(steps.clone(), &steps);
    assert_eq!((doubled.len(), doubled[0].forwarded), (1, 2));
    let later = Span::around(Some(NOON + 60_000), None);
    let forgotten = over_the_wire(&kept.history, What::AskForgetWithin(Forget::Everything, later));
    assert_eq!(forgotten, What::Forgotten(0));
    let forgotten = over_the_wire(&kept.history, What::AskForget(Forget::Everything));
    assert_eq!(forgotten, What::Forgotten(3));
}

#[tokio::test]
async fn a_partner_that_cannot_be_asked_is_named_and_one_that_is_silent_is_not_waited_for() {
    let (reach, seen) = watch::channel(Reach::Alone);
    let partner = Partner::new(seen, Box::new(|_| {}));
    let ask = || partner.ask(What::AskSums { hours: 24 });
    assert_eq!(ask().await, Ok(None));
    reach.send_replace(Reach::Down("pi-b is missing.".into()));
    assert_eq!(ask().await, Err("pi-b is missing.".into()));
    reach.send_replace(Reach::Up("pi-b".into()));
    assert_eq!(ask().await, Err("pi-b has not answered within a second.".into()));
}

#[tokio::test]
async fn an_answer_reaches_the_one_who_asked() {
    let (_reach, seen) = watch::channel(Reach::Up("pi-b".into()));
    let (to, from) = std::sync::mpsc::channel();
    let partner = Partner::new(
        seen,
        Box::new(move |word: Word| {
            let _ = to.send(word.id);
        }),
    );
    let answering = async {
        tokio::task::yield_now().await;
        let id = from.recv().expect("a question");
        partner.answered(Word { id: id + 1, what: What::Forgotten(1) });
        partner.answered(Word { id, what: What::Forgotten(5) });
    };
    let asking = partner.ask(What::AskForget(Forget::Everything));
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer, Ok(Some(("pi-b".into(), What::Forgotten(5)))));
}
