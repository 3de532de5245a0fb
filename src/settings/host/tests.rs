use super::*;

const SAMPLE: &str = include_str!("../../../packaging/lanward.toml");

fn parse(text: &str) -> Result<HostConfig, Report> {
    HostConfig::parse("lanward.toml", text.to_owned(), Path::new("/etc/lanward"), "host")
}

fn mistakes(text: &str) -> Vec<String> {
    let report = parse(text).expect_err("mistakes");
    report.findings().iter().map(ToString::to_string).collect()
}

#[test]
fn the_sample_is_the_defaults_and_its_commented_lines_are_too() {
    let mut defaults = HostConfig::defaults("pi-a", PathBuf::from("/var/lib/lanward"));
    assert_eq!(parse(SAMPLE).expect("no mistakes"), defaults);
    // Every key shown in a comment, taken in.
    let full: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    defaults.household = Some("/etc/lanward/household.toml".into());
    defaults.node.socket = Some("/run/lanward/admin.sock".into());
    defaults.dns.workers = NonZeroUsize::new(4);
    defaults.dns.hosts_file = Some("/etc/lanward/hosts".into());
    defaults.dns.tls_files = Some(Files {
        certificate: "/etc/lanward/fullchain.pem".into(),
        key: "/etc/lanward/privkey.pem".into(),
    });
    assert_eq!(parse(&full).expect("no mistakes"), defaults);
}

#[test]
fn an_empty_file_is_enough_and_the_host_name_is_the_systems() {
    let config = parse("").expect("no mistakes");
    assert_eq!(config.node.name, "host");
    assert_eq!(config.socket(None), Path::new("/var/lib/lanward/admin.sock"));
    assert_eq!(config.socket(Some(Path::new("/run/l"))), Path::new("/run/l/admin.sock"));
}

#[test]
fn encrypted_dns_stands_beside_the_plain_one_on_its_own_ports() {
    let ports = |text: &str| {
        let dns = parse(&format!("[dns]\n{text}\n")).expect("fine").dns;
        let shown = |all: Vec<SocketAddr>| {
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        (shown(dns.tls_listen), shown(dns.https_listen))
    };
    let two = |tls: &str, https: &str| (tls.to_owned(), https.to_owned());
    assert_eq!(ports(""), two("0.0.0.0:853 [::]:853", "0.0.0.0:443 [::]:443"));
    let one = r#"listen = ["10.0.10.2:53", "127.0.0.1:5300"]"#;
    assert_eq!(ports(one), two("10.0.10.2:853", "10.0.10.2:443"));
    assert_eq!(ports(r#"listen = ["127.0.0.1:5300"]"#), two("", ""), "a test bed");
    let own = "https_listen = [\"10.0.10.2:8443\"]\ntls_listen = []";
    assert_eq!(ports(own), two("", "10.0.10.2:8443"));
}

#[test]
fn a_certificate_and_its_key_come_together() {
    for (text, told) in [
        ("tls_cert = \"cert.pem\"", "A certificate is of no use without its key."),
        ("tls_key = \"key.pem\"", "A key is of no use without its certificate."),
    ] {
        let mistakes = mistakes(&format!("[dns]\n{text}\n"));
        assert!(mistakes.len() == 1 && mistakes[0].contains(told), "{mistakes:?}");
    }
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let config = parse("household = \"h.toml\"\n[node]\ndata_dir = \"data\"\n").expect("fine");
    assert_eq!(config.household.as_deref(), Some(Path::new("/etc/lanward/h.toml")));
    assert_eq!(config.node.data_dir, Path::new("/etc/lanward/data"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = r#"version = 2
[node]
nane = "pi-a"
name = "pi a"
[dns]
listen = ["0.0.0.0:53", "::53", "0.0.0.0:53"]
workers = 0
cache_size = "lots"
[dhcp]
server_port = 70000
[wbe]
listen = []
[log]
filter = "a=b=c"
"#;
    assert_eq!(
        mistakes(text),
        [
            "lanward.toml:1:11: error: This Lanward knows files of version 1, not 2. Write \
             version = 1, or leave it out.",
            "lanward.toml:3:1: error: Unknown key `nane`. Did you mean `name`?",
            "lanward.toml:4:8: error: pi a is not a host's name. Use 1 to 63 letters, digits, \
             hyphens, underscores and dots.",
            "lanward.toml:6:25: error: ::53 is not an address with a port. Write it such as \
             0.0.0.0:53 or [::]:53.",
            "lanward.toml:6:33: error: 0.0.0.0:53 is there twice. Leave one of them out.",
            "lanward.toml:7:11: error: 0 is not a number of threads. Write 1 to 256, or leave it \
             out for one on each core.",
            "lanward.toml:8:14: error: lots is not a size. Write it such as \"32MiB\"; there are \
             KiB, MiB and GiB.",
            "lanward.toml:10:15: error: 70000 is not a whole number from 0 to 65535. Write the \
             number without quotes.",
            "lanward.toml:11:2: error: Unknown key `wbe`. Did you mean `web`?",
            "lanward.toml:14:10: error: a=b=c is not a log filter: error parsing level filter: \
             expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number \
             0-5. Write error, warn, info, debug or trace, or such as \"info,lanward_ha=debug\".",
        ]
    );
}

#[test]
fn a_host_without_a_file_is_on_loopback_and_serves_no_dhcp() {
    let config = HostConfig::unconfigured("host", PathBuf::from("/tmp/x"), false);
    let mut listens =
        config.dns.listen.iter().chain(&config.web.listen).chain([&config.pair.listen]);
    assert!(listens.all(|addr| addr.ip().is_loopback() && addr.port() >= 1024));
    assert!(!config.dhcp.enabled);
}
