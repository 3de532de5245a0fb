//! Words of the service addresses.

use super::*;

#[test]
fn a_report_reaches_the_partner_and_ends_with_the_link() {
    let mut bench = Bench::normal();
    let report = ServiceReport {
        capable: true,
        dns_ok: true,
        can: vec![IpAddr::from([10, 0, 0, 53]), "fd00::53".parse().expect("an address")],
        held: vec![IpAddr::from([10, 0, 0, 53])],
        offered: Vec::new(),
        macs: vec![[2, 0, 0, 0, 0, 1]],
    };
    assert_eq!(bench.b().partner_service_report(), None);
    bench.a().send_service_report(&report);
    bench.settle();
    assert_eq!(bench.b().partner_service_report(), Some(&report));
    assert_eq!(bench.a().partner_service_report(), None, "it says nothing of its own");
    bench.cut();
    assert_eq!(bench.b().partner_service_report(), None);
    bench.a().send_service_report(&report);
    bench.settle();
    assert_eq!(bench.b().partner_service_report(), None, "nobody was there to be told");
}
