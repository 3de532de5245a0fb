use super::*;

#[tokio::test]
async fn a_change_of_the_file_is_seen_and_its_loss_takes_no_name_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hosts");
    std::fs::write(&file, "10.0.10.5 nas\n").expect("written");
    let (watched, first) = Watched::read(file.clone());
    assert_eq!(first.entries.len(), 1);
    let (says, mut heard) = watch::channel(first);
    let keeper = tokio::spawn(watched.keep(says));
    std::fs::write(&file, "10.0.10.5 nas\n10.0.10.6 cam\n").expect("written");
    heard.changed().await.expect("the keeper runs");
    assert_eq!(heard.borrow_and_update().entries.len(), 2);
    std::fs::remove_file(&file).expect("removed");
    tokio::time::sleep(LOOK * 2).await;
    assert!(!heard.has_changed().expect("the keeper runs"));
    keeper.abort();
}

#[test]
fn what_is_no_file_or_too_large_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |file: &Path| Watched::read(file.to_owned()).1;
    assert_eq!(*read(folder.path()), HostsFile::default());
    assert_eq!(*read(&folder.path().join("none")), HostsFile::default());
    let large = folder.path().join("large");
    let line = "10.0.10.5 nas\n";
    std::fs::write(&large, line.repeat(MAX_BYTES as usize / line.len() + 1)).expect("written");
    assert_eq!(*read(&large), HostsFile::default());
}
