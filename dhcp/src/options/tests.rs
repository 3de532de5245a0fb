use super::*;

#[test]
fn a_bad_option_hides_none_behind_it() {
    // A Latin-1 host name, a message size of one byte, a lease time of three bytes, an FQDN of
    // two: each of them once made a decoder forget the server identifier that follows.
    let field = [
        53, 1, 3, 12, 3, b'k', 0xfc, b'l', 57, 1, 9, 51, 3, 0, 0, 1, 81, 2, 0, 0, 54, 4, 10, 0, 0,
        2, 255,
    ];
    let options = Options::read(&field, &[], &[]);
    assert_eq!(options.get(code::SERVER_ID), Some(&[10, 0, 0, 2][..]));
    assert_eq!(options.get(code::HOST_NAME), Some(&[b'k', 0xfc, b'l'][..]));
}

#[test]
fn pieces_of_a_long_option_are_joined_though_not_adjacent() {
    let field = [0, 43, 2, 1, 2, 53, 1, 1, 0, 0, 43, 1, 3, 255, 43, 1, 9];
    let options = Options::read(&field, &[], &[]);
    assert_eq!(options.get(43), Some(&[1, 2, 3][..]));
}

#[test]
fn overloaded_file_and_sname_are_read_in_that_order() {
    let field = [53, 1, 1, 52, 1, 3, 43, 1, 1, 255];
    let options = Options::read(&field, &[43, 1, 2, 255, 7], &[43, 1, 3, 12, 1, b'a']);
    assert_eq!(options.get(43), Some(&[1, 2, 3][..]));
    assert_eq!(options.get(code::HOST_NAME), Some(&b"a"[..]));
    let only_file = Options::read(&[52, 1, 1], &[12, 1, b'f'], &[15, 1, b's']);
    assert_eq!(only_file.get(code::HOST_NAME), Some(&b"f"[..]));
    assert_eq!(only_file.get(15), None);
    let none = Options::read(&[53, 1, 1, 255], &[12, 1, b'f'], &[15, 1, b's']);
    assert_eq!(none.get(code::HOST_NAME), None);
}

#[test]
fn a_truncated_option_ends_the_field_but_keeps_what_was_before() {
    let options = Options::read(&[53, 1, 3, 50, 4, 10, 0], &[], &[]);
    assert_eq!(options.get(code::MESSAGE_TYPE), Some(&[3][..]));
    assert_eq!(options.get(code::REQUESTED_ADDRESS), None);
    assert_eq!(Options::read(&[53], &[], &[]), Options::default());
}

#[test]
fn sub_options_have_no_pad_and_no_end() {
    let option = [0, 1, 9, 255, 1, 8, 5, 4, 10, 0, 30, 0, 19, 0];
    assert_eq!(sub_option(&option, relay_code::LINK_SELECTION), Some(&[10, 0, 30, 0][..]));
    assert_eq!(sub_option(&option, relay_code::SOURCE_PORT), Some(&[][..]));
    assert_eq!(sub_option(&option, relay_code::SERVER_ID_OVERRIDE), None);
}
