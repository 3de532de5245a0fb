//! What a node that serves alone has offered when its partner is back.

use super::*;
use PairState::{Normal, PartnerDown, RecoverDone, Standalone};

const OFFER: Duration = Duration::from_secs(5);

impl Bench {
    /// What the DHCP server does for a DISCOVER.
    fn offer(&mut self, at: usize, addr: Ipv4Addr, n: u8) -> Result<(), Refusal> {
        let now = self.now;
        self.sides[at].pair.may_offer(now, addr, &client(n))?;
        self.sides[at].pair.offered(now, addr, &client(n));
        Ok(())
    }
}

/// b has stopped in order.
fn stopped() -> Bench {
    let mut bench = Bench::normal();
    let now = bench.now;
    bench.b().stop(now, "SIGTERM");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.states()[0], PartnerDown);
    bench
}

#[test]
fn an_offer_of_the_partners_half_is_honoured_before_it_serves() {
    let mut bench = stopped();
    assert_eq!(bench.offer(0, ODD, 1), Ok(()));
    bench.restart(1);
    bench.link();
    assert_eq!(bench.states(), [PartnerDown, RecoverDone], "b waits for it");
    assert_eq!(bench.leased(0, ODD, 1, DAY), DAY);
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
    assert_eq!(bench.may(1, ODD, 2), Err(Refusal::InUse));
}

#[test]
fn an_offer_that_nobody_takes_keeps_the_partner_waiting_for_seconds() {
    let mut bench = stopped();
    assert_eq!(bench.offer(0, ODD, 1), Ok(()));
    bench.restart(1);
    bench.link();
    bench.pass(OFFER - Duration::from_millis(1));
    assert_eq!(bench.states(), [PartnerDown, RecoverDone]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.states(), [Normal; 2]);
    assert_eq!(bench.may(0, ODD, 1), Err(Refusal::PartnersHalf));
}

#[test]
fn what_could_not_be_honoured_is_not_offered() {
    let mut bench = stopped();
    assert_eq!(bench.offer(0, ODD, 1), Ok(()));
    bench.leased(0, Ipv4Addr::new(10, 0, 0, 103), 3, DAY);
    bench.restart(1);
    bench.link();
    let free = Ipv4Addr::new(10, 0, 0, 105);
    assert_eq!(
        (bench.may(0, free, 2), bench.offer(0, free, 2)),
        (Ok(()), Err(Refusal::PartnersHalf))
    );
    assert_eq!(bench.offer(0, EVEN, 2), Ok(()), "of the own half");
    assert_eq!(bench.offer(0, Ipv4Addr::new(10, 0, 0, 103), 3), Ok(()), "it has it");
    // Neither of them keeps the partner waiting.
    assert_eq!(bench.leased(0, ODD, 1, DAY), DAY);
    assert_eq!(bench.states(), [Normal; 2]);
    assert_eq!(bench.leased(0, EVEN, 2, DAY), DAY);
}

#[test]
fn an_offer_of_a_lone_node_is_honoured_while_its_first_partner_learns() {
    let mut bench = Bench::new();
    let now = bench.now;
    bench.sides[0] = Side::new(config(Rank::Zero, false), BTreeMap::new(), now);
    bench.settle();
    assert_eq!(bench.offer(0, ODD, 1), Ok(()));
    bench.a().handle_paired(now, config(Rank::Zero, true));
    bench.link();
    assert_eq!(bench.states()[0], Standalone);
    assert_eq!(bench.may(0, ODD, 2), Err(Refusal::PartnersHalf), "it was not offered to that one");
    assert_eq!(bench.leased(0, ODD, 1, DAY), DAY);
    assert_eq!(bench.states(), [Normal; 2]);
    assert!(bench.tables_are_equal());
}
