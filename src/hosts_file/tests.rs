use super::*;

fn read(text: &str) -> Vec<String> {
    let file = HostsFile::parse(text);
    assert_eq!(file.mistakes, []);
    let names = |entry: &Entry| {
        let names: Vec<&str> = entry.names.iter().map(Name::as_str).collect();
        format!("{} {} {}", entry.line, entry.addr, names.join(" "))
    };
    file.entries.iter().map(names).collect()
}

fn mistakes(text: &str) -> Vec<String> {
    let file = HostsFile::parse(text);
    file.mistakes.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.message)).collect()
}

#[test]
fn lines_have_an_address_and_names_and_may_have_comments() {
    let text = "\u{feff}# the house\r\n\
                10.0.10.5\tnas NAS.home.arpa. # in the cellar\r\n\
                \n\
                  fd00:10::5  nas\n\
                ::ffff:10.0.10.6 cam\n\
                0.0.0.0 tracker.example";
    assert_eq!(
        read(text),
        [
            "2 10.0.10.5 nas nas.home.arpa",
            "4 fd00:10::5 nas",
            "5 10.0.10.6 cam",
            "6 0.0.0.0 tracker.example",
        ]
    );
}

#[test]
fn what_every_system_writes_into_its_hosts_file_is_passed_over() {
    let text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n\
                fe80::1%lo0 localhost\nff02::1 ip6-allnodes\n\
                127.0.0.1 localhost.localdomain\n255.255.255.255 broadcasthost\n";
    assert_eq!(read(text), [""; 0]);
}

#[test]
fn a_mistake_is_told_with_its_line_and_the_others_count() {
    let text = "nas 10.0.10.5\n10.0.10.5\n127.0.1.1 pi-a\n10.0.10.6 b\u{e4}d good *.wild\n";
    let told = mistakes(text);
    assert_eq!(told.len(), 5, "{told:#?}");
    assert_eq!(told[0], "1: nas is not an address. Write an address and then its names.");
    assert_eq!(told[1], "2: 10.0.10.5 has no name. Write one after it.");
    assert!(told[2].starts_with("3: 127.0.1.1 is another device"), "{}", told[2]);
    assert!(told[3].starts_with("4: b\u{e4}d is not a domain name"), "{}", told[3]);
    assert!(told[4].starts_with("4: *.wild is not a domain name"), "{}", told[4]);
    let file = HostsFile::parse(text);
    assert_eq!(file.entries.len(), 1);
    assert_eq!(file.entries[0].names, [Name::parse("good").expect("a name")]);
}

#[test]
fn names_and_mistakes_are_bounded() {
    let many: String = (0..30_000).map(|n| format!("10.0.0.1 h{n}\n")).collect();
    let file = HostsFile::parse(&many);
    assert_eq!(file.entries.len(), 20_000);
    assert_eq!(file.mistaken, 1);
    let wrong = "wrong\n".repeat(1000);
    let file = HostsFile::parse(&wrong);
    assert_eq!((file.mistakes.len(), file.mistaken), (20, 1000));
}
