use super::*;

fn tls() -> EncryptedDns {
    EncryptedDns {
        priority: 1,
        name: "dns.home.arpa".to_owned(),
        addresses: vec![[10, 0, 30, 2].into(), [10, 0, 30, 3].into()],
        alpn: vec!["dot"],
        port: 853,
        path: None,
    }
}

#[test]
fn an_instance_stands_as_the_rfc_draws_it() {
    let mut want = vec![0, 43, 0, 1, 15];
    want.extend_from_slice(b"\x03dns\x04home\x04arpa\0");
    want.extend_from_slice(&[8, 10, 0, 30, 2, 10, 0, 30, 3]);
    want.extend_from_slice(b"\0\x01\0\x04\x03dot\0\x03\0\x02\x03\x55");
    want[1] = (want.len() - 2) as u8;
    assert_eq!(EncryptedDns::encode(&[tls()]), want);

    let https = EncryptedDns {
        priority: 2,
        alpn: vec!["h2", "h3"],
        port: 443,
        path: Some("/dns-query{?dns}"),
        ..tls()
    };
    let both = EncryptedDns::encode(&[tls(), https]);
    assert!(both.starts_with(&want), "in order");
    assert!(
        both.ends_with(b"\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb\0\x07\0\x10/dns-query{?dns}")
    );
}

#[test]
fn what_does_not_fit_one_option_is_left_out() {
    let many = EncryptedDns::encode(&[tls(), tls(), tls(), tls(), tls(), tls(), tls()]);
    assert!(many.len() <= 255 && many.len() > 150, "{}", many.len());
    let nowhere = EncryptedDns { addresses: Vec::new(), ..tls() };
    let long = EncryptedDns { name: "x".repeat(64), ..tls() };
    assert!(EncryptedDns::encode(&[nowhere, long]).is_empty());
}
