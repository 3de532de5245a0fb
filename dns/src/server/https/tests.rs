use super::*;

fn asked(method: &str, uri: &str, kind: Option<&str>) -> Result<Question, StatusCode> {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(kind) = kind {
        request = request.header(CONTENT_TYPE, kind);
    }
    question(&request.body(()).expect("a request"))
}

#[test]
fn questions_come_in_the_path_or_in_the_body() {
    let here = Ok(Question::Here(vec![1, 2, 3, 4]));
    assert_eq!(asked("GET", "https://pi/dns-query?dns=AQIDBA", None), here);
    assert_eq!(asked("GET", "https://pi/dns-query?ct&dns=AQIDBA==", None), here, "padded");
    assert_eq!(asked("POST", "https://pi/dns-query", Some(MESSAGE)), Ok(Question::InBody));
    let with = "Application/DNS-message; charset=utf-8";
    assert_eq!(asked("POST", "https://pi/dns-query", Some(with)), Ok(Question::InBody));
}

#[test]
fn everything_else_is_refused_by_kind() {
    let table = [
        ("GET", "https://pi/", None, StatusCode::NOT_FOUND),
        ("POST", "https://pi/dns-query/", Some(MESSAGE), StatusCode::NOT_FOUND),
        ("POST", "https://pi/dns-query", None, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("POST", "https://pi/dns-query", Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("GET", "https://pi/dns-query", None, StatusCode::BAD_REQUEST),
        ("GET", "https://pi/dns-query?dns=A%20", None, StatusCode::BAD_REQUEST),
        ("PUT", "https://pi/dns-query", Some(MESSAGE), StatusCode::METHOD_NOT_ALLOWED),
        ("OPTIONS", "https://pi/dns-query", None, StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (method, uri, kind, status) in table {
        assert_eq!(asked(method, uri, kind), Err(status), "{method} {uri}");
    }
}

#[test]
fn a_body_is_at_most_a_message() {
    let mut body = BytesMut::new();
    assert_eq!(take(&mut body, &[0; MAX_BODY]), Ok(()));
    assert_eq!(take(&mut body, &[0]), Err(StatusCode::PAYLOAD_TOO_LARGE));
}
