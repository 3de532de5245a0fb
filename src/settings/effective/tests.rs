use super::*;

#[test]
fn nothing_configured_blocks_by_the_built_in_list_and_serves_loopback_only() {
    let effective = derive(&BTreeMap::new(), &HostView::default());
    assert_eq!(effective.problems, []);
    assert_eq!(effective.lists.len(), 1);
    assert_eq!(effective.policy_lists, [vec![Arc::from("builtin")]]);
    assert_eq!(effective.policies.of([127, 0, 0, 1].into()), Some(PolicyId(0)));
    assert_eq!(effective.policies.of([10, 0, 0, 1].into()), None);
    assert!(effective.dhcp.networks.is_empty());
}
